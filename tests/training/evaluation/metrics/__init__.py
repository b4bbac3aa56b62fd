"""Tests of `training/evaluation/metrics`."""
