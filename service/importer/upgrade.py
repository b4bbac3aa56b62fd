"""Rewrites the card of a generator file in the present schema, with a reference of this machine. The weights stay the same."""

import json
from typing import Any

import numpy as np

from seedmint.models.card import CARD_KEY, MAX_CARD, SCHEMA_VERSION, Card, read_card
from seedmint.models.contract import card_of
from seedmint.models.noise import noise
from seedmint.models.runtime.generator_file import parse_model
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.models.runtime.provider import Provider
from seedmint.models.runtime.reference import with_card, with_reference
from seedmint.service.importer.truncation import TRIED_SEEDS, TRIED_TRUNCATION, truncation_has_effect


def upgrade(content: bytes, provider: Provider = "cpu", threads: int = 1) -> bytes:
    """Return a generator file whose card has the present schema and a reference.

    Args:
        content: The bytes of a generator file, whose card has schema 1, or schema 2 without a reference.
        provider: Execution provider that computes the reference.
        threads: CPU threads of one run.

    Returns:
        The same graph with the new card. `content` itself if its card needs no change.

    Raises:
        UserError: The bytes are not a generator file, the card has an unknown schema, or the generator does not run.
    """
    model = parse_model(content)
    texts = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if len(texts) == 1 and (document := _first_schema(texts[0])) is not None:
        card = read_card(json.dumps(_converted(document)))
        content = with_card(content, card)
        if card.truncation == "z" and not _truncation_has_effect(content, provider, threads):
            content = with_card(content, card.model_copy(update={"truncation": "none"}))
    elif card_of(model).reference is not None:
        return content
    return with_reference(content, provider, threads)


def _first_schema(text: str) -> dict[str, Any] | None:
    """Return the document of a card with schema 1, or None."""
    try:
        document = json.loads(text) if len(text) <= MAX_CARD else None
    except (ValueError, RecursionError):
        return None
    is_first = isinstance(document, dict) and type(document.get("schema")) is int and document["schema"] == 1
    return document if is_first else None


def _converted(document: dict[str, Any]) -> dict[str, Any]:
    """Convert a card with schema 1. `read_card` checks the result."""
    converted = document | {"schema": SCHEMA_VERSION, "truncation": document.get("truncation") or "z"}
    provenance = document.get("provenance")
    if isinstance(provenance, dict) and "reference_difference" in provenance:
        others = {key: value for key, value in provenance.items() if key != "reference_difference"}
        converted["provenance"] = others | {"import": {"difference": provenance["reference_difference"]}}
    return converted


def _truncation_has_effect(content: bytes, provider: Provider, threads: int) -> bool:
    """Return whether the outputs change if z is multiplied by a factor."""
    session = GeneratorSession(content, provider, threads)
    card: Card = session.card
    seeds = np.arange(min(TRIED_SEEDS, session.max_batch), dtype=np.int64)
    z = noise(card.noise.rule, card.noise.z_dim, seeds)
    rule = card.label_rule()
    labels = None if rule is None else rule.labels(seeds)
    return truncation_has_effect(session.run(z, labels), session.run(z * np.float32(TRIED_TRUNCATION), labels))
