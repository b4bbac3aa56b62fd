"""Tests of `service/batch`."""
