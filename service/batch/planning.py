"""Makes plans from the options of jobs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.models.runtime.provider import Provider
from seedmint.models.seeds import Seeds, parse_seeds, quoted
from seedmint.service.batch.classifier import combined, plan_filter
from seedmint.service.batch.compatibility import check_compatible
from seedmint.service.batch.formats.base import ShardFormat, check_format, default_format, toolchain
from seedmint.service.batch.label_weights import MAX_PERIOD, period
from seedmint.service.batch.plan import SPLIT_NAME, LabelChoice, LabelWeights, Plan, PlanError
from seedmint.service.batch.plan_generator import PlanGenerator
from seedmint.service.runtime.generator import Generator, check_truncation
from seedmint.service.runtime.output_check import Determinism

MAX_SHARDS = 1_000_000  # file names have six digits
SHARD_SIZE = 10_000  # unless a job has another


@dataclass(frozen=True, slots=True)
class CheckedGenerator:
    """The attributes of a generator that a plan contains. A `Generator` has these attributes too.

    Attributes:
        digest: SHA-256 of the generator file.
        card: Its card.
        provider: ONNX Runtime execution provider.
        determinism: Outcome of the generator's check.
    """

    digest: str
    card: Card
    provider: Provider = "cpu"
    determinism: Determinism = "exact"


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The options of a job. The command line, the HTTP API and the Python API build one, and `make_plan` checks it.

    Attributes:
        seeds: The seeds.
        splits: Number of seeds by the name of the split, in the order of the seeds; the numbers add up to the number of seeds.
            None for a data set without splits.
        labels: As in `Plan`. None means "per-seed" for a conditional generator.
        truncation: Factor on z.
        format: Format of the shards; None for the usual format of the generator's outputs.
        shard_size: Seeds in each shard.
        filter: Rule of the images to keep, as `FilterRule` parses it; None for all.
    """

    seeds: Seeds
    splits: dict[str, int] | None = None
    labels: LabelChoice | None = None
    truncation: float = 1.0
    format: ShardFormat | None = None
    shard_size: int = SHARD_SIZE
    filter: str | None = None


def make_plan(
    generator: Generator | CheckedGenerator, spec: JobSpec, others: Sequence[Generator | CheckedGenerator] = ()
) -> Plan:
    """Make a plan and check that its parts fit together.

    Args:
        generator: The generator, or the first of several.
        spec: The options of the job.
        others: The other generators. Each makes all seeds.

    Raises:
        UserError: A part does not fit; `field` is the part.
    """
    card, generators = generator.card, (generator, *others)
    shard_format = spec.format or default_format(card)
    check_compatible([(each.digest, each.card) for each in generators])
    check_format(shard_format, card, bool(others))
    try:
        for each in generators:
            check_truncation(spec.truncation, each.card)
    except UserError as error:
        raise PlanError(str(error), field="truncation", reason=error.reason) from None
    _check_distinct(spec, card)
    if spec.shard_size < 1:
        raise PlanError("must be at least 1", field="shard_size", reason="out_of_range")
    parts = len(generators) * (1 if spec.splits is None else len(spec.splits))
    for count in (spec.seeds.count,) if spec.splits is None else spec.splits.values():
        check_num_shards(count, spec.shard_size, MAX_SHARDS // parts)
    first, *rest = (_plan_generator(each, spec.filter, shard_format) for each in generators)
    return Plan(
        model=first.model,
        card=card,
        provider=generator.provider,
        seeds=str(spec.seeds),
        labels=_checked_labels(spec.labels, [each.card for each in generators]),
        truncation=spec.truncation,
        format=shard_format,
        shard_size=spec.shard_size,
        splits=spec.splits,
        filter=first.filter,
        toolchain=first.toolchain,
        others=tuple(rest),
    )


def _plan_generator(generator: Generator | CheckedGenerator, rule: str | None, shard_format: ShardFormat) -> PlanGenerator:
    card, job_filter = generator.card, plan_filter(rule, generator.card)
    versions = toolchain(shard_format, card, combined(generator.determinism, job_filter))
    return PlanGenerator(model=generator.digest, card=card, filter=job_filter, toolchain=versions)


def spec_of(plan: Plan) -> JobSpec:
    """Return the options that give a plan.

    Args:
        plan: The plan.
    """
    rule = None if plan.filter is None else plan.filter.rule
    return JobSpec(plan.sequence, plan.splits, plan.labels, plan.truncation, plan.format, plan.shard_size, rule)


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


def _checked_labels(labels: LabelChoice | None, cards: Sequence[Card]) -> LabelChoice | None:
    """Return the labels of a plan.

    Raises:
        PlanError: A generator does not have these labels.
    """
    card = min(cards, key=lambda each: len(each.classes or ()))  # all are conditional, or none is
    if card.classes is None and labels is not None:
        raise PlanError(f"generator {card.name!r} is not conditional", field="labels", reason="not_conditional")
    if card.classes is not None and labels is None:
        return "per-seed"
    if isinstance(labels, int) and labels >= len(card.classes or ()):
        raise _label_error(labels, card)
    return _checked_weights(labels, card) if isinstance(labels, dict) else labels


def _label_error(label: int, card: Card) -> PlanError:
    return PlanError(
        f"{label} is out of range: {card.name!r} has the labels 0 to {len(card.classes or ()) - 1}",
        field="labels",
        reason="out_of_range",
    )


def _checked_weights(weights: LabelWeights, card: Card) -> LabelWeights:
    """Return the weights in the order of the labels.

    Raises:
        PlanError: A label is out of range, or the sequence of labels would be too long.
    """
    if max(weights) >= len(card.classes or ()):
        raise _label_error(max(weights), card)
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


def _check_distinct(spec: JobSpec, card: Card) -> None:
    for before, after in pairwise(sorted(spec.seeds.ranges, key=lambda r: r.start)):
        if after.start < before.stop:
            raise PlanError(
                f"{after.start} occurs twice and would produce the same {card.output.kind} twice: remove one seed",
                field="seeds" if spec.splits is None else "split",
                reason="duplicate_seed",
            )
