"""An evaluation in words: the table for a terminal, and the JSON document for machines."""

import hashlib
from collections.abc import Iterable
from typing import Any

from seedmint.models.card import Metric
from seedmint.training.evaluation.evaluate import Evaluation
from seedmint.training.evaluation.generator_file import GeneratorFile
from seedmint.training.evaluation.metric_families import FAMILIES


def figure(value: float, standard_error: float | None = None) -> str:
    """A value as far as it is worth telling: four digits, or as many as its standard error leaves; both in one text."""
    if standard_error is None or standard_error == 0:
        return f"{value:.4g}"
    digits = max(0, 1 - int(f"{standard_error:e}".split("e")[1]))
    return f"{value:.{digits}f} ± {standard_error:.{digits}f}"


def by_protocol(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    """Each protocol, and the metrics that were measured by it."""
    found: dict[str, list[Metric]] = {}
    for metric in metrics:
        found.setdefault(metric.protocol, []).append(metric)
    return found


def table(evaluation: Evaluation, generator: GeneratorFile) -> str:
    """The figures in columns, how to read them, their protocols, and what does not apply."""
    real = evaluation.real_scores
    rows = [("metric", generator.card.name, "real images" if real else "")]
    rows += [
        (metric.metric, figure(metric.value, metric.standard_error), _real_score(metric, real)) for metric in evaluation.metrics
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for name, metrics in evaluation.families.items():
        lines += ["", f"{name}: {FAMILIES[name].reading}"]
        for protocol, those in by_protocol(metrics).items():
            lines.append(f"  {', '.join(metric.metric for metric in those)}: {protocol}")
    if real:
        lines += ["", "real images: training images in the generated ones' place"]
    if evaluation.skipped:
        lines += ["", *(f"{name} does not apply: {reason}" for name, reason in evaluation.skipped.items())]
    return "\n".join(lines)


def document(evaluation: Evaluation, generator: GeneratorFile) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "generator": generator.card.name,
        "digest": hashlib.sha256(generator.content).hexdigest(),
        "data": evaluation.sample.real.name,
        "metrics": [
            {**metric.model_dump(), "real_images": evaluation.real_scores.get(metric.metric)} for metric in evaluation.metrics
        ],
        "classes": [vars(entry) for entry in evaluation.classes()],
        "skipped": evaluation.skipped,
    }


def _real_score(metric: Metric, scores: dict[str, float]) -> str:
    return figure(scores[metric.metric]) if metric.metric in scores else ""
