"""Derives a recipe from series: networks, objective and steps."""

from typing import Any

from seedmint.training.recipes.data import Data
from seedmint.training.recipes.derived import DerivedRecipe
from seedmint.training.recipes.derived_samples import derive_samples_recipe

_MAX_M = 64
_MIN_SEQUENCE = 8  # steps


def derive_series_recipe(source_name: str, data: Data, num_train: int, length: int, channels: int) -> DerivedRecipe:
    """Return a recipe for series.

    Args:
        source_name: Name of the file or the folder, without its suffix.
        data: The section `data`.
        num_train: Number of training series or windows.
        length: Length of the longest, in steps.
        channels: Number of channels.
    """
    is_short = length < _MIN_SEQUENCE
    generator: dict[str, Any] = {"kind": "mlp", "width": 128} if is_short else {"kind": "sequence", "width": 32}
    chosen = {
        "conditional": data.label is not None,
        "z_dim": min(64, 16 * max(1, channels)),
        "generator": generator,
        "discriminator": dict(generator) if is_short else {**generator, "spectral_norm": True},
        "objective": "non-saturating",
        "m": min(_MAX_M, num_train),
        "steps": 6000,
    }
    comments = {
        "data.window": "steps of a window",
        "data.missing": "interpolate: a line between the neighbors; mask: missing values are not learned",
        "conditional": "G and D use the label" if data.label is not None else "data.label names a column of labels",
        "z_dim": "length of the noise vector of the network",
        "generator.width": "channels at half the length, doubled at each halving" if not is_short else "units of a layer",
        "m": "minibatch size, in series",
    }
    every = {"log": 100, "checkpoint": 1000}
    return derive_samples_recipe(
        source_name, data, chosen, rates=(5e-4, 5e-4), end_rate=5e-5, ema=0.999, every=every, comments=comments
    )
