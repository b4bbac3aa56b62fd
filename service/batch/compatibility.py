"""Checks that several generators can write to one data set."""

from collections.abc import Sequence

from seedmint.models.card import Card, SampleOutput
from seedmint.service.batch.plan import PlanError


def check_compatible(generators: Sequence[tuple[str, Card]]) -> None:
    """Check that all generators have outputs of the same kind, shape and columns, and that all or none have labels.

    The names of their classes may differ.

    Args:
        generators: SHA-256 and card of each generator.

    Raises:
        PlanError: A generator occurs twice, or one differs from the first.
    """
    (first_digest, first), *others = generators
    digests = {first_digest}
    for digest, card in others:
        if digest in digests:
            raise PlanError(
                f"{card.name}@{digest[:12]} occurs twice and would produce the same {card.output.kind}s twice: name it once",
                field="model",
                reason="duplicate_generator",
            )
        digests.add(digest)
        for found, expected in zip((*_properties(card), *_types(card)), (*_properties(first), *_types(first)), strict=False):
            if found != expected:
                raise PlanError(
                    f"{card.name!r} makes {found}, and {first.name!r} makes {expected}: write them to separate data sets",
                    field="model",
                    reason="incompatible_generators",
                )


def _types(card: Card) -> list[str]:
    """Return the type of each column of a table, with its categories or steps, and the columns of labels."""
    if not isinstance(card.output, SampleOutput):
        return []
    columns = [
        f"the column {each.name!r} as {each.model_dump_json(exclude_defaults=True)}" for each in card.output.columns or ()
    ]
    labels = " and ".join(each.model_dump_json(exclude={"values"}) for each in card.output.label_columns)
    return [
        *columns,
        "values in the units of the data" if card.output.columns is None else "typed columns",
        f"labels as {labels}" if labels else "labels without a column",
    ]


def _properties(card: Card) -> tuple[str, ...]:
    output = card.output
    names = ", ".join(output.names) if isinstance(output, SampleOutput) else "pixels"
    return (
        f"{output.kind}s",
        f"{output.kind}s of {' x '.join(map(str, output.shape))}",
        f"{output.kind}s with the values {names}",
        f"{output.kind}s without labels" if card.classes is None else f"{output.kind}s with labels",
    )
