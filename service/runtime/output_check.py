"""Checks the promise of a generator on this machine: the same seed gives the same output, in every batch, on every machine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seedmint.models.card import Card
from seedmint.models.reference import MAX_REFERENCE_SEEDS, digest_outputs, greatest_difference
from seedmint.service.runtime.arrays import Outputs, SeedArray

Determinism = Literal["exact", "approximate"]


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """Outcome of the check of one generator on this machine.

    Attributes:
        seeds: Number of seeds that were checked, from 0.
        outputs: SHA-256 of the outputs of these seeds on this machine, as in the reference of the card.
        expected: SHA-256 in the reference of the card; None for a card without a reference.
        is_batch_independent: Whether each seed gave the same bytes in batches of every tested size.
        difference: Greatest absolute difference that was measured, from the stored outputs of the reference and between
            batches, in gray levels or in the units of the samples; 0 for an exact generator; None if outputs differ and no
            stored output shows by how much.
    """

    seeds: int
    outputs: str
    expected: str | None
    is_batch_independent: bool
    difference: float | None

    @property
    def determinism(self) -> Determinism:
        """ "exact" if the outputs are the reference of the card in batches of every tested size, else "approximate"."""
        return "exact" if self.is_batch_independent and self.outputs == self.expected else "approximate"

    def describe(self, card: Card) -> str:
        """Return the outcome in one line.

        Args:
            card: The card of the generator.
        """
        if self.determinism == "exact":
            return "exact"
        unit = "" if card.output.kind != "image" else " gray level" if self.difference == 1 else " gray levels"
        causes = []
        if self.expected is None:
            causes.append("the card has no reference: run `seedmint models upgrade FILE`")
        elif self.outputs != self.expected:
            causes.append("outputs differ from the reference")
        if not self.is_batch_independent:
            causes.append("outputs depend on the batch")
        measured = "not measured" if self.difference is None else f"{self.difference:g}{unit}"
        return f"approximate: {' and '.join(causes)}; greatest difference {measured}"


def check_outputs(generate: Callable[[SeedArray], Outputs], card: Card, max_batch: int) -> OutputCheck:
    """Compare the outputs of the first seeds with the reference of the card, and batches of several sizes with each other.

    Args:
        generate: Returns the outputs of int64[n] seeds, with their own labels and truncation 1, in batches of at most
            `max_batch`.
        card: The card of the generator.
        max_batch: Most outputs in one batch.

    Raises:
        UserError: A run failed.
    """
    reference = card.reference
    count = min(MAX_REFERENCE_SEEDS, max_batch) if reference is None else reference.seeds
    outputs = generate(np.arange(count, dtype=np.int64))
    difference, is_batch_independent = 0.0, True
    for seeds in _batches(count, max_batch):
        batch = generate(seeds)
        known = seeds < count
        expected = outputs[seeds[known]]
        if batch[known].tobytes() != expected.tobytes():
            is_batch_independent = False
            difference = max(difference, greatest_difference(batch[known], expected))
    digest = digest_outputs(outputs)
    if reference is not None and digest != reference.sha256:
        difference = max(difference, reference.difference(outputs))
    expected_digest = None if reference is None else reference.sha256
    is_exact = is_batch_independent and digest == expected_digest
    return OutputCheck(count, digest, expected_digest, is_batch_independent, difference if difference or is_exact else None)


def _batches(count: int, max_batch: int) -> Iterator[SeedArray]:
    """Yield the seeds of batches that are compared with the outputs of seeds 0 to count - 1 in batches of `max_batch`."""
    seeds = np.arange(count, dtype=np.int64)
    if max_batch == 1:  # the outputs are from batches of 1 already: repeat one, because a graph can have a state
        yield seeds[-1:]
        return
    yield from (seeds[i : i + 1] for i in sorted({*range(min(4, count)), count - 1}))
    if max_batch > 7:
        yield from (part for part in (seeds[:7], seeds[7:14], seeds[-7:]) if 1 < len(part) < count)
    if max_batch > count:
        yield np.arange(max_batch, dtype=np.int64)
