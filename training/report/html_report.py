"""The HTML report of a generator and its run: one file without external references.

The same generator and the same log give the same bytes.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml
from numpy.typing import NDArray

from seedmint.models.provenance import Metric
from seedmint.training.evaluation.evaluate import Evaluation
from seedmint.training.evaluation.generator_file import GeneratorFile, picture_images
from seedmint.training.evaluation.metric_families import FAMILIES, num_samples
from seedmint.training.evaluation.metrics.cells import coarse_pixels, suspicion
from seedmint.training.evaluation.results import format_interval, format_value, group_by_protocol
from seedmint.training.objectives import OBJECTIVES, Objective
from seedmint.training.plotting.image_grid import grid
from seedmint.training.report.svg_charts import Level, Line, bars, chart
from seedmint.training.runs.event_log import read_log
from seedmint.training.runs.progress import HELD_OUT_JSD, HELD_OUT_JSD_ERROR

# Table 1 of the paper: log-likelihood of the MNIST test set in nats, and its standard error.
_TABLE_1 = (
    Level("DBN 138 ± 2", 138, 2),
    Level("stacked CAE 121 ± 1.6", 121, 1.6),
    Level("deep GSN 214 ± 1.1", 214, 1.1),
    Level("adversarial nets 225 ± 2", 225, 2),
)
_PARZEN = "parzen-log-likelihood"
_WEIGHTS_LABELS = {"last": "last weights", "ema": "averaged weights"}
_NUM_PAIRS = 10
_MAX_BARS = 40


@dataclass(frozen=True)
class Chart:
    """A chart of a run.

    Attributes:
        name: Name of the chart, and of its file.
        svg: An <svg> element.
    """

    name: str
    svg: str


@dataclass(frozen=True)
class Picture:
    """A picture of the report.

    Attributes:
        url: A PNG as a `data:` URL.
        caption: Text below the picture.
    """

    url: str
    caption: str


def render_report(generator: GeneratorFile, evaluation: Evaluation, training: str = "") -> str:
    """Return the HTML of a report.

    Args:
        generator: The generator.
        evaluation: The generator's evaluation.
        training: HTML about the run of the generator, with scripts; empty without a run.
    """
    card = generator.card
    images, columns = picture_images(generator)
    return _template("report.html").render(
        card=card,
        digest=hashlib.sha256(generator.content).hexdigest(),
        recipe=None if card.provenance.recipe is None else yaml.safe_dump(card.provenance.recipe, sort_keys=False),
        evaluation=evaluation,
        families=FAMILIES,
        format_value=format_value,
        format_interval=format_interval,
        group_by_protocol=group_by_protocol,
        training=training,
        picture=_picture(grid(images, columns), ""),
        classes=_classes(evaluation),
        pairs=_pairs(evaluation),
    )


def render_sample_report(
    generator: GeneratorFile,
    metrics: Sequence[Metric],
    plot: bytes,
    data_name: str,
    training: str = "",
    columns: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the HTML of a report about a generator of samples.

    Args:
        generator: The generator.
        metrics: Its metrics.
        plot: A PNG of generated samples beside held-out samples.
        data_name: Name of the held-out samples.
        training: HTML about the run of the generator, with scripts; empty without a run.
        columns: Name and <svg> element of each chart of columns or channels; see `column_charts` and `series_charts`.
    """
    recipe = generator.card.provenance.recipe
    return _template("sample_report.html").render(
        card=generator.card,
        digest=hashlib.sha256(generator.content).hexdigest(),
        recipe=None if recipe is None else yaml.safe_dump(recipe, sort_keys=False),
        picture=_picture(plot, "").url,
        columns=columns,
        data=data_name,
        metrics=metrics,
        format_value=format_value,
        format_interval=format_interval,
        training=training,
    )


def _template(name: str) -> jinja2.Template:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def run_charts(run: Path, generator: GeneratorFile, evaluation: Evaluation) -> list[Chart]:
    """Return the charts of a run's log. The horizontal axis is the epoch.

    Args:
        run: The run's directory.
        generator: The generator of the newest checkpoint.
        evaluation: The generator's evaluation.
    """
    entries = read_log(run / "log.jsonl")
    epoch = _steps_per_epoch(generator)
    statistics = [entry for entry in entries if "V" in entry]
    charts = []
    if statistics:
        charts = _statistics_charts([entry["step"] / epoch for entry in statistics], statistics, _objective(generator))
    for name, series in _metric_series(entries).items():
        lines = [_line(_WEIGHTS_LABELS[weights], points, epoch) for weights, points in series.items()]
        table_1 = _TABLE_1 if name == _PARZEN and _is_mnist(generator) else ()
        levels = [*table_1, *_real_level(name, evaluation)]
        charts.append(Chart(name, chart(name, "epoch", lines, levels, bool(table_1))))
    return charts


