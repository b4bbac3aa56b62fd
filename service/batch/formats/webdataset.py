"""WebDataset: a tar in which neighbours of one key are one sample: the PNG, and its label (.cls) or else its seed (.json).

The key is the seed in 19 digits, so that a seed has one key in every job, and keys sort as seeds do. Headers are the
standard library's (POSIX ustar); owner, mode and time are fixed.
"""

import io
import json
import tarfile
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.batch.formats import Sink
from service.batch.formats.pngs import pngs
from service.generator import Generator, Images, Outputs, SeedArray

_DIGITS = 19  # of 2**63 - 1


class WebDatasetWriter:
    """Images as members of a tar."""

    def __init__(self, sink: Sink, generator: Generator, truncation: float) -> None:
        self._sink = sink
        self._generator = generator
        self._truncation = truncation
        self._size = 0

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, made: Outputs) -> None:
        parts: list[bytes] = []
        encoded = pngs(self._generator, seeds, labels, made, self._truncation)
        for i, (seed, png) in enumerate(zip(seeds.tolist(), encoded, strict=True)):
            key = f"{seed:0{_DIGITS}}"
            parts += _member(f"{key}.png", png)
            if labels is None:
                parts += _member(f"{key}.json", json.dumps({"seed": seed}).encode())
            else:
                parts += _member(f"{key}.cls", str(labels[i]).encode())
        self._write(b"".join(parts))

    def finish(self) -> None:
        """Two empty blocks end a tar, which is filled up to a whole record, as tar(1) does."""
        end = self._size + 2 * tarfile.BLOCKSIZE
        self._write(bytes(-(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - self._size))

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._size += len(data)


def _member(name: str, content: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, content, and what fills its last block. TarInfo's own defaults are time 0, owner 0 and mode 644."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info.tobuf(tarfile.USTAR_FORMAT), content, bytes(-len(content) % tarfile.BLOCKSIZE)


def read(file: IO[bytes], positions: list[int]) -> Images:
    """The images at positions of a shard, by readers that have nothing to do with the writer."""
    with tarfile.open(fileobj=file) as tar:
        names = [member for member in tar if member.name.endswith(".png")]
        images = [np.asarray(Image.open(io.BytesIO(tar.extractfile(names[i]).read()))) for i in positions]  # type: ignore[union-attr]
    return np.stack(images).reshape(len(positions), *images[0].shape[:2], -1)
