"""Tests of converters/pruning."""
