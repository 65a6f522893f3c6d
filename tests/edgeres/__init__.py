"""Tests of models, data, training, reports and the contracts between stages."""
