"""Settings that depend on the machine: `precision: auto` and `threads: auto` become values, which the run records."""

import torch

from seedmint.models.runtime.processors import num_processors
from seedmint.training.datasets import Dataset
from seedmint.training.optimization import distributed
from seedmint.training.recipes.schema import Recipe
from seedmint.training.runs.timing import seconds_per_step

_MAX_THREADS = 16
_SECONDS = 0.7  # of each measurement
_MIN_GAIN = 1.05  # of twice as many threads; fewer threads leave the other processors to other programs


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device computes matrix products in bfloat16, and does not emulate them.

    Args:
        device: Device of the training.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    features = torch.cpu.get_capabilities()
    return any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def emulation_warning(recipe: Recipe, device: torch.device) -> str | None:
    """Return a warning if the recipe asks for bfloat16 and the device emulates it; otherwise None.

    Args:
        recipe: The settings.
        device: Device of the training.
    """
    if recipe.precision != "bfloat16" or has_bfloat16(device):
        return None
    return (
        f"this {device.type} has no instructions for bfloat16 and emulates them, which is slower than float32: "
        "set precision=float32 or precision=auto in a new run"
    )


def fit_precision(recipe: Recipe, device: torch.device) -> Recipe:
    """Return the recipe with a precision instead of `auto`. The processes of a run agree.

    Args:
        recipe: The settings.
        device: Device of the training.
    """
    if recipe.precision != "auto":
        return recipe
    is_emulated = distributed.all_reduce_max(int(not has_bfloat16(device)))
    return recipe.model_copy(update={"precision": "float32" if is_emulated else "bfloat16"})


def fit_threads(recipe: Recipe, dataset: Dataset, device: torch.device) -> Recipe:
    """Return the recipe with a number of threads instead of `auto`.

    On the CPU, 1, 2, 4 and more threads are measured for less than a second each, as long as they are faster than before.
    Several processes share the processors without a measurement.

    Args:
        recipe: The settings, with a precision.
        dataset: The training data.
        device: Device of the training.
    """
    if recipe.threads != "auto":
        return recipe
    most = min(num_processors(), _MAX_THREADS)
    if device.type != "cpu":
        most = 1
    if distributed.world_size() > 1:
        return recipe.model_copy(update={"threads": max(1, most // distributed.world_size())})
    best = recipe.model_copy(update={"threads": 1})
    best_seconds = None if most == 1 else seconds_per_step(best, dataset, device, _SECONDS)
    while best_seconds is not None and best.num_threads * 2 <= most:
        twice = best.model_copy(update={"threads": best.num_threads * 2})
        seconds = seconds_per_step(twice, dataset, device, _SECONDS)
        if best_seconds < seconds * _MIN_GAIN:
            break
        best, best_seconds = twice, seconds
    return best
