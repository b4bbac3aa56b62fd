"""Tests of `service/jobs`."""
