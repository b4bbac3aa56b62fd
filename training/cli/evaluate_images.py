"""Evaluates a generator of images on the command line."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

import click

from seedmint.models.card import SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.models.runtime.reference import with_card
from seedmint.training.cli.data_option import Splits
from seedmint.training.cli.task_progress import TaskProgress
from seedmint.training.evaluation.evaluate import (
    MIN_CLASSIFIER_ACCURACY,
    Evaluation,
    card_with_metrics,
    evaluate_generator,
)
from seedmint.training.evaluation.generator_file import GeneratorFile, picture_images
from seedmint.training.evaluation.neighbours import nearest_training_images, shows_images
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.evaluation.results import format_table, json_document
from seedmint.training.plotting.image_grid import grid
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.schema import ImageMetric
from seedmint.training.report.html_report import render_report


def evaluate_images(
    path: Path,
    generator: GeneratorFile,
    data: Data,
    splits: Splits | None,
    metrics: str | None,
    samples: int | None,
    as_json: bool,
    report: Path | None,
    out: Path | None,
    write: bool,
    shows_training_images: bool | None,
) -> None:
    """Measure the metrics, print them, and write the requested files.

    Args:
        path: The generator's file.
        generator: The opened file.
        data: The data to compare with.
        splits: The images of `data`; None loads them.
        metrics: Names of metric families, separated by commas; None measures all that apply.
        samples: Number of generated images; None uses the default of each family.
        as_json: Whether to print JSON.
        report: Path of an HTML report; None writes none.
        out: Path of a picture; None writes none.
        write: Whether to write the metrics, and the nearest training images of the first seeds, to the card.
        shows_training_images: Whether the card has these images and not only their rows; None: if the data are public.

    Raises:
        UserError: The data do not suit the generator, or the classifier is too inaccurate for `write`.
    """
    evaluation = measure_images(generator, data, parse_metrics(metrics), samples, splits)
    click.echo(json.dumps(json_document(evaluation, generator), indent=2) if as_json else format_table(evaluation, generator))
    if not evaluation.is_classifier_reliable:
        message = f"the classifier recognizes only {evaluation.classifier_accuracy:.1%} of real images"
        if write:
            message = f"{message}; a card requires {MIN_CLASSIFIER_ACCURACY:.0%}"
            raise UserError(message, field="write", reason="unreliable_classifier")
        click.echo(f"Warning: {message}; do not rely on the metrics that use it", err=True)
    if out is not None:
        images, columns = picture_images(generator)
        write_whole(out, grid(images, columns))
        click.echo(f"picture: {out}", err=True)
    if report is not None:
        write_report(report, render_report(generator, evaluation))
    if write:
        neighbours = nearest_training_images(evaluation, shows_images(data, shows_training_images))
        card = card_with_metrics(generator.card, evaluation, neighbours)
        write_whole(path, with_card(generator.content, card))
        click.echo(f"updated the card of {path}; the file has a new digest, and the generator has new URLs", err=True)


def parse_metrics(metrics: str | None) -> tuple[ImageMetric, ...] | None:
    """Parse the option `--metrics`.

    Args:
        metrics: Names separated by commas, or None.

    Returns:
        The families in their usual order, or None.

    Raises:
        UserError: A name is unknown.
    """
    if metrics is None:
        return None
    requested, known = [part.strip() for part in metrics.split(",")], get_args(ImageMetric)
    if unknown := next((name for name in requested if name not in known), None):
        nearest = get_close_matches(unknown, known, n=1)
        cure = f"did you mean {nearest[0]}?" if nearest else f"choose from {', '.join(known)}"
        raise UserError(f"{unknown!r} is no metric: {cure}", field="metrics", reason="unknown_metric")
    return tuple(name for name in known if name in requested)


def measure_images(
    generator: GeneratorFile,
    data: Data,
    names: tuple[ImageMetric, ...] | None,
    samples: int | None,
    splits: Splits | None = None,
) -> Evaluation:
    """Measure a generator of images and show the progress.

    Args:
        generator: The generator.
        data: The data to compare with.
        names: The metric families; None measures all that apply.
        samples: Number of generated images; None uses the default of each family.
        splits: The images of `data`; None loads them.

    Raises:
        UserError: The generator generates samples, or the data do not suit it.
    """
    if isinstance(generator.card.output, SampleOutput):
        message = f"{generator.card.name} generates samples; reports exist only for images: use `seedmint evaluate`"
        raise UserError(message, reason="not_images")
    trained_on = generator.card.provenance.dataset
    digest = None if trained_on is None or trained_on.digest is None else trained_on.digest
    with TaskProgress() as progress:
        real = RealData(data, splits, progress.show_part, digest or "unknown")
        evaluation = evaluate_generator(generator.card, generator.images, real, names, samples, progress.start_task)
    if digest is not None and not real.is_training_data:
        message = f"{real.name} is not the data that {generator.card.name} was trained on: their digests differ"
        click.echo(f"Warning: {message}", err=True)
    return evaluation


def write_report(out: Path, content: str) -> None:
    """Write an HTML report and print its path.

    Args:
        out: A .html file, or a directory.
        content: The HTML.
    """
    path = out if out.suffix.lower() == ".html" else out / "report.html"
    write_whole(path, content.encode())
    click.echo(f"report: {path}", err=True)
