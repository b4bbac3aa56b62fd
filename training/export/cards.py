"""The card of a generator that a run has trained."""

from typing import Any, Literal

from pydantic import ValidationError

from seedmint.models.card import Card, ImageOutput, Noise, SampleOutput, SeriesOutput, lowest_terms
from seedmint.models.columns import Column, LabelColumn
from seedmint.models.errors import UserError, field_errors
from seedmint.models.provenance import Dataset, Licence, Provenance
from seedmint.models.training_curve import TrainingCurve
from seedmint.training.datasets.encodings import encoding_of_document
from seedmint.training.networks import noise_length
from seedmint.training.recipes.schema import Recipe


def card_of_run(
    recipe: Recipe,
    metadata: dict[str, Any],
    step: int,
    name: str,
    title: str | None,
    weights: Literal["ema", "last"],
    curve: TrainingCurve | None = None,
) -> Card:
    """Return the card of a run's generator.

    Args:
        recipe: The run's recipe.
        metadata: The checkpoint's metadata, see `seedmint.training.runs.checkpoint_metadata`.
        step: Number of finished iterations.
        name: Name of the generator.
        title: One line for people; None uses the recipe's title.
        weights: The exported weights.
        curve: Statistics of the run; None if it has logged none.

    Raises:
        UserError: A value is not allowed on a card; `field` names the card's field.
    """
    dataset = metadata["dataset"]
    try:
        return Card(
            name=name,
            title=title or recipe.title,
            noise=Noise(rule=recipe.noise_rule, z_dim=noise_length(recipe.z_dim, encoding_of_document(dataset))),
            classes=tuple(dataset["classes"]) if recipe.conditional else None,
            class_weights=lowest_terms(dataset["class_counts"]) if recipe.conditional else None,
            output=_output(dataset, recipe.conditional),
            provenance=Provenance(
                recipe=recipe.published(),
                recipe_digest=recipe.digest(),
                dataset=Dataset(name=dataset["name"], digest=dataset["digest"], examples=dataset["examples"]),
                steps=step,
                weights=weights,
                training_seed=recipe.seed,
                code_version=metadata["code_version"],
                libraries=metadata["libraries"],
                curve=curve,
            ),
            licence=Licence(data=dataset["licence"], weights="Apache-2.0"),
        )
    except ValidationError as error:
        field, message = field_errors(error)[0]
        raise UserError(f"not allowed on a generator's card: {message}", field=field, reason="invalid_card") from None


def _output(dataset: dict[str, Any], has_labels: bool) -> ImageOutput | SampleOutput:
    if "columns" in dataset:
        labels = tuple(LabelColumn(**label) for label in dataset["labels"]) if has_labels else ()
        return SampleOutput(
            kind="sample",
            shape=dataset["shape"],
            names=dataset["names"],
            columns=tuple(Column(**column) for column in dataset["columns"]),
            label=labels[0] if len(labels) == 1 else None,
            labels=labels if len(labels) > 1 else None,
        )
    if "names" not in dataset:
        height, width, channels = dataset["shape"]
        return ImageOutput(height=height, width=width, channels=channels)
    scaling = dataset["series_encoding"]["scaling"] if "series_encoding" in dataset else dataset["scaling"]
    return SampleOutput(
        kind="sample",
        shape=dataset["shape"],
        names=dataset["names"],
        resolution=scaling["resolution"],
        series=None if dataset.get("series") is None else SeriesOutput(**dataset["series"]),
    )
