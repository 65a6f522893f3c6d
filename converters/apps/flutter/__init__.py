"""The app for Flutter: one screen on tflite_flutter; what comes before the model is plain Dart."""
