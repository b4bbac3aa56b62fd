"""Derives a recipe from series: networks, objective and steps."""

from typing import Any

from seedmint.training.recipes.data import Data
from seedmint.training.recipes.derived import DerivedRecipe, recipe_name, recipe_title

_STEPS = 6000
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
    rate = {"start": 5e-4, "end": 5e-5, "steps": _STEPS}
    optimizer = {"kind": "adam", "learning_rate": rate, "beta1": 0.5, "beta2": 0.9}
    is_short = length < _MIN_SEQUENCE
    generator: dict[str, Any] = {"kind": "mlp", "width": 128} if is_short else {"kind": "sequence", "width": 32}
    document: dict[str, Any] = {
        "name": recipe_name(source_name),
        "title": recipe_title(source_name),
        "data": {key: value for key, value in data.model_dump(mode="json").items() if value not in (None, False)},
        "conditional": data.label is not None,
        "z_dim": min(64, 16 * max(1, channels)),
        "generator": generator,
        "discriminator": dict(generator) if is_short else {**generator, "spectral_norm": True},
        "objective": "non-saturating",
        "m": min(_MAX_M, num_train),
        "steps": _STEPS,
        "rule": {"generator": optimizer, "discriminator": dict(optimizer)},
        "ema": 0.999,
        "threads": 1,
        "every": {"log": 100, "checkpoint": 1000},
    }
    comments = {
        "title": "one line for people; the page and the card of the generator show the title",
        "data.window": "steps of a window",
        "data.missing": "interpolate: a line between the neighbors; mask: missing values are not learned",
        "data.licence": "licence of the data, for the card",
        "conditional": "G and D use the label" if data.label is not None else "data.label names a column of labels",
        "z_dim": "length of the noise vector of the network",
        "generator.width": "channels at half the length, doubled at each halving" if not is_short else "units of a layer",
        "m": "minibatch size, in series",
        "steps": "iterations; `seedmint resume RUN --set steps=N` trains longer",
        "ema": "the exported generator is an average of the last 1 / (1 - ema) steps",
        "threads": "CPU threads; more of them do not help networks of this size",
    }
    return DerivedRecipe(document, comments)
