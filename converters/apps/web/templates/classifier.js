// The model on LiteRT.js: an image to scores. Loaded once; nothing comes from outside this folder.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

import { prepared } from "./preprocess.js";

const MAX_PIXELS = 64_000_000;
const here = (name) => new URL(name, import.meta.url);

let loading;
let last = Promise.resolve(); // one run at a time, in the order in which they were asked for

/** The app's description and its compiled model. */
export function load() {
  loading ??= (async () => {
    const app = await (await fetched("app.json")).json();
    self.Module = { printErr: (line) => console.debug(line) }; // the runtime's log, which is no error
    const threads = self.crossOriginIsolated === true;
    await loadLiteRt(here("node_modules/@litertjs/core/wasm/").href, { threads });
    const content = new Uint8Array(await (await fetched("model.tflite")).arrayBuffer());
    const model = await loadAndCompile(content, { accelerator: "wasm" });
    const { height, width, channels } = app.preprocess;
    const shape = [1, height, width, channels === "gray" ? 1 : 3];
    const ready = { app, model, shape, threads };
    await invoke(ready, new Float32Array(height * width * shape[3])); // the first run takes longer than all others
    return ready;
  })();
  return loading;
}

async function fetched(name) {
  const answer = await fetch(here(name));
  if (!answer.ok) throw new Error(`${name} is not there (${answer.status})`);
  return answer;
}

/** Scores, one for each class, of an input as `prepared` gives it. */
export async function run(input) {
  const ready = await load();
  const answer = last.then(() => invoke(ready, input));
  last = answer.catch(() => {});
  return answer;
}

async function invoke({ model, shape }, input) {
  const tensor = new Tensor(input, shape);
  const [output] = await model.run([tensor]);
  const scores = Float32Array.from(output.toTypedArray());
  tensor.delete();
  output.delete();
  return scores;
}

/** Scores of an image, and the milliseconds that preparing and the model took. */
export async function classify(image) {
  const { app } = await load();
  const began = performance.now();
  const input = prepared(image, app.preprocess);
  const ready = performance.now();
  const scores = await run(input);
  return { scores, preparing: ready - began, model: performance.now() - ready };
}

/** Shares of 1: of a model that ends in logits, through a softmax. */
export function shares(scores, app) {
  if (app.probabilities) return scores;
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** A picture (a Blob) as an image: upright by its EXIF tag where the contract says so, transparency on black. */
export async function decoded(blob) {
  const { app } = await load();
  const upright = app.preprocess.exif ? blob : new Blob([withoutExif(new Uint8Array(await blob.arrayBuffer()))]);
  const bitmap = await createImageBitmap(upright, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  try {
    return pixelsOf(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

/** A JPEG whose EXIF data no decoder finds: browsers turn pictures by it even where they are told not to. */
function withoutExif(bytes) {
  const [APP1, SCAN] = [0xe1, 0xda];
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return bytes;
  for (let at = 2; bytes[at] === 0xff && bytes[at + 1] !== SCAN; at += 2 + bytes[at + 2] * 256 + bytes[at + 3]) {
    if (bytes[at + 1] === APP1) bytes.fill(0, at + 4, at + 8); // the letters "Exif"
  }
  return bytes;
}

/** The pixels of whatever a canvas can draw, at its own size. */
export function pixelsOf(drawable, width, height) {
  if (width * height > MAX_PIXELS) throw new Error(`${width} x ${height} pixels are too many`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.drawImage(drawable, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    data[to++] = rgba[from];
    data[to++] = rgba[from + 1];
    data[to++] = rgba[from + 2];
  }
  return { width, height, data };
}
