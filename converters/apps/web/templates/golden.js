// The golden tensors: whether this browser makes the inputs and outputs that the model was converted with.

import { load, run } from "./classifier.js";
import { prepared } from "./preprocess.js";

const INPUT_TOLERANCE = 1e-5; // of the largest input

function* entries(buffer, app) {
  const view = new DataView(buffer);
  const { height, width, channels } = app.preprocess;
  const sizes = { input: height * width * (channels === "gray" ? 1 : 3), output: app.labels.length };
  const count = view.getInt32(8, true);
  for (let entry = 0, at = 12; entry < count; entry++) {
    const image = { height: view.getInt32(at, true), width: view.getInt32(at + 4, true) };
    const bytes = image.height * image.width * 3;
    image.data = new Uint8Array(buffer, at + 8, bytes);
    at += 8 + bytes;
    const floats = (length) => Float32Array.from({ length }, (_, i) => view.getFloat32(at + 4 * i, true));
    const input = floats(sizes.input);
    at += 4 * sizes.input;
    const output = floats(sizes.output);
    at += 4 * sizes.output;
    yield { image, input, output };
  }
}

const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const difference = (a, b) => largest(a.map((value, i) => value - b[i]));

/** For each golden image: how far input and output are off, what is accepted, and whether that holds. */
export async function check() {
  const { app } = await load();
  const buffer = await (await fetch(new URL("golden.bin", import.meta.url))).arrayBuffer();
  const found = [];
  for (const { image, input, output } of entries(buffer, app)) {
    const inputOff = difference(prepared(image, app.preprocess), input);
    const outputOff = difference(await run(input), output);
    const ok = inputOff <= INPUT_TOLERANCE * Math.max(1, largest(input)) && outputOff <= app.tolerance;
    found.push({ inputOff, outputOff, accepted: app.tolerance, ok });
  }
  return found;
}
