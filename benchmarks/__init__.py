"""Benchmarks: one command each, prints its figures and writes JSON; every speed is a ratio measured in one run."""
