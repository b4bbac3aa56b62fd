"""Tests of `training/report`."""
