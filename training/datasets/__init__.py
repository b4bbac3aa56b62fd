"""Data sets: images as uint8 or samples as float32, with optional labels."""

from seedmint.training.datasets.dataset import DataError, Dataset
from seedmint.training.datasets.load import load_dataset, load_splits, load_test, load_train

__all__ = ["DataError", "Dataset", "load_dataset", "load_splits", "load_test", "load_train"]
