"""The command line of measuring: `seedmint evaluate` and `seedmint report`."""

import json
import time
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import ValidationError
from rich.console import Console

from seedmint.models.card import SampleOutput, field_errors
from seedmint.models.directory import find_generator, models_directory
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.training.cli.evaluate_samples import evaluate_samples
from seedmint.training.cli.train import MODELS
from seedmint.training.evaluation.evaluate import TRUSTED_ACCURACY, Evaluation, card_with, evaluate_generator
from seedmint.training.evaluation.generator_file import GeneratorFile, picture, read_generator
from seedmint.training.evaluation.metric_families import FAMILIES, SAMPLES
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.evaluation.results import document, table
from seedmint.training.export.onnx_export import with_card
from seedmint.training.plotting.image_grid import grid
from seedmint.training.recipes.schema import Data, MetricName, validated
from seedmint.training.report.html_report import curves, page
from seedmint.training.report.svg_charts import standalone
from seedmint.training.runs.directory import recipe_of
from seedmint.training.runs.export_run import export_run

_DATA = click.option(
    "--data",
    metavar="SOURCE[:PATH]",
    help="Data to measure against: digits, mnist, ..., or folder:PATH, npz:PATH, table:PATH, series:PATH. Default: the card's.",
)
_METRICS = click.option(
    "--metrics", metavar="NAME,NAME", help=f"What to measure, of {', '.join(FAMILIES)}. Default: all that apply."
)
_SAMPLES = click.option(
    "--samples",
    type=click.IntRange(10, 100_000),
    help=f"Generated images for each metric. Default: {SAMPLES:,}; for "
    + ", ".join(f"{name} {family.samples:,}" for name, family in FAMILIES.items() if family.samples != SAMPLES)
    + ".",
)


@click.command()
@click.argument("generator")
@_DATA
@_METRICS
@_SAMPLES
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON document.")
@click.option("--report", type=click.Path(path_type=Path), help="Write a page with pictures here (.html, or into a directory).")
@click.option("--out", type=click.Path(path_type=Path), help="Write a picture of the generator here (.png).")
@click.option("--write", is_flag=True, help="Write the figures into the file's card, which gives the file a new digest.")
@MODELS
def evaluate(
    generator: str,
    data: str | None,
    metrics: str | None,
    samples: int | None,
    as_json: bool,
    report: Path | None,
    out: Path | None,
    write: bool,
    models: Path | None,
) -> None:
    """Measure a generator file: all metrics that apply to it and its data.

    GENERATOR is a name in the models directory, or a path. Figures compare only where metric and protocol are the same; those
    in the features of a classifier bear its name. Samples, which are not images, are compared with data held out from
    training: each column's distribution, the correlations of columns.

    \b
    Examples:
      seedmint evaluate mnist
      seedmint evaluate mine --metrics frechet,prdc --report mine.html
      seedmint evaluate mine --write --out mine.png
    """
    if out is not None and out.suffix.lower() != ".png":
        raise UserError(f"--out: {out} must end in .png, which is what is written")
    path = find_generator(generator, models or models_directory())
    opened = read_generator(path)
    source = _data_of(opened.card.provenance.recipe, data)
    if isinstance(opened.card.output, SampleOutput):
        given = {"--metrics": metrics, "--samples": samples, "--json": as_json, "--report": report}
        if alone := [option for option, value in given.items() if value]:
            raise UserError(f"{alone[0]} is for generators of images, and {opened.card.name} makes samples")
        evaluate_samples(path, opened, source, out, write)
        return
    evaluation = _measured(opened, source, _families(metrics), samples)
    click.echo(json.dumps(document(evaluation, opened), indent=2) if as_json else table(evaluation, opened))
    if not evaluation.judge_is_trusted:
        message = f"the classifier is right on only {evaluation.judge_accuracy:.1%} of real images, too few to judge by"
        if write:
            raise UserError(f"--write: {message} (at least {TRUSTED_ACCURACY:.0%})")
        click.echo(f"Warning: {message}", err=True)
    if out is not None:
        images, columns = picture(opened)
        write_whole(out, grid(images, columns))
        click.echo(f"picture: {out}", err=True)
    if report is not None:
        _write_page(report, page(opened, evaluation))
    if write:
        write_whole(path, with_card(opened.content, card_with(opened.card, evaluation)))
        click.echo(f"card of {path} updated; its digest, and so its addresses, are new", err=True)


