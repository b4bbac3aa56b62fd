"""Tests of `service/telemetry`."""
