"""`seedmint evaluate` on a generator of samples: its figures against held-out data, a picture of both, and the card."""

from pathlib import Path

import click
import numpy as np

from seedmint.models.card import SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.training.datasets import load_splits
from seedmint.training.evaluation.generator_file import GeneratorFile
from seedmint.training.evaluation.sample_metrics import measure_samples
from seedmint.training.export.onnx_export import with_card
from seedmint.training.plotting.sample_plots import plot
from seedmint.training.recipes.schema import Data

_SHOWN = 2000  # samples in the picture, of each


def evaluate_samples(path: Path, generator: GeneratorFile, data: Data, out: Path | None, write: bool) -> None:
    """Print the metrics that apply.

    Args:
        path: the generator's file.
        generator: the same, opened.
        data: to measure against.
        out: where to write a picture, a PNG; None writes none.
        write: whether to put the figures into the file's card.

    Raises:
        UserError: the data are not there, or not those of the generator.
    """
    card = generator.card
    assert isinstance(card.output, SampleOutput)
    _, held_out = load_splits(data)
    if (held_out.names, held_out.samples.shape[1:]) != (card.output.names, card.output.shape):
        raise UserError(f"--data: {held_out.name} has other columns or channels than {card.name}")
    if card.classes is not None and card.classes != held_out.classes:
        raise UserError(f"--data: {held_out.name} has other labels than {card.name}")
    metrics = measure_samples(data, held_out, card.classes is not None, generator.samples)
    for metric in metrics:
        click.echo(f"{metric.metric}  {metric.value:.4f}  ({metric.protocol})")
    if out is not None:
        write_whole(out, plot(generator.samples(np.arange(_SHOWN)), card.output.names, held_out.samples[:_SHOWN]))
        click.echo(f"picture: {out}")
    if write:
        kept = [entry for entry in card.evaluation if entry.metric not in {metric.metric for metric in metrics}]
        updated = card.model_copy(update={"evaluation": (*kept, *metrics)})
        write_whole(path, with_card(path.read_bytes(), updated))
        click.echo(f"card of {path} updated; its digest, and so its addresses, are new")
