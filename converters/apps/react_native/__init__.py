"""The app for React Native: one screen on react-native-fast-tflite, with the browser page's preprocessing."""
