"""The app for microcontrollers and embedded Linux: C++17 around TensorFlow Lite Micro."""
