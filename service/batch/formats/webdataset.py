"""WebDataset: a tar file. Members with the same key form one sample: a PNG, and the label (.cls) or else the seed (.json).

The key is the seed in 19 digits. A seed therefore has the same key in every job, and keys sort in the order of seeds.
"""

import io
import json
import tarfile
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

    def __init__(self, sink: Sink, generator: Generator, truncation: float) -> None:
        """
        Args:
            sink: Receives the bytes.
            generator: The generator of the job.
            truncation: Factor on z; it is part of the metadata of each PNG.
        """
        self._sink = sink
        self._generator = generator
        self._truncation = truncation
        self._size = 0

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, outputs: Outputs) -> None:
        """Write one batch.

        Args:
            seeds: int64[n].
            labels: int64[n], or None for an unconditional generator.
            outputs: uint8[n, height, width, channels] or float32[n, ...].
        """
        keys = [f"{seed:0{_KEY_DIGITS}}" for seed in seeds.tolist()]
        images = pngs(self._generator, seeds, labels, outputs, self._truncation)
        if labels is None:
            extension, annotations = "json", [json.dumps({"seed": seed}).encode() for seed in seeds.tolist()]
        else:
            extension, annotations = "cls", [str(label).encode() for label in labels.tolist()]
        image_headers = headers([f"{key}.png" for key in keys], list(map(len, images)))
        annotation_headers = headers([f"{key}.{extension}" for key in keys], list(map(len, annotations)))
        members = zip(image_headers, map(padded, images), annotation_headers, map(padded, annotations), strict=True)
        self._write(b"".join(part for member in members for part in member))

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
