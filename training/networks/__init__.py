"""Generators and discriminators: `build_networks` returns the networks that a recipe describes."""

from seedmint.training.networks.build import build_networks

__all__ = ["build_networks"]
