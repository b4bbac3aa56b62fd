"""Tests of `service/batching`."""
