"""The shipped classifiers: where their files are, which generators they are for, and the reference of their outputs."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Card, ImageOutput

CLASSIFIERS = Path(__file__).resolve().parent / "classifiers"
METADATA_KEY = "seedmint.classifier"
REFERENCE_IMAGES = 64
_FAMILY = "cnn-v2"


def classifier_file(card: Card) -> Path | None:
    """Return the file of the classifier that was trained on the data of a generator; None if none is shipped.

    Args:
        card: The card of the generator.
    """
    if card.provenance.dataset is None or not isinstance(card.output, ImageOutput):
        return None
    data, _, _ = card.provenance.dataset.name.partition(",")  # a part of the data has a name such as "mnist, first 50000"
    path = CLASSIFIERS / f"{_FAMILY}-{data}.onnx"
    return path if path.is_file() else None


def reference_images(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return images with every gray value, for the check of a classifier.

    Args:
        shape: Height, width and channels.

    Returns:
        uint8[64, height, width, channels].
    """
    numbers = np.arange(REFERENCE_IMAGES * int(np.prod(shape)), dtype=np.uint64)
    values: NDArray[np.uint8] = ((numbers * 2654435761 >> np.uint64(20)) & np.uint64(255)).astype(np.uint8)
    return values.reshape(REFERENCE_IMAGES, *shape)


def reference_digest(probabilities: NDArray[np.float32]) -> str:
    """Return the SHA-256 of the outputs for the reference images.

    Args:
        probabilities: float32[64, classes].
    """
    return hashlib.sha256(probabilities.astype("<f4").tobytes()).hexdigest()