def _statistics_charts(x: list[float], statistics: Sequence[dict[str, Any]], objective: Objective) -> list[Chart]:
    value, real, fake = ([entry[key] for entry in statistics] for key in ("V", "D(x)", "D(G(z))"))
    unit, limit = (", nats", "-log 4") if objective.estimates_jsd else ("", "equilibrium")
    svgs = {"value": chart(f"V(G, D){unit}", "epoch", [Line("V", x, value)], [Level(limit, objective.equilibrium)])}
    if objective.estimates_jsd:
        jsd, levels = [entry["JSD"] for entry in statistics], [Level("0", 0), Level("log 2", log(2))]
        lines = [Line("JSD", x, jsd)]
        if all(HELD_OUT_JSD in entry for entry in statistics):
            errors = [entry[HELD_OUT_JSD_ERROR] for entry in statistics] if HELD_OUT_JSD_ERROR in statistics[0] else None
            lines.append(Line("held out", x, [entry[HELD_OUT_JSD] for entry in statistics], errors))
        svgs["jsd"] = chart("JSD estimate (V + log 4) / 2, nats", "epoch", lines, levels)
    svgs["d"] = chart("D(x) and D(G(z))", "epoch", [Line("D(x)", x, real), Line("D(G(z))", x, fake)], [Level("½", 0.5)])
    return [Chart(name, svg) for name, svg in svgs.items()]


def _objective(generator: GeneratorFile) -> Objective:
    recipe = generator.card.provenance.recipe
    assert recipe is not None
    return OBJECTIVES[recipe["objective"]]


def _line(label: str, points: Sequence[tuple[int, dict[str, Any]]], epoch: float) -> Line:
    errors = [metric["standard_error"] for _, metric in points if "standard_error" in metric]
    x, y = [step / epoch for step, _ in points], [metric["value"] for _, metric in points]
    return Line(label, x, y, errors if len(errors) == len(points) else None)


def _steps_per_epoch(generator: GeneratorFile) -> float:
    provenance = generator.card.provenance
    assert provenance.recipe is not None
    assert provenance.dataset is not None
    assert provenance.dataset.examples is not None
    minibatches: int = provenance.dataset.examples // provenance.recipe["m"]
    return minibatches / int(provenance.recipe["k"])


_Points = list[tuple[int, dict[str, Any]]]


def _metric_series(entries: Sequence[dict[str, Any]]) -> dict[str, dict[str, _Points]]:
    """Return by metric and weights the steps of the measurements and their log entries."""
    metrics: dict[str, dict[str, _Points]] = {}
    for entry in entries:
        for metric in entry.get("metrics", ()):
            series = metrics.setdefault(metric["metric"], {})
            series.setdefault(entry.get("weights", "last"), []).append((entry["step"], metric))
    return metrics


def _is_mnist(generator: GeneratorFile) -> bool:
    recipe = generator.card.provenance.recipe
    return recipe is not None and recipe["data"]["source"] == "mnist"


def chart_levels(generator: GeneratorFile, evaluation: Evaluation) -> dict[str, list[tuple[str, float]]]:
    """Return by metric the values to compare with: of Table 1 of the paper, and the score of real images.

    Args:
        generator: The generator.
        evaluation: The generator's evaluation.
    """
    levels = {metric.metric: _real_level(metric.metric, evaluation) for metric in evaluation.metrics}
    if _is_mnist(generator):
        levels[_PARZEN] = [*_TABLE_1, *levels.get(_PARZEN, [])]
    return {name: [(level.label, level.value) for level in found] for name, found in levels.items() if found}


def _real_level(name: str, evaluation: Evaluation) -> list[Level]:
    """Return the score of real images, if the evaluation used the same number of images as the run."""
    for family, metrics in evaluation.families.items():
        is_default = all(metric.samples == num_samples(family, None, evaluation.sample.real) for metric in metrics)
        if is_default and name in {metric.metric for metric in metrics} and name in evaluation.real_scores:
            return [Level(f"real images {format_value(evaluation.real_scores[name])}", evaluation.real_scores[name])]
    return []


def _classes(evaluation: Evaluation) -> str | None:
    counts = evaluation.classes()
    if not counts or len(counts) > _MAX_BARS:
        return None
    groups = [("training images", [count.data for count in counts]), ("generated", [count.generated for count in counts])]
    if all(count.recognised is not None for count in counts):
        names = [f"{count.name}\n{count.recognised:.0%}" for count in counts]
        return bars("Share of each class; below the name: share of correct labels", names, groups)
    return bars("Share of each class", [count.name for count in counts], groups)


def _pairs(evaluation: Evaluation) -> list[Picture]:
    """Return generated images above their nearest training images: the most suspicious pairs, and the first seeds."""
    metrics = evaluation.families.get("nearest")
    if metrics is None:
        return []
    neighbors = evaluation.sample.nearest(metrics[0].samples)
    real, n = evaluation.sample.real, metrics[0].samples
    cell = real.cells.of(coarse_pixels(evaluation.sample.images[:n]))
    degree = suspicion(neighbors.distances, cell, real.control_images[1], real.control_cells)
    closest = np.argsort(degree, kind="stable")[:_NUM_PAIRS]
    return [
        _picture(
            _grid_of_pairs(evaluation, closest, neighbors.rows[closest]),
            f"the {len(closest)} most suspicious pairs: the smallest distances, relative to real images of the same cell",
        ),
        _picture(
            _grid_of_pairs(evaluation, np.arange(_NUM_PAIRS), neighbors.rows[:_NUM_PAIRS]), f"seeds 0 to {_NUM_PAIRS - 1}"
        ),
    ]


def _grid_of_pairs(evaluation: Evaluation, generated: NDArray[np.int64], train: NDArray[np.int64]) -> bytes:
    sample = evaluation.sample
    both = np.concatenate([sample.images[generated], sample.real.train.images[train]])
    return grid(both.transpose(0, 2, 3, 1), len(generated))


def _picture(content: bytes, caption: str) -> Picture:
    return Picture(f"data:image/png;base64,{base64.b64encode(content).decode()}", caption)
