"""Tests of converters/quantization."""
