"""NumPy's npz (images or samples, seeds, labels) and npy (images or samples alone), by the service's own writers."""

from typing import IO

import numpy as np
from numpy.typing import NDArray

from seedmint.service.batch.formats import Sink
from seedmint.service.encoders.archives import NpyWriter, NpzWriter
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator


class ArrayWriter:
    """One array, or the zip of several, of a shard."""

    def __init__(self, sink: Sink, generator: Generator, form: str, count: int) -> None:
        self._sink = sink
        self._writer: NpyWriter | NpzWriter = NpyWriter(generator, count) if form == "npy" else NpzWriter(generator, count)

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, made: Outputs) -> None:
        self._sink.write(self._writer.add(seeds, labels, made))

    def finish(self) -> None:
        for data in self._writer.finish():
            self._sink.write(data)


def read(file: IO[bytes], positions: list[int]) -> Outputs:
    """The images or samples at positions of a shard."""
    loaded = np.load(file)
    if isinstance(loaded, np.ndarray):
        return loaded[positions]
    (name,) = {"images", "samples"} & set(loaded.files)
    values: Outputs = loaded[name][positions]
    return values
