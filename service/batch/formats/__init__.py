"""Shard formats: one module for each file format."""
