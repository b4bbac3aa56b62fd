"""A generator file opened for measuring, whoever made it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise
from seedmint.models.runtime.generator_file import read_content
from seedmint.models.runtime.generator_session import GeneratorSession

_WORKERS = os.cpu_count() or 1


class GeneratorFile:
    """A generator file opened for measuring, on the CPU.

    Args:
        content: the file's bytes.

    Raises:
        UserError: it is not a generator file.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._session = GeneratorSession(content)
        self.card = self._session.card

    def images(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """uint8[n, height, width, channels]; `labels` default to the seeds' own.

        Raises:
            UserError: it cannot be run.
        """
        return self._outputs(seeds, labels)

    def samples(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """float32[n, ...] of a generator of samples; otherwise as `images`."""
        return self._outputs(seeds, labels)

    def _outputs(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None) -> NDArray[Any]:
        classes = self.card.classes
        if classes is None:
            labels = None
        elif labels is None:
            labels = labels_of(seeds, len(classes))

        def run(start: int) -> NDArray[Any]:
            rows = slice(start, start + self._session.max_batch)
            z = noise(self.card.noise.rule, self.card.noise.z_dim, seeds[rows])
            return self._session.run(z, None if labels is None else labels[rows])

        # One thread for each batch, as in service, so that the bytes are the same; several batches at a time.
        with ThreadPoolExecutor(_WORKERS, "generation") as pool:
            return np.concatenate(list(pool.map(run, range(0, len(seeds), self._session.max_batch))))


def picture(generator: GeneratorFile) -> tuple[NDArray[np.uint8], int]:
    """Images to look at, and how many make a row: ten of each label in a column, or seeds 0 to 99 without labels."""
    if generator.card.classes is None:
        return generator.images(np.arange(100, dtype=np.int64)), 10
    columns = min(10, len(generator.card.classes))
    seeds = np.arange(10 * columns, dtype=np.int64)
    return generator.images(seeds, seeds % columns), columns


def read_generator(path: Path) -> GeneratorFile:
    """The generator in a file.

    Raises:
        UserError: it is not a generator file, naming it.
        OSError: it cannot be read.
    """
    try:
        return GeneratorFile(read_content(path))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
