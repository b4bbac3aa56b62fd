"""Metrics, logging and the per-request context."""
