"""Tests of edgeres/training."""
