"""Evaluation: metrics of a generator against real data."""
