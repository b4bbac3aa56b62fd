"""Evaluates a generator of samples on the command line."""

import hashlib
import json
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Card, SampleOutput
from seedmint.models.columns import column_numbers
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.models.runtime.reference import with_card
from seedmint.training.cli.evaluate_images import write_report
from seedmint.training.datasets import Dataset, load_dataset, load_splits
from seedmint.training.evaluation.generator_file import GeneratorFile
from seedmint.training.evaluation.results import format_interval, format_value
from seedmint.training.evaluation.sample_metrics import RealSamples, measure_samples
from seedmint.training.evaluation.series_metrics import with_missing_of
from seedmint.training.evaluation.table_metrics import table_rows_of
from seedmint.training.plotting.sample_plots import plot
from seedmint.training.plotting.text_pictures import text_picture
from seedmint.training.recipes.data import Data
from seedmint.training.report.column_charts import column_charts
from seedmint.training.report.html_report import render_sample_report
from seedmint.training.report.series_charts import series_charts

_NUM_PLOTTED = 2000


def evaluate_samples(
    path: Path | None,
    generator: GeneratorFile,
    data: Data,
    as_json: bool,
    report: Path | None,
    out: Path | None,
    write: bool,
    training: str = "",
) -> None:
    """Measure the metrics, print them, and write the requested files.

    Args:
        path: The generator's file; None if it is not stored. Used only for `write`.
        generator: The opened file.
        data: The data to compare with.
        as_json: Whether to print JSON.
        report: Path of an HTML report; None writes none.
        out: Path of a plot, a PNG; None writes none.
        write: Whether to write the metrics to the card.
        training: HTML about the run of the generator, for the report; empty without a run.

    Raises:
        UserError: The data do not exist, or do not suit the generator.
    """
    card = generator.card
    assert isinstance(card.output, SampleOutput)
    train, held_out = load_dataset(data), load_splits(data)[1]
    _check_data(card, card.output, held_out)
    metrics = measure_samples(RealSamples(data, train, held_out, card.label_rule()), generator.samples)
    if as_json:
        digest = hashlib.sha256(generator.content).hexdigest()
        values = [metric.model_dump() for metric in metrics]
        click.echo(json.dumps({"generator": card.name, "digest": digest, "data": held_out.name, "metrics": values}, indent=2))
    else:
        for metric in metrics:
            real = "" if metric.interval is None else f"  [real data {format_interval(metric)}]"
            click.echo(f"{metric.metric}  {format_value(metric.value, metric.standard_error)}{real}  ({metric.protocol})")
    if out is not None or report is not None:
        shown, data_rows = generator.samples(np.arange(_NUM_PLOTTED)), held_out.samples[held_out.draw_order[:_NUM_PLOTTED]]
        if card.output.is_text and card.output.columns is not None:
            (column,) = card.output.columns
            picture = text_picture(column.values(shown), column.values(data_rows))
        elif card.output.columns is None:
            picture = plot(shown, card.output.titles, data_rows)
        else:
            columns = card.output.columns
            picture = plot(column_numbers(columns, shown), card.output.names, column_numbers(columns, data_rows))
        if out is not None:
            write_whole(out, picture)
            click.echo(f"picture: {out}", err=True)
        if report is not None:
            charts = _column_charts(generator, shown, held_out, train)
            if shown.ndim == 3:
                charts = series_charts(card.output.titles, data_rows, with_missing_of(shown, held_out), card.output.has_lengths)
            write_report(report, render_sample_report(generator, metrics, picture, held_out.name, training, charts))
    if write and path is not None:
        kept = [entry for entry in card.evaluation if entry.metric not in {metric.metric for metric in metrics}]
        updated = card.model_copy(update={"evaluation": (*kept, *metrics)})
        write_whole(path, with_card(path.read_bytes(), updated))
        click.echo(f"updated the card of {path}; the file has a new digest, and the generator has new URLs", err=True)


def _check_data(card: Card, output: SampleOutput, held_out: Dataset) -> None:
    """Refuse data that do not suit the generator."""
    columns = None if held_out.table is None else held_out.table.columns
    if columns != output.columns or (held_out.names, held_out.samples.shape[1:]) != (output.names, output.shape):
        message = f"{held_out.name} and {card.name} have different columns or channels"
        raise UserError(message, field="data", reason="shape_mismatch")
    if output.has_lengths and not (held_out.series is not None and held_out.series.has_lengths):
        message = f"{card.name} generates series of different lengths, but all series of {held_out.name} have the same length"
        raise UserError(message, field="data", reason="shape_mismatch")
    if card.classes is not None and card.classes != held_out.classes:
        raise UserError(f"{held_out.name} and {card.name} have different labels", field="data", reason="labels_mismatch")


def _column_charts(
    generator: GeneratorFile, generated: NDArray[np.float32], held_out: Dataset, train: Dataset
) -> list[tuple[str, str]]:
    """Return the charts of the columns of a table, also of its label; none for other data."""
    if held_out.table is None or held_out.table.is_text:
        return []
    rule = generator.card.label_rule()
    labels = None if rule is None else rule.labels(np.arange(len(generated)))
    rows = table_rows_of(held_out.table, generated, labels, held_out, train)
    return column_charts(rows.columns, rows.held_out, rows.generated)
