"""The report: one HTML page about a generator and the run that made it. It needs no other file.

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

from seedmint.training.evaluation.evaluate import Evaluation
from seedmint.training.evaluation.generator_file import GeneratorFile, picture
from seedmint.training.evaluation.metric_families import FAMILIES, samples_of
from seedmint.training.evaluation.results import by_protocol, figure
from seedmint.training.objectives import LIMIT
from seedmint.training.plotting.image_grid import grid
from seedmint.training.report.svg_charts import Level, Line, bars, chart
from seedmint.training.runs.event_log import read_log

_TABLE_1 = (  # of the paper: log-likelihood of the MNIST test set, standard error
    Level("DBN 138 ± 2", 138, 2),
    Level("stacked CAE 121 ± 1.6", 121, 1.6),
    Level("deep GSN 214 ± 1.1", 214, 1.1),
    Level("adversarial nets 225 ± 2", 225, 2),
)
_WEIGHTS = {"last": "last weights", "ema": "averaged weights"}
_PREVIEWS = 6
_PAIRS = 10
_MOST_BARS = 40


@dataclass(frozen=True)
class Chart:
    """An <svg> element and a name for it, whether it takes the page's whole width, and what to say below it."""

    name: str
    svg: str
    wide: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows."""

    address: str
    caption: str


def page(generator: GeneratorFile, evaluation: Evaluation, run: Path | None = None) -> str:
    """The page.

    Args:
        generator: whose it is.
        evaluation: of the generator.
        run: directory of the run that made it, for curves and previews.
    """
    card = generator.card
    images, columns = picture(generator)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        card=card,
        digest=hashlib.sha256(generator.content).hexdigest(),
        recipe=None if card.provenance.recipe is None else yaml.safe_dump(card.provenance.recipe, sort_keys=False),
        evaluation=evaluation,
        families=FAMILIES,
        figure=figure,
        by_protocol=by_protocol,
        curves=[] if run is None else curves(run, generator, evaluation),
        previews=[] if run is None else _previews(run),
        picture=_picture(grid(images, columns), ""),
        classes=_classes(evaluation),
        pairs=_pairs(evaluation),
    )


def curves(run: Path, generator: GeneratorFile, evaluation: Evaluation) -> list[Chart]:
    """The charts of a run's log, against the epoch.

    Args:
        run: its directory.
        generator: of its newest checkpoint.
        evaluation: of the generator.
    """
    entries = read_log(run / "log.jsonl")
    epoch = _steps_an_epoch(generator)
    statistics = [entry for entry in entries if "V" in entry]
    charts = []
    if statistics:
        x = [entry["step"] / epoch for entry in statistics]
        value, jsd, real, fake = ([entry[key] for entry in statistics] for key in ("V", "JSD", "D(x)", "D(G(z))"))
        drawn = {
            "value": chart("V(G, D), nats", "epoch", [Line("V", x, value)], [Level("-log 4", LIMIT)]),
            "jsd": chart(
                "JSD estimate (V + log 4) / 2, nats", "epoch", [Line("JSD", x, jsd)], [Level("0", 0), Level("log 2", log(2))]
            ),
            "d": chart("D(x) and D(G(z))", "epoch", [Line("D(x)", x, real), Line("D(G(z))", x, fake)], [Level("½", 0.5)]),
        }
        charts = [Chart(name, svg) for name, svg in drawn.items()]
    for name, series in _measured(entries).items():
        lines = [_line(_WEIGHTS[weights], points, epoch) for weights, points in series.items()]
        published = _TABLE_1 if name.startswith("parzen") and _of_mnist(generator) else ()
        drawn_levels = [*published, *_real_level(name, evaluation)]
        caption = "Dashed, with ±: Table 1 of the paper." if published else ""
        charts.append(Chart(name, chart(name, "epoch", lines, drawn_levels, bool(published)), bool(published), caption))
    return charts


def _line(label: str, points: Sequence[tuple[int, dict[str, Any]]], epoch: float) -> Line:
    errors = [metric["standard_error"] for _, metric in points if "standard_error" in metric]
    x, y = [step / epoch for step, _ in points], [metric["value"] for _, metric in points]
    return Line(label, x, y, errors if len(errors) == len(points) else None)


def _steps_an_epoch(generator: GeneratorFile) -> float:
    provenance = generator.card.provenance
    assert provenance.recipe is not None
    assert provenance.dataset is not None
    assert provenance.dataset.examples is not None
    minibatches: int = provenance.dataset.examples // provenance.recipe["m"]
    return minibatches / int(provenance.recipe["k"])


_Points = list[tuple[int, dict[str, Any]]]


def _measured(entries: Sequence[dict[str, Any]]) -> dict[str, dict[str, _Points]]:
    """By metric and by the generator's weights, the steps at which it was measured, and its entries."""
    found: dict[str, dict[str, _Points]] = {}
    for entry in entries:
        for metric in entry.get("metrics", ()):
            series = found.setdefault(metric["metric"], {})
            series.setdefault(entry.get("weights", "last"), []).append((entry["step"], metric))
    return found


