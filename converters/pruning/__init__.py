"""Pruning: making a network sparse (`magnitude.py`, by tfmot) before it is exported."""
