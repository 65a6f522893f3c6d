// What assets/description.json says of the model, and the integers at its ends. Needs no phone.

import type { Contract } from "./preprocess";

export interface Port {
  dtype: string;
  scale: number;
  zero_point: number;
}

export interface Description {
  name: string;
  labels: string[];
  preprocess: Contract;
  probabilities: boolean;
  tolerance: number;
  input: Port;
  output: Port;
}

/** Rounds halves to the even neighbour, as numpy does. */
function round(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** Real values as the model's input holds them. */
export function stored(values: Float32Array, { dtype, scale, zero_point }: Port): Float32Array | Int8Array | Uint8Array {
  if (dtype === "float32") return values;
  const [low, high] = dtype === "uint8" ? [0, 255] : [-128, 127];
  const step = Math.fround(scale);
  const steps = Array.from(values, (value) => round(Math.fround(value / step)) + zero_point);
  const clipped = steps.map((value) => Math.min(high!, Math.max(low!, value)));
  return dtype === "uint8" ? Uint8Array.from(clipped) : Int8Array.from(clipped);
}

/** What an output of the model stands for. */
export function real(output: ArrayBuffer, { dtype, scale, zero_point }: Port): Float32Array {
  if (dtype === "float32") return new Float32Array(output);
  const values = dtype === "uint8" ? new Uint8Array(output) : new Int8Array(output);
  return Float32Array.from(values, (value) => (value - zero_point) * Math.fround(scale));
}

/** Shares of 1: of a model that ends in logits, through a softmax. */
export function shares(scores: Float32Array, { probabilities }: Description): Float32Array {
  if (probabilities) return scores;
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
