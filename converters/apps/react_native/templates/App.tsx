// The screen: a picture of the library or the camera in, the five best classes out.

import { useEffect, useState } from "react";
import { Button, Image, SafeAreaView, StyleSheet, Text, View } from "react-native";
import { type ImagePickerResponse, launchCamera, launchImageLibrary } from "react-native-image-picker";

import { Classifier, description } from "./classifier";
import { decoded } from "./jpeg";

const BEST = 5;
const OPTIONS = { mediaType: "photo", includeBase64: true, quality: 1 } as const;

declare function atob(base64: string): string; // of Hermes; React Native's types leave it out

const bytes = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

async function bestOf(classifier: Classifier, content: Uint8Array): Promise<string[]> {
  const began = Date.now();
  const share = await classifier.classify(decoded(content, description.preprocess.exif));
  const took = Date.now() - began;
  const order = Array.from(share.keys()).sort((a, b) => share[b]! - share[a]!);
  const lines = order.slice(0, BEST).map((place) => `${(share[place]! * 100).toFixed(1)} %  ${description.labels[place]}`);
  return [...lines, `${took} ms, ${classifier.accelerator}`];
}

export function App() {
  const [classifier, setClassifier] = useState<Classifier>();
  const [lines, setLines] = useState<string[]>(["Loading the model…"]);
  const [picture, setPicture] = useState<string>();

  const attempt = (work: () => Promise<string[]>) => {
    work().then(setLines, (problem: unknown) => setLines([String(problem instanceof Error ? problem.message : problem)]));
  };

  useEffect(() => {
    attempt(async () => {
      const loaded = await Classifier.load();
      setClassifier(loaded);
      return [`Ready, on ${loaded.accelerator}.`];
    });
  }, []);

  const take = ({ assets, errorMessage }: ImagePickerResponse) => {
    const chosen = assets?.[0];
    if (errorMessage !== undefined) setLines([errorMessage]);
    if (classifier === undefined || chosen?.base64 === undefined) return;
    const content = bytes(chosen.base64);
    setPicture(chosen.uri);
    attempt(() => bestOf(classifier, content));
  };

  const check = () => {
    if (classifier === undefined) return;
    attempt(async () => {
      const found = await classifier.check();
      const right = found.length > 0 && found.every(({ ok }) => ok);
      const verdict = `This phone gives ${right ? "the golden" : "other"} outputs.`;
      return [verdict, ...found.map(({ inputOff, outputOff, ok }) => `${inputOff}, ${outputOff}: ${ok ? "ok" : "WRONG"}`)];
    });
  };

  return (
    <SafeAreaView style={styles.screen}>
      <Text style={styles.name}>{description.name}</Text>
      <View style={styles.picture}>
        {picture !== undefined && <Image source={{ uri: picture }} style={styles.fill} resizeMode="contain" />}
      </View>
      {lines.map((line, place) => (
        <Text key={place} numberOfLines={2} accessibilityLiveRegion="polite">
          {line}
        </Text>
      ))}
      <View style={styles.buttons}>
        <Button title="Camera" onPress={() => launchCamera(OPTIONS).then(take)} />
        <Button title="Picture" onPress={() => launchImageLibrary(OPTIONS).then(take)} />
        <Button title="Check" onPress={check} />
      </View>
    </SafeAreaView>
  );
}

const styles = StyleSheet.create({
  screen: { flex: 1, padding: 16, gap: 8 },
  name: { fontSize: 20 },
  picture: { flex: 1 },
  fill: { width: "100%", height: "100%" },
  buttons: { flexDirection: "row", justifyContent: "space-around" },
});
