"""Measures how long an iteration takes on this machine, before the training."""

import time

import torch

from seedmint.training.datasets import Dataset
from seedmint.training.recipes.schema import Recipe
from seedmint.training.runs.state import build_algorithm
from seedmint.training.runs.torch_settings import torch_settings

_SECONDS = 3.0


def seconds_per_step(recipe: Recipe, dataset: Dataset, device: torch.device, seconds: float = _SECONDS) -> float:
    """Return the mean duration of an iteration, measured for a few seconds with networks that are then discarded.

    Whole periods of `penalty.every` are measured, because only some updates compute the penalties.

    Args:
        recipe: The settings.
        dataset: The training data.
        device: Device of the training.
        seconds: Duration of the measurement.
    """
    with torch_settings(recipe.num_threads, device):
        algorithm = build_algorithm(recipe, dataset, device)
        algorithm.iterate(0)  # the first iteration allocates memory
        _synchronize(device)
        start, count = time.perf_counter(), 0
        while count < recipe.penalty.every or time.perf_counter() - start < seconds:
            for _ in range(recipe.penalty.every):
                count += 1
                algorithm.iterate(count)
            _synchronize(device)
        return (time.perf_counter() - start) / count


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
