"""Metrics, logs and the per-request context."""
