"""Tests of `training/augmentation`."""
