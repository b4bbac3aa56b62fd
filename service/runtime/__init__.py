"""Generators in service: batches of seeds, labels and latent vectors."""
