"""Tests of `training/theory`."""
