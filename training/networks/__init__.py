"""Generators and discriminators: `build_networks` returns the networks that a recipe describes."""

from seedmint.training.networks.build import build_networks, noise_length

__all__ = ["build_networks", "noise_length"]
