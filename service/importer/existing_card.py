"""Adds a file that is already a generator file. The card is kept, except the values that options replace."""

from typing import Any

from seedmint.models.card import CARD_KEY, Card
from seedmint.models.contract import check_contract
from seedmint.models.provenance import Dataset
from seedmint.models.runtime.generator_file import GeneratorError, parse_model
from seedmint.models.runtime.reference import with_card
from seedmint.service.importer.importing import ImportedGenerator


def keep_card(
    content: bytes,
    name: str | None = None,
    title: str | None = None,
    data: str | None = None,
    data_licence: str | None = None,
    weights_licence: str | None = None,
) -> ImportedGenerator | None:
    """Return a generator file with its card, or None if the file is not ONNX or has no card.

    Args:
        content: An ONNX file.
        name: New name of the generator; None keeps the name.
        title: New title; None keeps the title.
        data: New name of the training data; None keeps the data.
        data_licence: New licence of the training data; None keeps the licence.
        weights_licence: New licence of the weights; None keeps the licence.

    Raises:
        UserError: The file has a card and violates the contract.
        pydantic.ValidationError: A new value does not fit the card.
    """
    try:
        model = parse_model(content)
    except GeneratorError:  # the import names the format of the file
        return None
    if not any(entry.key == CARD_KEY for entry in model.metadata_props):
        return None
    card = check_contract(model)
    fields: dict[str, Any] = card.model_dump(by_alias=True)
    fields |= {key: value for key, value in {"name": name, "title": title}.items() if value is not None}
    licences = {"data": data_licence, "weights": weights_licence}
    fields["licence"] |= {key: value for key, value in licences.items() if value is not None}
    if data is not None:
        fields["provenance"]["dataset"] = Dataset(name=data)
    changed = Card.model_validate(fields)
    if changed != card:
        content = with_card(content, changed)
    return ImportedGenerator(content, changed, ("a Seedmint generator file: its card is kept",))
