"""A run on disk: checkpoints, log, resume, signals."""
