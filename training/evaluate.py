"""Evaluation of a generator file: how often an independent classifier sees the label that was asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from models.card import Card, Metric
from models.contract import check_contract
from models.errors import UserError
from models.noise import labels_of, noise
from training import classifier
from training.datasets import Dataset

IMAGES_A_LABEL = 100

_BATCH = 100
_SILENT = 4  # ONNX Runtime logs fatal errors alone; others are raised


class GeneratorFile:
    """A generator file opened for measuring, on the CPU.

    Args:
        content: the file's bytes.

    Raises:
        UserError: it is not a generator file.
    """

    def __init__(self, content: bytes) -> None:
        try:
            model = onnx.load_from_string(content)
        except Exception as error:  # protobuf's DecodeError has no public home that all versions share
            raise UserError(f"not an ONNX file: {error}") from None
        self.card: Card = check_contract(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base
            raise UserError(f"ONNX Runtime cannot run it: {_first_line(error)}") from None

    def images(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """uint8[n, height, width, channels]; `labels` default to the seeds' own."""
        return self._outputs(seeds, labels)

    def samples(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """float32[n, ...] of a generator of samples; `labels` default to the seeds' own."""
        return self._outputs(seeds, labels)

    def _outputs(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None) -> NDArray[Any]:
        classes = len(self.card.classes or ())
        parts = []
        for start in range(0, len(seeds), _BATCH):
            part = slice(start, start + _BATCH)
            feeds: dict[str, NDArray[Any]] = {"z": noise(self.card.noise.rule, self.card.noise.z_dim, seeds[part])}
            if classes:
                feeds["label"] = labels_of(seeds[part], classes) if labels is None else labels[part]
            try:
                parts.append(self._session.run([self.card.output.kind], feeds)[0])
            except Exception as error:
                raise UserError(f"ONNX Runtime cannot run {self.card.name}: {_first_line(error)}") from None
        return np.concatenate(parts)


def label_accuracy(generator: GeneratorFile, train: Dataset, test: Dataset) -> tuple[Metric, list[float], float]:
    """The share of images recognised as the label they were asked for, `IMAGES_A_LABEL` a label.

    Args:
        generator: conditional, of the data set's classes and image shape.
        train, test: the splits that the classifier learns from and is measured on.

    Returns:
        the metric, the share for each label, and how often the classifier is right on real images.

    Raises:
        UserError: the generator has no labels, or not those of the data.
    """
    card = generator.card
    if card.classes is None or card.classes != train.classes:
        raise UserError(
            f"{card.name} has the classes {card.classes} and {train.name} {train.classes}: label accuracy needs the same"
        )
    channels, height, width = train.images.shape[1:]
    if card.output.shape != (height, width, channels):
        raise UserError(
            f"{card.name} makes images of shape {card.output.shape}, and {train.name} has {(height, width, channels)}"
        )
    count = len(card.classes)
    seeds = np.arange(IMAGES_A_LABEL * count, dtype=np.int64)
    labels = seeds % count
    judge = classifier.classifier_of(train, test)
    images = generator.images(seeds, labels).transpose(0, 3, 1, 2)
    right = judge.labels(images) == labels
    metric = Metric(
        metric="label-accuracy",
        protocol=(
            f"seeds 0-{len(seeds) - 1} with label = seed mod {count}, recognised by {classifier.NAME} trained on {train.name} "
            f"({len(train.images):,} images; right on {judge.accuracy:.2%} of {test.name}, {len(test.images):,} images)"
        ),
        value=float(right.mean()),
        samples=len(seeds),
    )
    return metric, [float(right[labels == label].mean()) for label in range(count)], judge.accuracy


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]


def picture(generator: GeneratorFile) -> tuple[NDArray[np.uint8], int]:
    """Images to look at, and how many make a row: ten of each label in a column, or seeds 0 to 99 without labels."""
    if generator.card.classes is None:
        return generator.images(np.arange(100, dtype=np.int64)), 10
    columns = min(10, len(generator.card.classes))
    seeds = np.arange(10 * columns, dtype=np.int64)
    return generator.images(seeds, seeds % columns), columns


def read_generator(path: Path) -> GeneratorFile:
    """The generator in a file.

    Raises:
        UserError: it is not a generator file, naming it.
        OSError: it cannot be read.
    """
    try:
        return GeneratorFile(path.read_bytes())
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
