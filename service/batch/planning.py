"""Makes plans, and compares the plan of an output with the plan of the options."""

import re
from collections.abc import Sequence
from itertools import pairwise

from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.models.runtime.provider import Provider
from seedmint.models.seeds import Seeds, parse_seeds, quoted
from seedmint.service.batch.formats.base import ShardFormat, check_format, toolchain
from seedmint.service.batch.label_weights import MAX_PERIOD, period
from seedmint.service.batch.plan import SPLIT_NAME, LabelChoice, LabelWeights, Plan, PlanError
from seedmint.service.runtime.generator import check_truncation
from seedmint.service.runtime.output_check import Determinism

MAX_SHARDS = 1_000_000  # file names have six digits


def make_plan(
    model: str,
    card: Card,
    provider: Provider,
    determinism: Determinism,
    seeds: Seeds,
    labels: LabelChoice | None,
    truncation: float,
    shard_format: ShardFormat,
    shard_size: int,
    splits: dict[str, int] | None = None,
) -> Plan:
    """Make a plan and check that its parts fit together.

    Args:
        model: SHA-256 of the generator file.
        card: The card of the generator.
        provider: ONNX Runtime execution provider.
        determinism: Outcome of the generator's check on this machine.
        seeds: The seeds.
        labels: As in `Plan`. None means "per-seed" for a conditional generator.
        truncation: Factor on z.
        shard_format: Format of the shards.
        shard_size: Seeds in each shard.
        splits: As in `Plan`; the numbers add up to the number of seeds.

    Raises:
        UserError: A part does not fit; `field` is the part.
    """
    check_format(shard_format, card)
    try:
        check_truncation(truncation, card)
    except UserError as error:
        raise PlanError(str(error), field="truncation", reason=error.reason) from None
    if card.classes is None and labels is not None:
        raise PlanError(f"generator {card.name!r} is not conditional", field="labels", reason="not_conditional")
    if card.classes is not None and labels is None:
        labels = "per-seed"
    if isinstance(labels, dict):
        labels = _checked_weights(labels, card)
    _check_distinct(seeds, card)
    if shard_size < 1:
        raise PlanError("must be at least 1", field="shard_size", reason="out_of_range")
    for count in (seeds.count,) if splits is None else splits.values():
        check_num_shards(count, shard_size, MAX_SHARDS // (1 if splits is None else len(splits)))
    return Plan(
        model=model,
        card=card,
        provider=provider,
        seeds=str(seeds),
        labels=labels,
        truncation=truncation,
        format=shard_format,
        shard_size=shard_size,
        splits=splits,
        toolchain=toolchain(shard_format, card, determinism),
    )


def join_splits(splits: Sequence[tuple[str, Seeds]]) -> tuple[Seeds, dict[str, int]]:
    """Return the seeds of all splits in order, and the number of seeds of each.

    Args:
        splits: Name and seeds of each split.

    Raises:
        PlanError: A name is malformed, or occurs twice.
    """
    sizes: dict[str, int] = {}
    for name, seeds in splits:
        if not re.fullmatch(SPLIT_NAME, name):
            raise PlanError(
                f"{quoted(name)} is not a name of a split: use small letters, digits and _, as in train=0-59999",
                field="split",
                reason="malformed_split",
            )
        if name in sizes:
            raise PlanError(f"{name} occurs twice: give all its seeds at once", field="split", reason="duplicate_split")
        sizes[name] = seeds.count
    return parse_seeds(",".join(str(seeds) for _, seeds in splits)), sizes


def _checked_weights(weights: LabelWeights, card: Card) -> LabelWeights:
    """Return the weights in the order of the labels.

    Raises:
        PlanError: A label is out of range, or the sequence of labels would be too long.
    """
    classes = len(card.classes or ())
    if any(label >= classes for label in weights):
        raise PlanError(
            f"{max(weights)} is out of range: {card.name!r} has the labels 0 to {classes - 1}",
            field="labels",
            reason="out_of_range",
        )
    if period(weights) > MAX_PERIOD:
        raise PlanError(
            f"the weights give a sequence of {period(weights):,} labels, more than {MAX_PERIOD:,}: use smaller weights",
            field="labels",
            reason="too_many_labels",
        )
    return dict(sorted(weights.items()))


def check_num_shards(count: int, shard_size: int, max_shards: int) -> None:
    """Check the number of shards of a job.

    Args:
        count: Number of seeds.
        shard_size: Seeds in each shard.
        max_shards: Largest number of shards.

    Raises:
        PlanError: The job has more shards.
    """
    if -(-count // shard_size) > max_shards:
        least = -(-count // max_shards)
        raise PlanError(
            f"{shard_size} results in more than {max_shards:,} shards: use at least {least:,}",
            field="shard_size",
            reason="too_many_shards",
        )


def _check_distinct(seeds: Seeds, card: Card) -> None:
    for before, after in pairwise(sorted(seeds.ranges, key=lambda r: r.start)):
        if after.start < before.stop:
            raise PlanError(
                f"{after.start} occurs twice and would produce the same {card.output.kind} twice: remove one seed",
                field="seeds",
                reason="duplicate_seed",
            )


def check_same(existing: Plan, plan: Plan, url: str) -> None:
    """Check that the plan of an output is the plan of the options.

    Args:
        existing: The plan of the output.
        plan: The plan of the options.
        url: The output, for the error message.

    Raises:
        PlanError: The plans differ. `field` names the first difference.
    """
    if existing.model != plan.model:
        raise PlanError(
            f"{url} holds a job of {existing.card.name}@{existing.model[:12]}, and this generator is "
            f"{plan.card.name}@{plan.model[:12]}: use the generator of the job, or another output",
            field="model",
            reason="other_generator",
        )
    for field in Plan.model_fields:  # the iterator of a model also yields its cached properties, such as arrays
        value, other = getattr(existing, field), getattr(plan, field)
        if value == other:
            continue
        if field == "toolchain":
            raise PlanError(
                f"{url} was started with {difference(value, other)}, and the bytes may differ: "
                f"use a machine and versions like those of the job, or another output",
                reason="other_toolchain",
            )
        raise PlanError(
            f"{other} differs from the job in {url}, which has {value}: use the same value, or another output",
            field="split" if field == "splits" else field,
            reason="other_plan",
        )


def difference(before: dict[str, str], now: dict[str, str]) -> str:
    """Describe the differences of two toolchains.

    Args:
        before: The toolchain of a plan.
        now: The toolchain of this process.
    """
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return ", ".join(f"{name} {before.get(name, 'unknown')} (here: {now.get(name, 'none')})" for name in names)
