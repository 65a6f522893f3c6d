// From an RGB image of any size to the model's input, as the contract in app.json says.
//
// The resampling repeats Pillow's, to the bit: a browser's own drawImage has another kernel, and another one in each
// browser. An image is {width, height, data}: data holds 3 bytes a pixel, row by row.

const PRECISION = 22; // bits of a weight behind the point
const HALF = 2 ** (PRECISION - 1);

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

const KERNELS = {
  bilinear: { support: 1, weight: (x) => (x < 1 ? 1 - x : 0) },
  bicubic: {
    support: 2,
    weight: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0),
  },
  lanczos: { support: 3, weight: (x) => (x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Rounds halves to the even neighbour, as Python does. */
function round(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** For each of `out` pixels, which of `size` source pixels it is made of: first, and weights in units of 2^-22. */
function taps(size, out, begin, end, kernel) {
  // Pillow holds the two ends as 32-bit floats, and their difference.
  const from = Math.fround(begin);
  const scale = Math.fround(Math.fround(end) - from) / out;
  if (size === out && from === 0 && Math.fround(end) === out) {
    return Array.from({ length: out }, (_, place) => ({ first: place, weights: [2 ** PRECISION] }));
  }
  if (kernel === "nearest") {
    let at = from + scale * 0.5;
    return Array.from({ length: out }, () => {
      const first = Math.min(Math.trunc(at), size - 1);
      at += scale;
      return { first, weights: [2 ** PRECISION] };
    });
  }
  const { support, weight } = KERNELS[kernel];
  const spread = Math.max(scale, 1);
  const reach = support * spread;
  return Array.from({ length: out }, (_, place) => {
    const center = from + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const last = Math.min(size, Math.trunc(center + reach + 0.5));
    const raw = [];
    let sum = 0;
    for (let i = 0; i < last - first; i++) {
      raw.push(weight(Math.abs((i + first - center + 0.5) * (1 / spread))));
      sum += raw[i];
    }
    const weights = raw.map((each) => {
      const value = (sum === 0 ? each : each / sum) * 2 ** PRECISION;
      return Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
    });
    return { first, weights };
  });
}

const clip = (sum) => Math.min(255, Math.max(0, sum >> PRECISION));

function narrowed({ width, height, data }, columns) {
  const out = new Uint8Array(columns.length * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (const { first, weights } of columns) {
      let [r, g, b] = [HALF, HALF, HALF];
      let from = (y * width + first) * 3;
      for (const weight of weights) {
        r += data[from++] * weight;
        g += data[from++] * weight;
        b += data[from++] * weight;
      }
      out[at++] = clip(r);
      out[at++] = clip(g);
      out[at++] = clip(b);
    }
  }
  return { width: columns.length, height, data: out };
}

function lowered({ width, data }, rows) {
  const stride = width * 3;
  const out = new Uint8Array(stride * rows.length);
  const sums = new Int32Array(stride);
  rows.forEach(({ first, weights }, y) => {
    sums.fill(HALF);
    weights.forEach((weight, i) => {
      const from = (first + i) * stride;
      for (let x = 0; x < stride; x++) sums[x] += data[from + x] * weight;
    });
    for (let x = 0; x < stride; x++) out[y * stride + x] = clip(sums[x]);
  });
  return { width, height: rows.length, data: out };
}

/** Rows `begin` … `end` of an image, without copying them. */
function rowsOf({ width, data }, begin, end) {
  return { width, height: end - begin, data: data.subarray(begin * width * 3, end * width * 3) };
}

/** The part `box` (left, top, right, bottom) of an image, at another size. */
export function resized(image, width, height, box, kernel) {
  const columns = taps(image.width, width, box[0], box[2], kernel);
  const rows = taps(image.height, height, box[1], box[3], kernel);
  // Pillow (since 13) blends rows before columns where the height shrinks by more than twice what the width does.
  const shrinks = image.height - height;
  if (shrinks > 0 && shrinks > (image.width - width) * 2) return narrowed(lowered(image, rows), columns);
  const begin = Math.min(...rows.map((row) => row.first));
  const end = Math.max(...rows.map((row) => row.first + row.weights.length));
  for (const row of rows) row.first -= begin; // only rows that are used are narrowed
  return lowered(narrowed(rowsOf(image, begin, end), columns), rows);
}

/** Where the middle `size` pixels of a side that grows by `ratio` begin and end on the original side. */
function middle(length, size, ratio) {
  const grown = Math.max(size, round(length * ratio));
  const start = Math.floor((grown - size) / 2);
  return [(start * length) / grown, ((start + size) * length) / grown];
}

function padded(image, { width, height, kernel }) {
  const ratio = Math.min(width / image.width, height / image.height);
  const w = Math.max(1, round(image.width * ratio));
  const h = Math.max(1, round(image.height * ratio));
  const small = resized(image, w, h, [0, 0, image.width, image.height], kernel);
  const data = new Uint8Array(width * height * 3);
  const left = Math.floor((width - w) / 2);
  const top = Math.floor((height - h) / 2);
  for (let y = 0; y < h; y++) {
    data.set(small.data.subarray(y * w * 3, (y + 1) * w * 3), ((top + y) * width + left) * 3);
  }
  return { width, height, data };
}

function fitted(image, contract) {
  const { width, height, kernel } = contract;
  if (contract.resize === "pad") return padded(image, contract);
  if (contract.resize === "stretch") return resized(image, width, height, [0, 0, image.width, image.height], kernel);
  const ratio = Math.max(width / image.width, height / image.height) / contract.crop_fraction;
  const [left, right] = middle(image.width, width, ratio);
  const [top, bottom] = middle(image.height, height, ratio);
  return resized(image, width, height, [left, top, right, bottom], kernel);
}

/** What the model takes for each value of a pixel, by channel; in 32-bit floats, step by step, as numpy does. */
function tables({ channels, scale, mean, std }) {
  const depth = channels === "gray" ? 1 : 3;
  const of = (values, c) => Math.fround(values.length === 1 ? values[0] : values[c]);
  return Array.from({ length: depth }, (_, c) =>
    Float32Array.from({ length: 256 }, (_, pixel) => {
      const scaled = Math.fround(pixel * Math.fround(scale));
      return Math.fround(Math.fround(scaled - of(mean, c)) / of(std, c));
    }),
  );
}

/** The model's input: height x width x channels 32-bit floats. */
export function prepared(image, contract) {
  const { data } = fitted(image, contract);
  const table = tables(contract);
  const pixels = contract.width * contract.height;
  const input = new Float32Array(pixels * table.length);
  for (let i = 0, at = 0; i < pixels; i++) {
    const [r, g, b] = [data[i * 3], data[i * 3 + 1], data[i * 3 + 2]];
    if (contract.channels === "gray") {
      input[at++] = table[0][(r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16]; // ITU-R 601-2 luma
      continue;
    }
    const ordered = contract.channels === "bgr" ? [b, g, r] : [r, g, b];
    for (let c = 0; c < 3; c++) input[at++] = table[c][ordered[c]];
  }
  return input;
}
