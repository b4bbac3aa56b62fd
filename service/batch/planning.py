"""Makes plans, and compares the plan of an output with the plan of the options."""

from itertools import pairwise
from typing import Any, Literal

from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.models.runtime.provider import Provider
from seedmint.models.seeds import Seeds
from seedmint.service.batch.formats.base import ShardFormat, check_format, toolchain
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.runtime.generator import check_truncation

MAX_SHARDS = 1_000_000  # file names have six digits


def make_plan(
    model: str,
    card: Card,
    provider: Provider,
    seeds: Seeds,
    labels: int | Literal["balanced", "per-seed"] | None,
    truncation: float,
    shard_format: ShardFormat,
    shard_size: int,
) -> Plan:
    """Make a plan and check that its parts fit together.

    Args:
        model: SHA-256 of the generator file.
        card: The card of the generator.
        provider: ONNX Runtime execution provider.
        seeds: The seeds.
        labels: As in `Plan`. None means "per-seed" for a conditional generator.
        truncation: Factor on z.
        shard_format: Format of the shards.
        shard_size: Seeds in each shard.

    Raises:
        UserError: A part does not fit; `field` is the part.
    """
    check_format(shard_format, card)
    try:
        check_truncation(truncation)
    except UserError as error:
        raise PlanError(str(error), field="truncation", reason="out_of_range") from None
    if card.classes is None and labels is not None:
        raise PlanError(f"generator {card.name!r} is not conditional", field="labels", reason="not_conditional")
    if card.classes is not None and labels is None:
        labels = "per-seed"
    _check_distinct(seeds, card)
    if shard_size < 1:
        raise PlanError("must be at least 1", field="shard_size", reason="out_of_range")
    check_num_shards(seeds.count, shard_size, MAX_SHARDS)
    return Plan(
        model=model,
        card=card,
        provider=provider,
        seeds=str(seeds),
        labels=labels,
        truncation=truncation,
        format=shard_format,
        shard_size=shard_size,
        toolchain=toolchain(shard_format, card),
    )


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
    for field, value in existing:
        other: Any = getattr(plan, field)
        if value == other:
            continue
        if field == "toolchain":
            raise PlanError(
                f"{url} was started with {difference(value, other)}, and the bytes may differ: "
                f"use the versions of the job, or another output",
                reason="other_toolchain",
            )
        raise PlanError(
            f"{other} differs from the job in {url}, which has {value}: use the same value, or another output",
            field=field,
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
