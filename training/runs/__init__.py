"""Training runs: the trainer and its hooks, checkpoints, the log, and exact resume."""
