// The model on tflite_flutter. A graphics processor is taken where it gives the golden outputs, else the CPU.

import 'dart:io';
import 'dart:typed_data';

import 'package:flutter/services.dart';
import 'package:tflite_flutter/tflite_flutter.dart';

import 'description.dart';
import 'golden.dart';
import 'preprocess.dart';

class Classifier {
  Classifier._(this.description, this._golden, this._interpreter, this.accelerator);

  final Description description;
  final List<Golden> _golden;
  final Interpreter _interpreter;

  /// Where the model runs.
  final String accelerator;

  static Future<Classifier> load() async {
    final description = Description.read(await rootBundle.loadString('assets/app.json'));
    final golden = readGolden(await rootBundle.load('assets/golden.bin'), description);
    Future<Classifier> opened(String accelerator, InterpreterOptions options) async {
      final interpreter = await Interpreter.fromAsset('assets/model.tflite', options: options);
      return Classifier._(description, golden, interpreter, accelerator);
    }

    try {
      final delegate = Platform.isIOS ? CoreMlDelegate() : GpuDelegateV2();
      final found = await opened('GPU', InterpreterOptions()..addDelegate(delegate));
      if (found.check().every((each) => each.ok)) return found;
      found._interpreter.close();
    } catch (_) {
      // No such processor, or it lacks an operator.
    }
    return opened('CPU', InterpreterOptions());
  }

  /// Scores, one for each class, of an input as `prepared` gives it.
  Float32List run(Float32List input) {
    _interpreter.getInputTensor(0).data = description.input.stored(input);
    _interpreter.invoke();
    return description.output.real(_interpreter.getOutputTensor(0).data);
  }

  /// Scores in 0…1, one for each class, of an upright image.
  List<double> classify(RgbImage image) => description.shares(run(prepared(image, description.contract)));

  /// The golden tensors on this phone.
  List<Found> check() => checked(_golden, description, run);
}
