// From an RGB image of any size to the model's input, as the contract in app.json says.
//
// The resampling repeats Pillow's, to the bit: package:image has other kernels. Nothing here needs Flutter.

import 'dart:math';
import 'dart:typed_data';

/// How pixels become the model's input; mean and std have one number for each channel, or one for all.
class Contract {
  Contract(Map<String, dynamic> json)
      : height = json['height'] as int,
        width = json['width'] as int,
        channels = json['channels'] as String,
        resize = json['resize'] as String,
        cropFraction = (json['crop_fraction'] as num).toDouble(),
        kernel = json['kernel'] as String,
        exif = json['exif'] as bool,
        scale = (json['scale'] as num).toDouble(),
        mean = _numbers(json['mean']),
        std = _numbers(json['std']);

  final int height;
  final int width;
  final String channels;
  final String resize;
  final double cropFraction;
  final String kernel;
  final bool exif;
  final double scale;
  final List<double> mean;
  final List<double> std;

  int get depth => channels == 'gray' ? 1 : 3;

  static List<double> _numbers(dynamic values) => [for (final value in values as List) (value as num).toDouble()];
}

/// An image: 3 bytes a pixel, row by row.
class RgbImage {
  RgbImage(this.width, this.height, this.rgb);

  final int width;
  final int height;
  final Uint8List rgb;
}

const _precision = 22; // bits of a weight behind the point
const _half = 1 << (_precision - 1);
const _one = 1 << _precision;

/// What one pixel of a side is made of: source pixels from `first` on, and their weights in units of 2^-22.
class _Taps {
  _Taps(this.first, this.weights);

  final int first;
  final List<int> weights;
}

final _single = Float32List(1);

/// The 32-bit float next to a number; Dart has no type for one.
double _float(double value) {
  _single[0] = value;
  return _single[0];
}

double _sinc(double x) => x == 0 ? 1 : sin(x * pi) / (x * pi);

double _support(String kernel) => kernel == 'bilinear' ? 1 : (kernel == 'bicubic' ? 2 : 3);

double _weight(String kernel, double x) {
  if (kernel == 'bilinear') return x < 1 ? 1 - x : 0;
  if (kernel == 'bicubic') {
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  }
  return x < 3 ? _sinc(x) * _sinc(x / 3) : 0;
}

/// Rounds halves to the even neighbour, as numpy does.
int roundEven(double value) {
  final low = value.floor();
  final rest = value - low;
  return rest > 0.5 || (rest == 0.5 && low.isOdd) ? low + 1 : low;
}

/// Taps of `out` pixels that cover `begin` … `end` of a side of `size` pixels.
List<_Taps> _taps(int size, int out, double begin, double end, String kernel) {
  // Pillow holds the two ends as 32-bit floats, and their difference.
  final from = _float(begin);
  final to = _float(end);
  final scale = _float(to - from) / out;
  if (size == out && from == 0 && to == out) {
    return [for (var place = 0; place < out; place++) _Taps(place, const [_one])];
  }
  if (kernel == 'nearest') {
    final found = <_Taps>[];
    for (var at = from + scale * 0.5; found.length < out; at += scale) {
      found.add(_Taps(min(at.truncate(), size - 1), const [_one]));
    }
    return found;
  }
  final spread = max(scale, 1.0);
  final reach = _support(kernel) * spread;
  return [
    for (var place = 0; place < out; place++) _blended(size, from + (place + 0.5) * scale, spread, reach, kernel),
  ];
}

_Taps _blended(int size, double center, double spread, double reach, String kernel) {
  final first = max(0, (center - reach + 0.5).truncate());
  final last = min(size, (center + reach + 0.5).truncate());
  final raw = [
    for (var at = first; at < last; at++) _weight(kernel, ((at - center + 0.5) * (1 / spread)).abs()),
  ];
  final sum = raw.fold(0.0, (a, b) => a + b);
  int fixed(double value) {
    final scaled = (sum == 0 ? value : value / sum) * _one;
    return (scaled < 0 ? scaled - 0.5 : scaled + 0.5).truncate();
  }

  return _Taps(first, [for (final value in raw) fixed(value)]);
}

int _clip(int sum) => (sum >> _precision).clamp(0, 255);

/// Rows `top` until `bottom` of an image, at another width.
RgbImage _narrowed(RgbImage image, List<_Taps> columns, int top, int bottom) {
  final out = Uint8List(columns.length * (bottom - top) * 3);
  var at = 0;
  for (var y = top; y < bottom; y++) {
    for (final column in columns) {
      var red = _half, green = _half, blue = _half;
      var from = (y * image.width + column.first) * 3;
      for (final weight in column.weights) {
        red += image.rgb[from++] * weight;
        green += image.rgb[from++] * weight;
        blue += image.rgb[from++] * weight;
      }
      out[at++] = _clip(red);
      out[at++] = _clip(green);
      out[at++] = _clip(blue);
    }
  }
  return RgbImage(columns.length, bottom - top, out);
}

