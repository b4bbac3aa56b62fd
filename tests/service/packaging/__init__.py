"""Tests of `service/packaging`."""
