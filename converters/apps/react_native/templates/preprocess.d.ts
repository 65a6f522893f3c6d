/** How pixels become the model's input. */
export interface Contract {
  height: number;
  width: number;
  channels: "rgb" | "bgr" | "gray";
  resize: "stretch" | "crop" | "pad";
  crop_fraction: number;
  kernel: "nearest" | "bilinear" | "bicubic" | "lanczos";
  exif: boolean;
  scale: number;
  mean: number[];
  std: number[];
}

/** An image: 3 bytes a pixel, row by row. */
export interface Image {
  width: number;
  height: number;
  data: Uint8Array;
}

/** The model's input: height x width x channels. */
export function prepared(image: Image, contract: Contract): Float32Array;
