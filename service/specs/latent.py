"""The spec of the latent vector of a seed."""

import io
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.lib import format as npy

from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.values import default_label, require_format

LatentFormat = Literal["npy", "json"]
LATENT_FORMATS: tuple[LatentFormat, ...] = get_args(LatentFormat)
LATENT_MEDIA_TYPES: dict[LatentFormat, str] = {"npy": "application/x-npy", "json": "application/json"}
_ENCODERS: dict[LatentFormat, str] = {"npy": "npy-1.0", "json": "json-1"}


@dataclass(frozen=True, slots=True)
class LatentSpec:
    """The latent vector of one seed, before truncation. It is the same on every machine.

    Attributes:
        seed: Seed of the vector.
        format: File format.
    """

    seed: int
    format: LatentFormat

    @classmethod
    def create(cls, seed: int, extension: str) -> "LatentSpec":
        """Create the spec.

        Args:
            seed: 0 <= seed < 2**63.
            extension: "npy" or "json".

        Raises:
            SpecError: The format is unknown.
        """
        return cls(seed, require_format(extension, LATENT_FORMATS))

    @property
    def media_type(self) -> str:
        """Media type of the file."""
        return LATENT_MEDIA_TYPES[self.format]

    @property
    def encoder(self) -> str:
        """Name and version of the encoder."""
        return _ENCODERS[self.format]

    def encode(self, generator: Generator) -> bytes:
        """Return the file.

        Args:
            generator: The generator of the vector.

        Returns:
            npy: float32[1, z_dim]. json: the body of a POST request that returns the image of the seed.
        """
        z = generator.noise(np.array([self.seed], np.int64))
        if self.format == "npy":
            buffer = io.BytesIO()
            npy.write_array(buffer, z, version=(1, 0), allow_pickle=False)
            return buffer.getvalue()
        document: dict[str, Any] = {"model": f"{generator.name}@{generator.digest12}", "z": z.tolist()}
        label = default_label(generator, self.seed)
        if label is not None:
            document["labels"] = [label]
        return (json.dumps(document) + "\n").encode()
