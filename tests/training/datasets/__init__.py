"""Tests of `training/datasets`."""
