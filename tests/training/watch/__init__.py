"""Tests of `training/watch`."""
