"""TFLite metadata: what a client that knows only `model.tflite` must know, inside of it.

    model, contract, labels → `describing.described` → the same model, with its metadata and label file

MediaPipe Tasks, ML Kit and the code generators of Android Studio read it. Its format is public (metadata_schema.fbs
of TensorFlow Lite Support, identifier M001). It is written here with the `flatbuffers` library, which TensorFlow
brings: MediaPipe's own writers are in no current wheel of it (they import a native module that is left out).
"""
