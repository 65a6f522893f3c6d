// The bytes of a JPEG file as an image: upright by its EXIF tag where the contract says so.

import { decode } from "jpeg-js";

import type { Image } from "./preprocess";

const MAX_MEGAPIXELS = 64;

/** An image of a JPEG file. Throws where it is none. */
export function decoded(content: Uint8Array, exif: boolean): Image {
  const { width, height, data } = decode(content, {
    useTArray: true,
    formatAsRGBA: false,
    tolerantDecoding: false,
    maxResolutionInMP: MAX_MEGAPIXELS,
  });
  return exif ? upright({ width, height, data }, orientation(content)) : { width, height, data };
}

/** The orientation (1 to 8) in the EXIF data of a JPEG file; 1 where there is none. */
export function orientation(content: Uint8Array): number {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const [START, APP1, SCAN, EXIF, TAG] = [0xffd8, 0xffe1, 0xffda, 0x45786966, 0x0112];
  if (view.byteLength < 4 || view.getUint16(0) !== START) return 1;
  for (let at = 2; at + 18 < view.byteLength && view.getUint16(at) !== SCAN; at += 2 + view.getUint16(at + 2)) {
    if (view.getUint16(at) !== APP1 || view.getUint32(at + 4) !== EXIF) continue;
    const tiff = at + 10;
    const little = view.getUint16(tiff) === 0x4949;
    const directory = tiff + view.getUint32(tiff + 4, little);
    if (directory + 2 > view.byteLength) return 1;
    for (let entry = directory + 2, left = view.getUint16(directory, little); left > 0; left--, entry += 12) {
      if (entry + 12 > view.byteLength) return 1;
      if (view.getUint16(entry, little) === TAG) return view.getUint16(entry + 8, little);
    }
  }
  return 1;
}

/** For each orientation: where the pixel at (x, y) of the upright image lies in the stored one of w x h pixels. */
const TURNS: Record<number, (x: number, y: number, w: number, h: number) => [number, number]> = {
  2: (x, y, w) => [w - 1 - x, y],
  3: (x, y, w, h) => [w - 1 - x, h - 1 - y],
  4: (x, y, _, h) => [x, h - 1 - y],
  5: (x, y) => [y, x],
  6: (x, y, _, h) => [y, h - 1 - x],
  7: (x, y, w, h) => [w - 1 - y, h - 1 - x],
  8: (x, y, w) => [w - 1 - y, x],
};

export function upright(image: Image, turn: number): Image {
  const place = TURNS[turn];
  if (place === undefined) return image;
  const [width, height] = turn >= 5 ? [image.height, image.width] : [image.width, image.height];
  const data = new Uint8Array(image.data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const [column, row] = place(x, y, image.width, image.height);
      const from = (row * image.width + column) * 3;
      data.set(image.data.subarray(from, from + 3), to);
    }
  }
  return { width, height, data };
}
