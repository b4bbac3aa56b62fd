"""Tests of `training/recipes`."""