def _of_mnist(generator: GeneratorFile) -> bool:
    recipe = generator.card.provenance.recipe
    return recipe is not None and recipe["data"]["source"] == "mnist"


def _real_level(name: str, evaluation: Evaluation) -> list[Level]:
    """What real images score, if it was measured as the run measures."""
    for family, metrics in evaluation.families.items():
        usual = all(metric.samples == samples_of(family, None) for metric in metrics)
        if usual and name in {metric.metric for metric in metrics} and name in evaluation.real_scores:
            return [Level(f"real images {figure(evaluation.real_scores[name])}", evaluation.real_scores[name])]
    return []


def _previews(run: Path) -> list[Picture]:
    """Some of the run's previews, evenly spaced, the first and the last among them."""
    files = sorted((run / "previews").glob("step-*.png"))
    rows = np.unique(np.linspace(0, len(files) - 1, min(_PREVIEWS, len(files))).round().astype(int))
    return [_picture(files[row].read_bytes(), f"step {int(files[row].stem.removeprefix('step-')):,}") for row in rows]


def _classes(evaluation: Evaluation) -> str | None:
    counts = evaluation.classes()
    if not counts or len(counts) > _MOST_BARS:
        return None
    groups = [("training images", [count.data for count in counts]), ("generated", [count.generated for count in counts])]
    if all(count.recognised is not None for count in counts):
        names = [f"{count.name}\n{count.recognised:.0%}" for count in counts]
        return bars("Share of each class; below its name, how many asked for are seen as it", names, groups)
    return bars("Share of each class", [count.name for count in counts], groups)


def _pairs(evaluation: Evaluation) -> list[Picture]:
    """Generated images above their nearest training images: the nearest of all, and the first seeds'."""
    metrics = evaluation.families.get("nearest")
    if metrics is None:
        return []
    found = evaluation.sample.nearest(metrics[0].samples)
    closest = np.argsort(found.distances, kind="stable")[:_PAIRS]
    return [
        _picture(_above(evaluation, closest, found.rows[closest]), f"the {len(closest)} that lie nearest to a training image"),
        _picture(_above(evaluation, np.arange(_PAIRS), found.rows[:_PAIRS]), f"seeds 0 to {_PAIRS - 1}"),
    ]


def _above(evaluation: Evaluation, generated: NDArray[np.int64], train: NDArray[np.int64]) -> bytes:
    sample = evaluation.sample
    both = np.concatenate([sample.images[generated], sample.real.train.images[train]])
    return grid(both.transpose(0, 2, 3, 1), len(generated))


def _picture(content: bytes, caption: str) -> Picture:
    return Picture(f"data:image/png;base64,{base64.b64encode(content).decode()}", caption)
