"""Evaluates a generator of samples on the command line."""

from pathlib import Path

import click
import numpy as np

from seedmint.models.card import SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.models.runtime.reference import with_card
from seedmint.training.datasets import load_splits
from seedmint.training.evaluation.generator_file import GeneratorFile
from seedmint.training.evaluation.sample_metrics import measure_samples
from seedmint.training.plotting.sample_plots import plot
from seedmint.training.recipes.data import Data

_NUM_PLOTTED = 2000


def evaluate_samples(path: Path, generator: GeneratorFile, data: Data, out: Path | None, write: bool) -> None:
    """Measure the metrics, print them, and write the requested files.

    Args:
        path: The generator's file.
        generator: The opened file.
        data: The data to compare with.
        out: Path of a plot, a PNG; None writes none.
        write: Whether to write the metrics to the card.

    Raises:
        UserError: The data do not exist, or do not suit the generator.
    """
    card = generator.card
    assert isinstance(card.output, SampleOutput)
    _, held_out = load_splits(data)
    if (held_out.names, held_out.samples.shape[1:]) != (card.output.names, card.output.shape):
        message = f"{held_out.name} and {card.name} have different columns or channels"
        raise UserError(message, field="data", reason="shape_mismatch")
    if card.classes is not None and card.classes != held_out.classes:
        raise UserError(f"{held_out.name} and {card.name} have different labels", field="data", reason="labels_mismatch")
    metrics = measure_samples(data, held_out, card.classes is not None, generator.samples)
    for metric in metrics:
        click.echo(f"{metric.metric}  {metric.value:.4f}  ({metric.protocol})")
    if out is not None:
        generated = generator.samples(np.arange(_NUM_PLOTTED))
        write_whole(out, plot(generated, card.output.names, held_out.samples[:_NUM_PLOTTED]))
        click.echo(f"picture: {out}")
    if write:
        kept = [entry for entry in card.evaluation if entry.metric not in {metric.metric for metric in metrics}]
        updated = card.model_copy(update={"evaluation": (*kept, *metrics)})
        write_whole(path, with_card(path.read_bytes(), updated))
        click.echo(f"updated the card of {path}; the file has a new digest, and the generator has new URLs")
