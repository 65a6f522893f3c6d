// The model on react-native-fast-tflite. A graphics processor is taken where it gives the golden outputs, else the CPU.

import { Image as Assets, Platform } from "react-native";
import { loadTensorflowModel, type TfliteModel } from "react-native-fast-tflite";

import content from "./assets/description.json";
import { type Description, real, shares, stored } from "./description";
import { checked, type Found, readGolden } from "./golden";
import { type Image, prepared } from "./preprocess";

export const description = content as Description;

const MODEL: number = require("./assets/model.tflite");
const GOLDEN: number = require("./assets/golden.bin");

export class Classifier {
  private constructor(
    private readonly model: TfliteModel,
    private readonly golden: ArrayBuffer,
    /** Where the model runs. */
    readonly accelerator: string,
  ) {}

  static async load(): Promise<Classifier> {
    const asset = Assets.resolveAssetSource(GOLDEN);
    if (asset === undefined) throw new Error("golden.bin is not there");
    const golden = await (await fetch(asset.uri)).arrayBuffer();
    const delegate = Platform.OS === "ios" ? "core-ml" : "android-gpu";
    try {
      const found = new Classifier(await loadTensorflowModel(MODEL, [delegate]), golden, delegate);
      if ((await found.check()).every(({ ok }) => ok)) return found;
    } catch {
      // No such processor, or it lacks an operator.
    }
    return new Classifier(await loadTensorflowModel(MODEL, []), golden, "CPU");
  }

  /** Scores, one for each class, of an input as `prepared` gives it. */
  async run(input: Float32Array): Promise<Float32Array> {
    const { buffer, byteOffset, byteLength } = stored(input, description.input);
    const [output] = await this.model.run([(buffer as ArrayBuffer).slice(byteOffset, byteOffset + byteLength)]);
    if (output === undefined) throw new Error("The model gave nothing.");
    return real(output, description.output);
  }

  /** Shares of 1, one for each class, of an upright image. */
  async classify(image: Image): Promise<Float32Array> {
    return shares(await this.run(prepared(image, description.preprocess)), description);
  }

  /** The golden tensors on this phone. */
  check(): Promise<Found[]> {
    return checked(readGolden(this.golden, description), description, (input) => this.run(input));
  }
}
