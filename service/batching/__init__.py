"""Queues, slots and batches of generators, and the repository of generators. Knows nothing of HTTP."""
