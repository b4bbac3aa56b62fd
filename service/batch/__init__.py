"""Batch jobs: a generator and a range of seeds into sharded files, the same bytes whoever makes them."""
