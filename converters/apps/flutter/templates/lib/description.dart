// What app.json says of the model, and the integers at its ends. Needs no Flutter.

import 'dart:convert';
import 'dart:math';
import 'dart:typed_data';

import 'preprocess.dart';

/// Type, scale and zero point of the model's input or output: real value = (stored - zeroPoint) * scale.
class Port {
  Port(Map<String, dynamic> json)
      : dtype = json['dtype'] as String,
        scale = Float32List.fromList([(json['scale'] as num).toDouble()])[0],
        zeroPoint = json['zero_point'] as int;

  final String dtype;
  final double scale;
  final int zeroPoint;

  /// Real values as the model's input holds them.
  Uint8List stored(Float32List values) {
    if (dtype == 'float32') return values.buffer.asUint8List(values.offsetInBytes, values.lengthInBytes);
    final (low, high) = dtype == 'uint8' ? (0, 255) : (-128, 127);
    final quotients = Float32List.fromList([for (final value in values) value / scale]);
    return Uint8List.fromList([
      for (final quotient in quotients) (roundEven(quotient) + zeroPoint).clamp(low, high) & 0xff,
    ]);
  }

  /// What an output of the model stands for.
  Float32List real(Uint8List stored) {
    final bytes = Uint8List.fromList(stored); // a copy of its own, which is aligned
    if (dtype == 'float32') return bytes.buffer.asFloat32List();
    final List<int> values = dtype == 'uint8' ? bytes : bytes.buffer.asInt8List();
    return Float32List.fromList([for (final value in values) (value - zeroPoint) * scale]);
  }
}

/// What app.json says of the model.
class Description {
  Description._(Map<String, dynamic> json)
      : name = json['name'] as String,
        labels = (json['labels'] as List).cast<String>(),
        contract = Contract(json['preprocess'] as Map<String, dynamic>),
        probabilities = json['probabilities'] as bool,
        tolerance = (json['tolerance'] as num).toDouble(),
        input = Port(json['input'] as Map<String, dynamic>),
        output = Port(json['output'] as Map<String, dynamic>);

  factory Description.read(String text) => Description._(jsonDecode(text) as Map<String, dynamic>);

  final String name;
  final List<String> labels;
  final Contract contract;
  final bool probabilities;
  final double tolerance;
  final Port input;
  final Port output;

  /// Scores in 0…1: those of a model that ends in logits go through a softmax.
  List<double> shares(Float32List scores) {
    if (probabilities) return scores;
    final most = scores.reduce(max);
    final powers = [for (final score in scores) exp(score - most)];
    final sum = powers.fold(0.0, (a, b) => a + b);
    return [for (final power in powers) power / sum];
  }
}
