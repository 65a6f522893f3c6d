"""Tests of the way from a Keras file to a bundle."""
