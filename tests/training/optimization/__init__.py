"""Tests of `training/optimization`."""
