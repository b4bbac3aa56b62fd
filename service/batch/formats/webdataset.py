"""WebDataset: a tar in which neighbours of one key are one sample: the PNG, and its label (.cls) or else its seed (.json).

The key is the seed in 19 digits, so that a seed has one key in every job, and keys sort as seeds do.
"""

import io
import json
import tarfile
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedmint.service.batch.formats import Sink
from seedmint.service.batch.formats.pngs import pngs
from seedmint.service.batch.formats.tar import end, headers, padded
from seedmint.service.runtime.arrays import Images, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

_DIGITS = 19  # of 2**63 - 1


class WebDatasetWriter:
    """Images as members of a tar."""

    def __init__(self, sink: Sink, generator: Generator, truncation: float) -> None:
        self._sink = sink
        self._generator = generator
        self._truncation = truncation
        self._size = 0

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, made: Outputs) -> None:
        keys = [f"{seed:0{_DIGITS}}" for seed in seeds.tolist()]
        images = pngs(self._generator, seeds, labels, made, self._truncation)
        if labels is None:
            extension, beside = "json", [json.dumps({"seed": seed}).encode() for seed in seeds.tolist()]
        else:
            extension, beside = "cls", [str(label).encode() for label in labels.tolist()]
        first = headers([f"{key}.png" for key in keys], list(map(len, images)))
        second = headers([f"{key}.{extension}" for key in keys], list(map(len, beside)))
        members = zip(first, map(padded, images), second, map(padded, beside), strict=True)
        self._write(b"".join(part for member in members for part in member))

    def finish(self) -> None:
        self._write(end(self._size))

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._size += len(data)


def read(file: IO[bytes], positions: list[int]) -> Images:
    """The images at positions of a shard, by readers that have nothing to do with the writer."""
    with tarfile.open(fileobj=file) as tar:
        names = [member for member in tar if member.name.endswith(".png")]
        images = [np.asarray(Image.open(io.BytesIO(tar.extractfile(names[i]).read()))) for i in positions]  # type: ignore[union-attr]
    return np.stack(images).reshape(len(positions), *images[0].shape[:2], -1)
