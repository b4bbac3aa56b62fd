"""What the derived recipes of tables, series and strings have in common."""

from collections.abc import Mapping
from typing import Any

from seedmint.training.recipes.data import Data
from seedmint.training.recipes.derived import DerivedRecipe, recipe_head

_COMMENTS = {
    "title": "one line for people; the page and the card of the generator show the title",
    "data.licence": "licence of the data, for the card",
    "steps": "iterations; `seedmint resume RUN --set steps=N` trains longer",
    "ema": "the exported generator is an average of the last 1 / (1 - ema) steps",
    "threads": "CPU threads; more of them do not help networks of this size",
}


def derive_samples_recipe(
    source_name: str,
    data: Data,
    chosen: Mapping[str, Any],
    *,
    rates: tuple[float, float],
    end_rate: float,
    ema: float,
    every: Mapping[str, int],
    comments: Mapping[str, str],
) -> DerivedRecipe:
    """Return a recipe for samples: small networks on one CPU thread, with Adam and learning rates that fall to the last step.

    Args:
        source_name: Name of the file or the folder, without its suffix.
        data: The section `data`.
        chosen: The fields that depend on the kind of data, with `steps`, as JSON values.
        rates: Learning rates of G and of D at the first step.
        end_rate: Learning rate of both at the last step.
        ema: Decay of the average of G's weights.
        every: The section `every`.
        comments: Further comments by the dotted path of the field.
    """
    rule = {
        network: {
            "kind": "adam",
            "learning_rate": {"start": rate, "end": end_rate, "steps": chosen["steps"]},
            "beta1": 0.5,
            "beta2": 0.9,
        }
        for network, rate in zip(("generator", "discriminator"), rates, strict=True)
    }
    document = {**recipe_head(source_name, data), **chosen, "rule": rule, "ema": ema, "threads": 1, "every": dict(every)}
    return DerivedRecipe(document, {**_COMMENTS, **comments})
