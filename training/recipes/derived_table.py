"""Derives a recipe from a table: networks, objective and steps that were measured on tables with mixed columns."""

from typing import Any

from seedmint.training.recipes.data import Data
from seedmint.training.recipes.derived import DerivedRecipe, recipe_name, recipe_title

_STEPS = 6000
_MAX_M = 256


def derive_table_recipe(source_name: str, data: Data, num_train: int, num_columns: int) -> DerivedRecipe:
    """Return a recipe for a table.

    Args:
        source_name: Name of the file, without its suffix.
        data: The section `data`.
        num_train: Number of training rows.
        num_columns: Number of columns to learn.
    """
    rate = {"start": 5e-4, "end": 5e-5, "steps": _STEPS}
    optimizer = {"kind": "adam", "learning_rate": rate, "beta1": 0.5, "beta2": 0.9}
    network = {"kind": "mlp", "width": 128 if num_columns <= 32 else 256, "layers": 2}
    document: dict[str, Any] = {
        "name": recipe_name(source_name),
        "title": recipe_title(source_name),
        "data": {key: value for key, value in data.model_dump(mode="json").items() if value not in (None, False)},
        "conditional": bool(data.labels),
        "z_dim": 32,
        "generator": network,
        "discriminator": dict(network),
        "objective": "relativistic",
        "penalty": {"r1": 0.1, "r2": 0.1},
        "m": min(_MAX_M, num_train),
        "steps": _STEPS,
        "rule": {"generator": optimizer, "discriminator": dict(optimizer)},
        "ema": 0.999,
        "threads": 1,
        "every": {"log": 100, "checkpoint": 1000},
    }
    comments = {
        "title": "one line for people; the page and the card of the generator show the title",
        "data.columns": "the columns to learn; the others are left out",
        "data.licence": "licence of the data, for the card",
        "conditional": "G and D use the label" if data.labels else "data.label names a column of labels, or several",
        "z_dim": "length of the noise vector of the network; each category has one number more",
        "objective": "with r1 and r2, the best of three objectives on tables with mixed columns",
        "m": "minibatch size, in rows",
        "steps": "iterations; `seedmint resume RUN --set steps=N` trains longer",
        "ema": "the exported generator is an average of the last 1 / (1 - ema) steps",
        "threads": "CPU threads; more of them do not help networks of this size",
    }
    return DerivedRecipe(document, comments)
