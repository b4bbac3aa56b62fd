"""WebDataset: a tar file. Members with the same key form one sample: a PNG, and the label (.cls) or else the seed (.json).

The key is the seed in 19 digits. A seed therefore has the same key in every job, and keys sort in the order of seeds.

In a data set of several generators, the digits of the generator precede the seed: 97b749bd861e-0000000000000000042. Each sample
then has a .json with seed and generator, and also the label (.cls) of a conditional generator.
"""

import io
import json
import tarfile
from collections.abc import Iterable
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedmint.service.batch.formats.base import Sink
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.formats.tar import end, headers, padded
from seedmint.service.runtime.arrays import Images, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

_KEY_DIGITS = 19  # number of digits of 2**63 - 1


class WebDatasetWriter:
    """Writes images as members of a tar file."""

    def __init__(self, sink: Sink, generator: Generator, truncation: float, origin: str | None = None) -> None:
        """
        Args:
            sink: Receives the bytes.
            generator: The generator of the shard.
            truncation: Factor on z; it is part of the metadata of each PNG.
            origin: Name and version of the generator, NAME@DIGEST12; None if the data set has only one generator.
        """
        self._sink = sink
        self._generator = generator
        self._truncation = truncation
        self._origin = {} if origin is None else {"generator": origin}
        self._prefix = "" if origin is None else f"{origin.rpartition('@')[2]}-"
        self._size = 0

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, outputs: Outputs) -> None:
        """Write one batch.

        Args:
            seeds: int64[n].
            labels: int64[n], or None for an unconditional generator.
            outputs: uint8[n, height, width, channels] or float32[n, ...].
        """
        keys = [f"{self._prefix}{seed:0{_KEY_DIGITS}}" for seed in seeds.tolist()]
        columns = {"png": pngs(self._generator, seeds, labels, outputs, self._truncation)}
        if labels is not None:
            columns["cls"] = [str(label).encode() for label in labels.tolist()]
        if labels is None or self._origin:
            columns["json"] = [json.dumps({"seed": seed} | self._origin).encode() for seed in seeds.tolist()]
        parts: list[Iterable[bytes]] = []
        for extension, contents in columns.items():
            parts += [headers([f"{key}.{extension}" for key in keys], list(map(len, contents))), map(padded, contents)]
        self._write(b"".join(part for member in zip(*parts, strict=True) for part in member))

    def finish(self) -> None:
        """Write the end of the tar file."""
        self._write(end(self._size))

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._size += len(data)


def read(file: IO[bytes], positions: list[int]) -> Images:
    """Read images from a shard with `tarfile` and Pillow, which share no code with the writer.

    Args:
        file: The shard.
        positions: Positions in the shard, from 0.

    Returns:
        uint8[n, height, width, channels].
    """
    with tarfile.open(fileobj=file) as tar:
        names = [member for member in tar if member.name.endswith(".png")]
        images = [np.asarray(Image.open(io.BytesIO(tar.extractfile(names[i]).read()))) for i in positions]  # type: ignore[union-attr]
    return np.stack(images).reshape(len(positions), *images[0].shape[:2], -1)
