"""Tests of edgeres/report."""
