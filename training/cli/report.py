"""The command `report`."""

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
@click.argument("model", metavar="RUN_OR_GENERATOR")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Write the report to this .html file or directory.")
@click.option("--charts", type=click.Path(path_type=Path), help="Also write each chart of a run to this directory, as SVG.")
@DATA
@METRICS
@SAMPLES
@MODELS
def report(
    model: str,
    out: Path,
    charts: Path | None,
    data: str | None,
    metrics: str | None,
    samples: int | None,
    models: Path | None,
) -> None:
    """Write an HTML report about a run or a generator: charts, metrics and images, or a plot of samples.

    RUN_OR_GENERATOR is the directory of a run, whose newest checkpoint is measured; or the name or path of a generator. The
    report is one file without external references.

    \b
    Examples:
      seedmint report runs/d --out report.html
      seedmint report mnist --out mnist.html --metrics frechet,nearest
    """
    from seedmint.training.cli.data_option import select_data, select_images
    from seedmint.training.cli.evaluate_images import measure_images, parse_metrics, write_report
    from seedmint.training.evaluation.generator_file import GeneratorFile, read_generator
    from seedmint.training.report.html_report import render_report, run_charts
    from seedmint.training.report.svg_charts import standalone_svg
    from seedmint.training.runs.directory import read_run_recipe
    from seedmint.training.runs.export_run import export_run

    names = parse_metrics(metrics)
    directory = Path(model)
    if not directory.is_dir():
        if charts is not None:
            raise UserError("only a run has charts", field="charts", reason="not_a_run")
        generator = read_generator(find_generator(model, models or models_directory()))
        if isinstance(generator.card.output, SampleOutput):
            source = select_data(generator.card.provenance.recipe, data)
            _report_samples(generator, source, out, names, samples, None)
            return
        source, splits = select_images(generator.card, data)
        write_report(out, render_report(generator, measure_images(generator, source, names, samples, splits)))
        return
    recipe = read_run_recipe(directory)
    generator = GeneratorFile(export_run(directory, recipe.name, None, None, None))
    source = recipe.data if data is None else select_data(generator.card.provenance.recipe, data)
    if recipe.uses_samples:
        if charts is not None:
            raise UserError("only runs that train on images have charts", field="charts", reason="not_images")
        _report_samples(generator, source, out, names, samples, directory)
        return
    evaluation = measure_images(generator, source, names, samples)
    write_report(out, render_report(generator, evaluation, directory))
    for chart in [] if charts is None else run_charts(directory, generator, evaluation):
        write_whole(Path(str(charts)) / f"{chart.name}.svg", standalone_svg(chart.svg).encode())


def _report_samples(
    generator: Any, data: Data, out: Path, names: tuple[str, ...] | None, samples: int | None, run: Path | None
) -> None:
    from seedmint.training.cli.evaluate_samples import evaluate_samples

    for field, value in (("metrics", names), ("samples", samples)):
        if value:
            raise UserError(f"{generator.card.name} generates samples, not images", field=field, reason="not_images")
    evaluate_samples(None, generator, data, False, out, None, False, run)
