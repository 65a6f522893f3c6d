// The golden tensors: whether this phone makes the inputs and outputs that the model was converted with.

import 'dart:convert';
import 'dart:math';
import 'dart:typed_data';

import 'description.dart';
import 'preprocess.dart';

/// One golden tensor: an image, and the input and the output that the model was converted with.
class Golden {
  Golden(this.image, this.input, this.output);

  final RgbImage image;
  final Float32List input;
  final Float32List output;
}

/// How far a device is from a golden tensor, and whether that is accepted.
class Found {
  Found(this.inputOff, this.outputOff, {required this.ok});

  final double inputOff;
  final double outputOff;
  final bool ok;
}

/// The golden tensors of golden.bin.
List<Golden> readGolden(ByteData content, Description description) {
  if (latin1.decode(content.buffer.asUint8List(content.offsetInBytes, 8)) != 'EDGERES1') {
    throw const FormatException('golden.bin is not of this app');
  }
  final contract = description.contract;
  var at = 12;
  int word() {
    at += 4;
    return content.getInt32(at - 4, Endian.little);
  }

  Float32List floats(int count) {
    at += 4 * count;
    return Float32List.fromList([
      for (var place = 0; place < count; place++) content.getFloat32(at - 4 * (count - place), Endian.little),
    ]);
  }

  Golden one() {
    final height = word();
    final width = word();
    final rgb = content.buffer.asUint8List(content.offsetInBytes + at, height * width * 3);
    at += rgb.length;
    final input = floats(contract.height * contract.width * contract.depth);
    return Golden(RgbImage(width, height, rgb), input, floats(description.labels.length));
  }

  return [for (var left = content.getInt32(8, Endian.little); left > 0; left--) one()];
}

double _off(Float32List a, Float32List b) {
  if (a.length != b.length) return double.infinity;
  var most = 0.0;
  for (var at = 0; at < a.length; at++) {
    final difference = (a[at] - b[at]).abs();
    if (difference.isNaN) return double.nan;
    most = max(most, difference);
  }
  return most;
}

/// Runs every golden tensor: the preprocessing on its image, the model (`run`) on its input.
List<Found> checked(List<Golden> golden, Description description, Float32List Function(Float32List) run) {
  Found one(Golden each) {
    final inputOff = _off(prepared(each.image, description.contract), each.input);
    final outputOff = _off(run(each.input), each.output);
    final largest = each.input.fold(1.0, (most, value) => max(most, value.abs()));
    return Found(inputOff, outputOff, ok: inputOff <= 1e-5 * largest && outputOff <= description.tolerance);
  }

  return [for (final each in golden) one(each)];
}
