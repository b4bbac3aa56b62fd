"""The spec of an array: the images or samples of many seeds in one npy file of known size."""

import math
from dataclasses import dataclass

import numpy as np

from seedmint.models.label_choice import ClassChoice
from seedmint.models.seeds import Seeds
from seedmint.service.encoders.array_files import array_header
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.values import require_choice, require_truncation


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """An array of images or samples. The digest of the generator and these fields determine the bytes.

    Attributes:
        seeds: Seeds of the rows.
        label: Class number of all rows, or several class numbers, of which each seed has one; None for the labels that the
            seeds determine.
        truncation: Factor on z.
    """

    seeds: Seeds
    label: ClassChoice | None
    truncation: float

    @classmethod
    def create(
        cls, generator: Generator, seeds: Seeds, label: ClassChoice | None = None, truncation: float = 1.0
    ) -> "ArraySpec":
        """Create the spec after a check of the values against a generator.

        Args:
            generator: The generator.
            seeds: Seeds of the rows.
            label: Choice of classes; None for the labels that the seeds determine.
            truncation: 0.001 to 1.

        Raises:
            SpecError: A value is invalid.
        """
        return cls(seeds, require_choice(generator, label), require_truncation(generator, truncation))

    @property
    def encoder(self) -> str:
        """Name and version of the encoder."""
        return "npy-1.0"

    def header(self, generator: Generator) -> bytes:
        """Return the first bytes of the file, before the values.

        Args:
            generator: The generator of the outputs.
        """
        output = generator.card.output
        return array_header((self.seeds.count, *output.shape), np.dtype(output.dtype))


def row_bytes(generator: Generator) -> int:
    """Return the size of one row in bytes.

    Args:
        generator: The generator of the outputs.
    """
    output = generator.card.output
    return math.prod(output.shape) * np.dtype(output.dtype).itemsize
