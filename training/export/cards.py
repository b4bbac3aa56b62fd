"""The card of a generator that a run has trained."""

from typing import Any, Literal

from pydantic import ValidationError

from seedmint.models.card import Card, Dataset, ImageOutput, Licence, Noise, Provenance, SampleOutput, field_errors
from seedmint.models.errors import UserError
from seedmint.training.recipes.schema import Recipe


def card_of_run(
    recipe: Recipe, facts: dict[str, Any], step: int, name: str, title: str | None, weights: Literal["ema", "last"]
) -> Card:
    """What the generator after `step` iterations shall say of itself.

    Args:
        recipe: the run's.
        facts: the checkpoint's, see `seedmint.training.runs.run.facts_of`.
        name, title: the generator's; a title of None is the recipe's.

    Raises:
        UserError: naming what cannot stand on a card.
    """
    data = facts["dataset"]
    try:
        return Card(
            name=name,
            title=title or recipe.title,
            noise=Noise(rule=recipe.noise_rule, z_dim=recipe.z_dim),
            classes=tuple(data["classes"]) if recipe.conditional else None,
            output=_output(data),
            provenance=Provenance(
                recipe=recipe.published(),
                recipe_digest=recipe.digest(),
                dataset=Dataset(name=data["name"], digest=data["digest"], examples=data["examples"]),
                steps=step,
                weights=weights,
                training_seed=recipe.seed,
                code_version=facts["code_version"],
                libraries=facts["libraries"],
            ),
            licence=Licence(data=data["licence"], weights="Apache-2.0"),
        )
    except ValidationError as error:
        field, message = field_errors(error)[0]
        raise UserError(f"{field} cannot stand on a generator's card: {message}") from None


def _output(data: dict[str, Any]) -> ImageOutput | SampleOutput:
    if "names" not in data:
        height, width, channels = data["shape"]
        return ImageOutput(height=height, width=width, channels=channels)
    return SampleOutput(kind="sample", shape=data["shape"], names=data["names"], resolution=data["scaling"]["resolution"])
