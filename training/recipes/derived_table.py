"""Derives a recipe from a table: networks, objective and steps that were measured on tables with mixed columns."""

from seedmint.training.recipes.data import Data
from seedmint.training.recipes.derived import DerivedRecipe
from seedmint.training.recipes.derived_samples import derive_samples_recipe

_MAX_M = 256


def derive_table_recipe(source_name: str, data: Data, num_train: int, num_columns: int) -> DerivedRecipe:
    """Return a recipe for a table.

    Args:
        source_name: Name of the file, without its suffix.
        data: The section `data`.
        num_train: Number of training rows.
        num_columns: Number of columns to learn.
    """
    network = {"kind": "mlp", "width": 128 if num_columns <= 32 else 256, "layers": 2}
    chosen = {
        "conditional": bool(data.labels),
        "z_dim": 32,
        "generator": network,
        "discriminator": dict(network),
        "objective": "relativistic",
        "penalty": {"r1": 0.1, "r2": 0.1},
        "m": min(_MAX_M, num_train),
        "steps": 6000,
    }
    comments = {
        "data.columns": "the columns to learn; the others are left out",
        "conditional": "G and D use the label" if data.labels else "data.label names a column of labels, or several",
        "z_dim": "length of the noise vector of the network; each category has one number more",
        "objective": "with r1 and r2, the best of three objectives on tables with mixed columns",
        "m": "minibatch size, in rows",
    }
    every = {"log": 100, "checkpoint": 1000}
    return derive_samples_recipe(
        source_name, data, chosen, rates=(5e-4, 5e-4), end_rate=5e-5, ema=0.999, every=every, comments=comments
    )
