"""Quantization: calibration data, and the LiteRT Quantizer's modes on a float flatbuffer."""
