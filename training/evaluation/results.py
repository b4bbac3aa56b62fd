"""Formats an evaluation: a table for the terminal, and a JSON document."""

import hashlib
from collections.abc import Iterable
from typing import Any

from seedmint.models.provenance import Metric
from seedmint.training.evaluation.evaluate import Evaluation
from seedmint.training.evaluation.generator_file import GeneratorFile
from seedmint.training.evaluation.metric_families import FAMILIES
from seedmint.training.evaluation.metric_ranges import shown_interval


def format_value(value: float, standard_error: float | None = None) -> str:
    """Format a value with its significant digits.

    Args:
        value: The value.
        standard_error: The value is rounded to two digits of its error; without an error, to four digits.
    """
    if standard_error is None or standard_error == 0:
        return f"{value:.4g}"
    digits = max(0, 1 - int(f"{standard_error:e}".split("e")[1]))
    return f"{value:.{digits}f} ± {standard_error:.{digits}f}"


def format_interval(metric: Metric) -> str:
    """Return the scores of real data that a perfect generator would have, such as "0.04 to 0.06"; empty if not measured.

    Args:
        metric: A metric. The interval is shown within the possible values of the metric.
    """
    return " to ".join(f"{end:.3g}" for end in shown_interval(metric) or ())


def group_by_protocol(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    """Return the metrics of each protocol, in their order.

    Args:
        metrics: Any metrics.
    """
    groups: dict[str, list[Metric]] = {}
    for metric in metrics:
        groups.setdefault(metric.protocol, []).append(metric)
    return groups


def format_table(evaluation: Evaluation, generator: GeneratorFile) -> str:
    """Return the values in columns, with their interpretations and protocols, and the families that do not apply.

    Args:
        evaluation: The evaluation.
        generator: The evaluated generator.
    """
    real = evaluation.real_scores
    rows = [("metric", generator.card.name, "real images", "99.9% of real images")]
    rows += [
        (metric.metric, format_value(metric.value, metric.standard_error), _real_score(metric, real), format_interval(metric))
        for metric in evaluation.metrics
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for name, metrics in evaluation.families.items():
        lines += ["", f"{name}: {FAMILIES[name].interpretation}"]
        for protocol, group in group_by_protocol(metrics).items():
            lines.append(f"  {', '.join(metric.metric for metric in group)}: {protocol}")
    lines += ["", "real images: scores of as many real images against real images, in random draws"]
    if evaluation.skipped:
        lines += ["", *(f"{name} does not apply: {reason}" for name, reason in evaluation.skipped.items())]
    return "\n".join(lines)


def json_document(evaluation: Evaluation, generator: GeneratorFile) -> dict[str, Any]:
    """Return the evaluation as JSON values.

    Args:
        evaluation: The evaluation.
        generator: The evaluated generator.
    """
    return {
        "generator": generator.card.name,
        "digest": hashlib.sha256(generator.content).hexdigest(),
        "data": evaluation.sample.real.name,
        "is_training_data": evaluation.sample.real.is_training_data,
        "metrics": [
            {**metric.model_dump(), "real_images": metric.real, "interval": metric.interval} for metric in evaluation.metrics
        ],
        "classes": [vars(count) for count in evaluation.classes()],
        "skipped": evaluation.skipped,
    }


def _real_score(metric: Metric, scores: dict[str, float]) -> str:
    return format_value(scores[metric.metric]) if metric.metric in scores else ""
