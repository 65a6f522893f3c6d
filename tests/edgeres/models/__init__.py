"""Tests of edgeres/models."""
