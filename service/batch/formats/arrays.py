"""NumPy formats: npz (outputs, seeds, labels, generator) and npy (outputs only), with the writers of the service."""

from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from seedmint.service.batch.formats.base import Sink
from seedmint.service.encoders.array_files import NpyWriter, NpzWriter
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.generator import Generator


class ArrayWriter:
    """Writes one shard as npy or npz."""

    def __init__(
        self, sink: Sink, generator: Generator, shard_format: Literal["npz", "npy"], count: int, origin: str | None = None
    ) -> None:
        """
        Args:
            sink: Receives the bytes.
            generator: The generator of the shard.
            shard_format: "npz" or "npy".
            count: Seeds in the shard.
            origin: Name and version of the generator, for npz; None if the data set has only one generator.
        """
        self._sink = sink
        self._writer: NpyWriter | NpzWriter
        if shard_format == "npy":
            self._writer = NpyWriter(generator, count)
        else:
            self._writer = NpzWriter(generator, count, origin=origin)

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, outputs: Outputs) -> None:
        """Write one batch.

        Args:
            seeds: int64[n].
            labels: int64[n], or None for an unconditional generator.
            outputs: uint8[n, height, width, channels] or float32[n, ...].
        """
        self._sink.write(self._writer.add(seeds, labels, outputs))

    def finish(self) -> None:
        """Write the end of the file."""
        for data in self._writer.finish():
            self._sink.write(data)


def read(file: IO[bytes], positions: list[int]) -> Outputs:
    """Read outputs from a shard.

    Args:
        file: The shard.
        positions: Positions in the shard, from 0.

    Returns:
        uint8[n, height, width, channels] or float32[n, ...].
    """
    loaded = np.load(file)
    if isinstance(loaded, np.ndarray):
        return loaded[positions]
    (name,) = {"images", "samples"} & set(loaded.files)
    outputs: Outputs = loaded[name][positions]
    return outputs
