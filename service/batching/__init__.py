"""Many requests to one run of a generator: queues, slots, execution, the repository of generators."""
