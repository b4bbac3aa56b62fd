"""Minibatches, optimizers, the moving average of the weights, and distributed training."""
