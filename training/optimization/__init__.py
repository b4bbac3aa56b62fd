"""Minibatches, optimizers, moving averages, processes."""
