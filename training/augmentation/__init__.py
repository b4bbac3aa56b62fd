"""Augmentation: random changes of the images that D receives, which G learns to ignore."""

from seedmint.training.augmentation.augmentation import Augmentation, build_augmentation

__all__ = ["Augmentation", "build_augmentation"]
