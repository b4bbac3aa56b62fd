"""Shows a job: as text for people, and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from seedmint.service.batch.plan import LabelChoice, Plan
from seedmint.service.batch.repair import Repairs
from seedmint.service.batch.verify import Fault
from seedmint.service.cli.batch_run import nouns

_MAX_SEEDS_LENGTH = 60  # characters
_MAX_LABELS_SHOWN = 10


def print_json(document: dict[str, Any]) -> None:
    """Print a JSON document.

    Args:
        document: JSON values.
    """
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the settings of a job as JSON values.

    Args:
        plan: The plan of the job.
    """
    return {
        "generators": [generator.reference for generator in plan.generators],
        "kind": nouns(plan),
        "seeds": plan.seeds,
        "splits": None if plan.splits is None else {split.name: split.count for split in plan.layout},
        "labels": plan.labels,
        "filter": None if plan.filter is None else plan.filter.rule,
        "format": plan.format,
    }


def verification_document(
    plan: Plan, faults: Sequence[Fault], repairs: Repairs | None, others: Sequence[str]
) -> dict[str, Any]:
    """Return the outcome of a verification as JSON values.

    Args:
        plan: The plan of the job.
        faults: The faults that the job has now.
        repairs: The changes of the repair; None without a repair.
        others: Files in the output that are not part of the job.
    """
    return {
        "count": plan.count,
        "shards": plan.num_shards,
        "faults": [asdict(fault) for fault in faults],
        "repaired_shards": None if repairs is None else list(repairs.shards),
        "removed_files": None if repairs is None else list(repairs.removed),
        "other_files": list(others),
    }


def show_plan(plan: Plan) -> None:
    """Print the settings of a job.

    Args:
        plan: The plan of the job.
    """
    seeds = plan.seeds if len(plan.seeds) <= _MAX_SEEDS_LENGTH else plan.seeds[: _MAX_SEEDS_LENGTH - 3] + "..."
    for generator in plan.generators:
        click.echo(f"generator   {generator.reference}, {generator.card.title}")
    click.echo(f"seeds       {seeds}")
    if plan.splits is not None:
        click.echo("splits      " + ", ".join(f"{split.name} {split.count:,}" for split in plan.layout))
    if plan.filter is not None:
        classifiers = ", ".join(dict.fromkeys(each.filter.classifier for each in plan.generators if each.filter is not None))
        click.echo(f"filter      {plan.filter.rule}, by {classifiers}; all numbers below are of {nouns(plan)} that are tried")
    click.echo(f"format      {plan.format}" + ("" if plan.labels is None else f", labels {_labels_text(plan.labels)}"))


def _labels_text(labels: LabelChoice) -> str:
    if not isinstance(labels, dict):
        return str(labels)
    shown = [f"{label}:{weight}" for label, weight in labels.items()]
    return ",".join(shown[:_MAX_LABELS_SHOWN]) + (",..." if len(shown) > _MAX_LABELS_SHOWN else "")
