"""Tests of `service/api/openapi`."""