/// An image at another height; `top` is the row of the source at which `image` begins.
RgbImage _lowered(RgbImage image, List<_Taps> rows, int top) {
  final stride = image.width * 3;
  final out = Uint8List(stride * rows.length);
  final sums = Int32List(stride);
  for (var y = 0; y < rows.length; y++) {
    sums.fillRange(0, stride, _half);
    for (var i = 0; i < rows[y].weights.length; i++) {
      final from = (rows[y].first - top + i) * stride;
      for (var x = 0; x < stride; x++) {
        sums[x] += image.rgb[from + x] * rows[y].weights[i];
      }
    }
    for (var x = 0; x < stride; x++) {
      out[y * stride + x] = _clip(sums[x]);
    }
  }
  return RgbImage(image.width, rows.length, out);
}

/// The part of an image between `across` and `down` (begin, end), at another size.
RgbImage _resized(
  RgbImage image,
  int width,
  int height,
  (double, double) across,
  (double, double) down,
  String kernel,
) {
  final columns = _taps(image.width, width, across.$1, across.$2, kernel);
  final rows = _taps(image.height, height, down.$1, down.$2, kernel);
  // Pillow (since 13) blends rows before columns where the height shrinks by more than twice what the width does.
  final shrinks = image.height - height;
  if (shrinks > 0 && shrinks > (image.width - width) * 2) {
    return _narrowed(_lowered(image, rows, 0), columns, 0, height);
  }
  final top = rows.map((row) => row.first).reduce(min);
  final bottom = rows.map((row) => row.first + row.weights.length).reduce(max);
  return _lowered(_narrowed(image, columns, top, bottom), rows, top);
}

/// Where the middle `size` pixels of a side that grows by `ratio` begin and end on the original side.
(double, double) _middle(int length, int size, double ratio) {
  final grown = max(size, roundEven(length * ratio));
  final start = (grown - size) ~/ 2;
  return (start * length / grown, (start + size) * length / grown);
}

RgbImage _stretched(RgbImage image, int width, int height, String kernel) =>
    _resized(image, width, height, (0, image.width.toDouble()), (0, image.height.toDouble()), kernel);

RgbImage _padded(RgbImage image, Contract contract) {
  final ratio = min(contract.width / image.width, contract.height / image.height);
  final width = max(1, roundEven(image.width * ratio));
  final height = max(1, roundEven(image.height * ratio));
  final small = _stretched(image, width, height, contract.kernel);
  final out = Uint8List(contract.width * contract.height * 3);
  final left = (contract.width - width) ~/ 2;
  final top = (contract.height - height) ~/ 2;
  for (var y = 0; y < height; y++) {
    final to = ((top + y) * contract.width + left) * 3;
    out.setRange(to, to + width * 3, small.rgb, y * width * 3);
  }
  return RgbImage(contract.width, contract.height, out);
}

RgbImage _fitted(RgbImage image, Contract contract) {
  if (contract.resize == 'pad') return _padded(image, contract);
  if (contract.resize == 'stretch') return _stretched(image, contract.width, contract.height, contract.kernel);
  final grows = max(contract.width / image.width, contract.height / image.height);
  final ratio = grows / contract.cropFraction;
  final across = _middle(image.width, contract.width, ratio);
  final down = _middle(image.height, contract.height, ratio);
  return _resized(image, contract.width, contract.height, across, down, contract.kernel);
}

/// What the model takes for each value of a pixel, by channel; in 32-bit floats, step by step, as numpy does.
List<Float32List> _tables(Contract contract) {
  Float32List table(int channel) {
    final mean = _float(contract.mean.length == 1 ? contract.mean[0] : contract.mean[channel]);
    final std = _float(contract.std.length == 1 ? contract.std[0] : contract.std[channel]);
    final scale = _float(contract.scale);
    return Float32List.fromList([
      for (var pixel = 0; pixel < 256; pixel++) _float(_float(pixel * scale) - mean) / std,
    ]);
  }

  return [for (var channel = 0; channel < contract.depth; channel++) table(channel)];
}

/// The model's input: height x width x channels.
Float32List prepared(RgbImage image, Contract contract) {
  final pixels = _fitted(image, contract).rgb;
  final table = _tables(contract);
  final input = Float32List(contract.width * contract.height * contract.depth);
  for (var from = 0, at = 0; from < pixels.length; from += 3) {
    final red = pixels[from], green = pixels[from + 1], blue = pixels[from + 2];
    if (contract.channels == 'gray') {
      input[at++] = table[0][(red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16]; // ITU-R 601-2 luma
      continue;
    }
    final swapped = contract.channels == 'bgr';
    input[at++] = table[0][swapped ? blue : red];
    input[at++] = table[1][green];
    input[at++] = table[2][swapped ? red : blue];
  }
  return input;
}
