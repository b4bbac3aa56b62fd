"""Derives a recipe from strings: networks, objective and steps that were measured on the words of English."""

from typing import Any

from seedmint.training.recipes.data import Data
from seedmint.training.recipes.derived import DerivedRecipe, recipe_name, recipe_title

_STEPS = 3000
_MAX_M = 128
_RATES = {"generator": 4e-3, "discriminator": 2e-3}


def derive_text_recipe(source_name: str, data: Data, num_train: int) -> DerivedRecipe:
    """Return a recipe for strings.

    Args:
        source_name: Name of the file, without its suffix.
        data: The section `data`.
        num_train: Number of training strings.
    """
    rates = {network: {"start": start, "end": 2e-4, "steps": _STEPS} for network, start in _RATES.items()}
    optimizers = {
        network: {"kind": "adam", "learning_rate": rate, "beta1": 0.5, "beta2": 0.9} for network, rate in rates.items()
    }
    document: dict[str, Any] = {
        "name": recipe_name(source_name),
        "title": recipe_title(source_name),
        "data": {key: value for key, value in data.model_dump(mode="json").items() if value not in (None, False)},
        "z_dim": 16,
        "generator": {"kind": "text", "width": 64},
        "discriminator": {"kind": "text", "width": 64, "layers": 3},
        "objective": "relativistic",
        "penalty": {"r1": 0.01, "r2": 0.01, "every": 4},
        "m": min(_MAX_M, num_train),
        "steps": _STEPS,
        "rule": optimizers,
        "ema": 0.995,
        "threads": 1,
        "every": {"log": 100, "preview": 500, "checkpoint": 500},
    }
    comments = {
        "title": "one line for people; the page and the card of the generator show the title",
        "data.licence": "licence of the data, for the card",
        "z_dim": "length of the noise vector of the network; the choice of each character has more",
        "generator.kind": "text chooses one character after the other; mlp chooses all of them at once",
        "penalty.r1": "penalty on D's gradient at the data; with larger values, D was too weak to improve G beyond n-grams",
        "m": "minibatch size, in strings",
        "steps": "iterations; `seedmint resume RUN --set steps=N` trains longer",
        "ema": "the exported generator is an average of the last 1 / (1 - ema) steps",
        "threads": "CPU threads; more of them do not help networks of this size",
    }
    return DerivedRecipe(document, comments)
