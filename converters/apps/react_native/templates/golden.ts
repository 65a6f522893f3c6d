// The golden tensors: whether this phone makes the inputs and outputs that the model was converted with.

import type { Description } from "./description";
import { type Image, prepared } from "./preprocess";

const INPUT_TOLERANCE = 1e-5; // of the largest input

export interface Golden {
  image: Image;
  input: Float32Array;
  output: Float32Array;
}

export interface Found {
  inputOff: number;
  outputOff: number;
  ok: boolean;
}

/** The golden tensors of golden.bin. */
export function readGolden(buffer: ArrayBuffer, { preprocess, labels }: Description): Golden[] {
  const view = new DataView(buffer);
  const depth = preprocess.channels === "gray" ? 1 : 3;
  const sizes = [preprocess.height * preprocess.width * depth, labels.length] as const;
  let at = 12;
  const floats = (length: number): Float32Array => {
    const from = at;
    at += 4 * length;
    return Float32Array.from({ length }, (_, place) => view.getFloat32(from + 4 * place, true));
  };
  return Array.from({ length: view.getInt32(8, true) }, () => {
    const [height, width] = [view.getInt32(at, true), view.getInt32(at + 4, true)];
    const data = new Uint8Array(buffer, at + 8, height * width * 3);
    at += 8 + data.length;
    return { image: { width, height, data }, input: floats(sizes[0]), output: floats(sizes[1]) };
  });
}

const largest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const off = (a: Float32Array, b: Float32Array): number =>
  a.length === b.length ? largest(a.map((value, place) => value - b[place]!)) : Infinity;

/** For each golden tensor: how far input and output are off, and whether that is accepted. */
export async function checked(
  golden: Golden[],
  description: Description,
  run: (input: Float32Array) => Promise<Float32Array>,
): Promise<Found[]> {
  const found: Found[] = [];
  for (const { image, input, output } of golden) {
    const inputOff = off(prepared(image, description.preprocess), input);
    const outputOff = off(await run(input), output);
    const ok = inputOff <= INPUT_TOLERANCE * Math.max(1, largest(input)) && outputOff <= description.tolerance;
    found.push({ inputOff, outputOff, ok });
  }
  return found;
}
