"""The command `report`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from seedmint.models.card import SampleOutput
from seedmint.models.directory import find_generator, models_directory
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.training.cli.options import DATA, METRICS, MODELS, SAMPLES
from seedmint.training.recipes.data import Data


@click.command()
@click.argument("model", metavar="RUN_OR_GENERATOR...", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Write the report to this .html file or directory.")
@click.option("--charts", type=click.Path(path_type=Path), help="Also write each chart of a run to this directory, as SVG.")
@DATA
@METRICS
@SAMPLES
@MODELS
def report(
    model: tuple[str, ...],
    out: Path,
    charts: Path | None,
    data: str | None,
    metrics: str | None,
    samples: int | None,
    models: Path | None,
) -> None:
    """Write an HTML report about a run or a generator, or compare several runs.

    RUN_OR_GENERATOR is the directory of a run, whose newest checkpoint is measured; or the name or path of a generator. The
    report has metrics and images, or a plot of samples; for a run also the page of `seedmint watch`: curves, previews and
    notes. Several runs, or a directory with several, are compared on this page. The report is one file without external
    references.

    \b
    Examples:
      seedmint report runs/d --out report.html
      seedmint report runs/a runs/b --out compared.html
      seedmint report mnist --out mnist.html --metrics frechet,nearest
    """
    from seedmint.training.cli.evaluate_images import write_report

    directories = [Path(each) for each in model]
    if len(model) > 1 or (directories[0].is_dir() and not (directories[0] / "recipe.yaml").is_file()):
        for field, value in (("charts", charts), ("data", data), ("metrics", metrics), ("samples", samples)):
            if value is not None:
                raise UserError("a report of several runs only compares their logs", field=field, reason="several_runs")
        from seedmint.training.watch.page import recorded_page
        from seedmint.training.watch.run_view import find_runs

        with _field("model"):
            write_report(out, recorded_page(find_runs(tuple(directories))))
    elif directories[0].is_dir():
        _report_run(directories[0], out, charts, data, metrics, samples)
    else:
        if charts is not None:
            raise UserError("only a run has charts", field="charts", reason="not_a_run")
        _report_generator(find_generator(model[0], models or models_directory()), out, data, metrics, samples)


@contextmanager
def _field(name: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        error.field = name
        raise


def _report_generator(path: Path, out: Path, data: str | None, metrics: str | None, samples: int | None) -> None:
    from seedmint.training.cli.data_option import select_data, select_images
    from seedmint.training.cli.evaluate_images import measure_images, parse_metrics, write_report
    from seedmint.training.evaluation.generator_file import read_generator
    from seedmint.training.report.html_report import render_report

    names = parse_metrics(metrics)
    generator = read_generator(path)
    if isinstance(generator.card.output, SampleOutput):
        _report_samples(generator, select_data(generator.card.provenance.recipe, data), out, names, samples)
        return
    source, splits = select_images(generator.card, data)
    write_report(out, render_report(generator, measure_images(generator, source, names, samples, splits)))


def _report_run(
    directory: Path, out: Path, charts: Path | None, data: str | None, metrics: str | None, samples: int | None
) -> None:
    from seedmint.training.cli.data_option import select_data
    from seedmint.training.cli.evaluate_images import measure_images, parse_metrics, write_report
    from seedmint.training.evaluation.generator_file import GeneratorFile
    from seedmint.training.report.html_report import chart_levels, render_report, run_charts
    from seedmint.training.report.svg_charts import standalone_svg
    from seedmint.training.runs.directory import read_run_recipe
    from seedmint.training.runs.export_run import export_run
    from seedmint.training.watch.page import recorded_parts
    from seedmint.training.watch.run_view import RunView

    names, view, recipe = parse_metrics(metrics), RunView(directory), read_run_recipe(directory)
    generator = GeneratorFile(export_run(directory, recipe.name, None, None, None))
    source = recipe.data if data is None else select_data(generator.card.provenance.recipe, data)
    if recipe.uses_samples:
        if charts is not None:
            raise UserError("only runs that train on images have charts", field="charts", reason="not_images")
        _report_samples(generator, source, out, names, samples, recorded_parts([view]))
        return
    evaluation = measure_images(generator, source, names, samples)
    training = recorded_parts([view], chart_levels(generator, evaluation))
    write_report(out, render_report(generator, evaluation, training))
    for chart in [] if charts is None else run_charts(directory, generator, evaluation):
        write_whole(Path(str(charts)) / f"{chart.name}.svg", standalone_svg(chart.svg).encode())


def _report_samples(
    generator: Any, data: Data, out: Path, names: tuple[str, ...] | None, samples: int | None, training: str = ""
) -> None:
    from seedmint.training.cli.evaluate_samples import evaluate_samples

    for field, value in (("metrics", names), ("samples", samples)):
        if value:
            raise UserError(f"{generator.card.name} generates samples, not images", field=field, reason="not_images")
    evaluate_samples(None, generator, data, False, out, None, False, training)
