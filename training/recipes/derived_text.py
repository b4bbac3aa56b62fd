"""Derives a recipe from strings: networks, objective and steps that were measured on the words of English."""

from seedmint.training.recipes.data import Data
from seedmint.training.recipes.derived import DerivedRecipe
from seedmint.training.recipes.derived_samples import derive_samples_recipe

_MAX_M = 128


def derive_text_recipe(source_name: str, data: Data, num_train: int) -> DerivedRecipe:
    """Return a recipe for strings.

    Args:
        source_name: Name of the file, without its suffix.
        data: The section `data`.
        num_train: Number of training strings.
    """
    chosen = {
        "z_dim": 16,
        "generator": {"kind": "text", "width": 64},
        "discriminator": {"kind": "text", "width": 64, "layers": 3},
        "objective": "relativistic",
        "penalty": {"r1": 0.01, "r2": 0.01, "every": 4},
        "m": min(_MAX_M, num_train),
        "steps": 3000,
    }
    comments = {
        "z_dim": "length of the noise vector of the network; the choice of each character has more",
        "generator.kind": "text chooses one character after the other; mlp chooses all of them at once",
        "penalty.r1": "penalty on D's gradient at the data; with larger values, D was too weak to improve G beyond n-grams",
        "m": "minibatch size, in strings",
    }
    every = {"log": 100, "preview": 500, "checkpoint": 500}
    return derive_samples_recipe(
        source_name, data, chosen, rates=(4e-3, 2e-3), end_rate=2e-4, ema=0.995, every=every, comments=comments
    )
