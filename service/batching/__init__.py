"""Queues, slots and batches of generators, and the repository of generators. Independent of HTTP."""
