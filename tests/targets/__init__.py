"""Tests of the way from a flatbuffer to a measurement."""
