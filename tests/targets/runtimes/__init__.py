"""Tests of targets/runtimes."""