@click.command()
@click.argument("subject", metavar="RUN_OR_GENERATOR")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The page (.html, or into a directory).")
@click.option("--charts", type=click.Path(path_type=Path), help="Write a run's curves here too, each an SVG file of its own.")
@_DATA
@_METRICS
@_SAMPLES
@MODELS
def report(
    subject: str,
    out: Path,
    charts: Path | None,
    data: str | None,
    metrics: str | None,
    samples: int | None,
    models: Path | None,
) -> None:
    """Write a page about a run or a generator: its curves, its metrics, its pictures.

    RUN_OR_GENERATOR is a run's directory, whose newest checkpoint is measured; or a generator's name or path. The page is one
    file that needs no other.

    \b
    Examples:
      seedmint report runs/d --out report.html
      seedmint report mnist --out mnist.html --metrics frechet,nearest
    """
    names = _families(metrics)
    directory = Path(subject)
    if not directory.is_dir():
        if charts is not None:
            raise UserError("--charts: only a run has curves")
        opened = read_generator(find_generator(subject, models or models_directory()))
        source = _data_of(opened.card.provenance.recipe, data)
        _write_page(out, page(opened, _measured(opened, source, names, samples)))
        return
    recipe = recipe_of(directory)
    if recipe.of_samples:
        raise UserError(f"{directory} trains a generator of samples, and a report is about images: see its log and previews")
    opened = GeneratorFile(export_run(directory, recipe.name, None, None, None))
    source = recipe.data if data is None else _data_of(opened.card.provenance.recipe, data)
    evaluation = _measured(opened, source, names, samples)
    _write_page(out, page(opened, evaluation, directory))
    for chart in [] if charts is None else curves(directory, opened, evaluation):
        write_whole(Path(str(charts)) / f"{chart.name}.svg", standalone(chart.svg).encode())


def _families(metrics: str | None) -> tuple[MetricName, ...] | None:
    if metrics is None:
        return None
    asked, known = [part.strip() for part in metrics.split(",")], get_args(MetricName)
    if wrong := next((name for name in asked if name not in known), None):
        raise UserError(f"--metrics: {wrong!r} is not one of {', '.join(known)}")
    return tuple(name for name in known if name in asked)


def _measured(generator: GeneratorFile, source: Data, names: tuple[MetricName, ...] | None, samples: int | None) -> Evaluation:
    if isinstance(generator.card.output, SampleOutput):
        raise UserError(f"{generator.card.name} makes samples, and a report is about images: see `seedmint evaluate`")
    with _Tasks() as tasks:
        return evaluate_generator(generator.card, generator.images, RealData(source), names, samples, tasks.begin)


class _Tasks:
    """Shows what is done, from the first task on: a moving line on a terminal; for each task that is over, a line."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status("")
        self._task, self._began = "", 0.0

    def __enter__(self) -> "_Tasks":
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self._end()
        self._status.stop()

    def begin(self, task: str) -> None:
        """Show the next task."""
        self._end()
        self._task, self._began = task, time.monotonic()
        self._status.update(task)
        if self._console.is_terminal:
            self._status.start()

    def _end(self) -> None:
        if self._task:
            self._console.print(f"{self._task}: {time.monotonic() - self._began:.1f} s", highlight=False)


def _write_page(out: Path, content: str) -> None:
    path = out if out.suffix.lower() == ".html" else out / "report.html"
    write_whole(path, content.encode())
    click.echo(f"report: {path}", err=True)


def _data_of(recipe: dict[str, Any] | None, asked: str | None) -> Data:
    if asked is not None:
        source, _, path = asked.partition(":")
        trained_on = (recipe or {}).get("data")  # which columns, which size
        known = trained_on if isinstance(trained_on, dict) and trained_on.get("source") == source else {}
        try:
            return Data.model_validate({**known, "source": source, "path": path or None})
        except ValidationError as error:
            raise UserError(f"--data {asked}: {field_errors(error)[0][1]}") from None
    if recipe is None:
        raise UserError("--data is missing: the card does not say what the generator was trained on")
    try:
        return validated(recipe, "the card's recipe").data
    except UserError as error:
        raise UserError(f"--data is missing, and cannot be taken from the card: {error}") from None
