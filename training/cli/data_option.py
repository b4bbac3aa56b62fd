"""Finds the data to compare a generator with: the option `--data`, or the recipe on the card."""

from typing import Any

from pydantic import ValidationError

from seedmint.models.card import Card
from seedmint.models.errors import UserError, field_errors
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.packed.packing import find_pack
from seedmint.training.recipes.data import PACKED_SOURCES, Data
from seedmint.training.recipes.schema import validate_recipe


def select_data(recipe: dict[str, Any] | None, option: str | None) -> Data:
    """Return the section `data` for an evaluation.

    Args:
        recipe: The recipe on the generator's card, or None.
        option: The value of `--data`, SOURCE or SOURCE:PATH; None uses the recipe.

    Raises:
        UserError: The option is wrong, or it is missing and the card has no usable recipe.
    """
    if option is not None:
        source, _, path = option.partition(":")
        trained_on = (recipe or {}).get("data")
        same_source = trained_on if isinstance(trained_on, dict) and trained_on.get("source") == source else {}
        try:
            return Data.model_validate({**same_source, "source": source, "path": path or None})
        except ValidationError as error:
            raise UserError(f"{option}: {field_errors(error)[0][1]}", field="data", reason="invalid_data_source") from None
    if recipe is None:
        raise UserError("required, because the card has no recipe", field="data", reason="data_required")
    try:
        return validate_recipe(recipe, "the card's recipe").data
    except UserError as error:
        message = f"required, because the card's recipe is not usable: {error.field or 'recipe'}: {error}"
        raise UserError(message, field="data", reason="data_required") from None


Splits = tuple[Dataset, Dataset | None]
"""Training images, and held-out images or None."""


def select_images(card: Card, option: str | None) -> tuple[Data, Splits | None]:
    """Return the section `data` for an evaluation of images, and the images if they are known already.

    Without `--data`, a generator of the user's own images is compared with the packed file of its training images, which the
    digest on the card identifies. The card holds no path.

    Args:
        card: The generator's card.
        option: The value of `--data`; None uses the card.

    Raises:
        UserError: See `select_data`.
    """
    recipe, trained_on = card.provenance.recipe, card.provenance.dataset
    section = (recipe or {}).get("data")
    if option is None and trained_on is not None and trained_on.digest is not None and isinstance(section, dict):
        is_packed = section.get("source") in PACKED_SOURCES
        pack = find_pack(trained_on.digest) if is_packed else None
        if pack is not None:
            data = Data.model_validate({**section, "path": str(pack.path)})
            return data, (pack.train(trained_on.name, data.licence), pack.held_out(trained_on.name, data.licence))
    return select_data(recipe, option), None
