"""Encodes a batch of images as PNGs. Each PNG has the same bytes as the image at its HTTP address."""

import numpy as np
from numpy.typing import NDArray

from seedmint.service.encoders.images import encode, text_of
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator


def pngs(
    generator: Generator, seeds: SeedArray, labels: NDArray[np.int64] | None, images: Outputs, truncation: float
) -> list[bytes]:
    """Encode a batch of images.

    Args:
        generator: The generator of the images.
        seeds: int64[n].
        labels: int64[n], or None for an unconditional generator.
        images: uint8[n, height, width, channels].
        truncation: Factor on z; it is part of the metadata of each PNG.

    Returns:
        n PNG files.
    """
    image_labels = [None] * len(seeds) if labels is None else labels.tolist()
    return [
        encode(image, "png", text_of(generator, seed, label, truncation))
        for image, seed, label in zip(images, seeds.tolist(), image_labels, strict=True)
    ]
