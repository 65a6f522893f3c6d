"""Tests mirror the source, one file a module, and use real parts: a trained network, real child processes, a real browser."""
