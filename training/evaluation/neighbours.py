"""The nearest training images for the card of a generator."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedmint.models.neighbours import MAX_PICTURE, Neighbours
from seedmint.training.evaluation.evaluate import Evaluation
from seedmint.training.recipes.data import Data, ImageSource

PUBLIC_SOURCES: frozenset[ImageSource] = frozenset({"digits", "icons", "mnist", "fashion-mnist", "stacked-mnist"})
"""Data that anyone may show. A card shows the images of other data only if the user asks for this."""

NUM_SEEDS = 16
_MAX_SIDE = 64  # pixels of an image on a card
_MIN_SIDE = 8


def shows_images(data: Data, choice: bool | None) -> bool:
    """Return whether a card shows training images.

    Args:
        data: The training data.
        choice: The user's choice; None shows only public data, read from their usual place.
    """
    return data.source in PUBLIC_SOURCES and data.path is None if choice is None else choice


def nearest_training_images(evaluation: Evaluation, with_images: bool) -> Neighbours | None:
    """Return the nearest training images of the first seeds; None if the family `nearest` was not measured.

    Args:
        evaluation: The generator's evaluation.
        with_images: Whether the card has the images, and not only their rows.
    """
    metrics = evaluation.families.get("nearest")
    if metrics is None:
        return None
    found = evaluation.sample.nearest(metrics[0].samples)
    rows = found.rows[:NUM_SEEDS]
    images = evaluation.sample.real.train.images[rows].transpose(0, 2, 3, 1)
    return Neighbours(
        rows=tuple(rows.tolist()),
        distances=tuple(float(f"{distance:.5g}") for distance in found.distances[:NUM_SEEDS]),
        picture=picture_of(images) if with_images else None,
    )


def picture_of(images: NDArray[np.uint8]) -> str | None:
    """Return a PNG of images side by side as base64, reduced until it fits on a card; None if even small images do not fit.

    Args:
        images: uint8[n, height, width, channels].
    """
    count, height, width, channels = images.shape
    strip = Image.fromarray(np.concatenate(images, axis=1).squeeze(axis=2) if channels == 1 else np.concatenate(images, axis=1))
    side = min(_MAX_SIDE, max(height, width))
    while side >= _MIN_SIDE:
        size = [max(1, round(length * side / max(height, width))) for length in (width, height)]
        reduced = strip if side == max(height, width) else strip.resize((count * size[0], size[1]), Image.Resampling.BOX)
        buffer = io.BytesIO()
        reduced.save(buffer, format="png", optimize=True)
        text = base64.b64encode(buffer.getvalue()).decode()
        if len(text) <= MAX_PICTURE:
            return text
        side //= 2
    return None
