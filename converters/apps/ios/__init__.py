"""The app for iPhone and iPad: a Swift package for what comes before the model, an app on TensorFlow Lite around it."""
