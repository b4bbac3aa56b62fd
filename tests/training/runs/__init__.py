"""Tests of `training/runs`."""
