"""A piece of images as PNGs, each the same bytes as at its own address. The one place where a job encodes images."""

import numpy as np
from numpy.typing import NDArray

from seedmint.service.encoders.images import encode, text_of
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator


def pngs(
    generator: Generator, seeds: SeedArray, labels: NDArray[np.int64] | None, made: Outputs, truncation: float
) -> list[bytes]:
    """The PNG of each of uint8[n, height, width, channels]."""
    named = [None] * len(seeds) if labels is None else labels.tolist()
    return [
        encode(image, "png", text_of(generator, seed, label, truncation))
        for image, seed, label in zip(made, seeds.tolist(), named, strict=True)
    ]
