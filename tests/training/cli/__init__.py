"""Tests of `training/cli`."""
