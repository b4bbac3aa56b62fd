"""Tests of `service/encoders`."""
