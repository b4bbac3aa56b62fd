"""Engines that run the shards of a plan: a local process pool, a Ray cluster."""
