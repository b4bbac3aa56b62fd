"""A generator file opened for evaluation. The file may come from another program."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import UserError
from seedmint.models.noise import noise
from seedmint.models.runtime.generator_file import read_content
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.models.runtime.processors import num_processors

_THREADS = num_processors()
_PICTURE_ROWS = 10
_MAX_PICTURE_COLUMNS = 10


class GeneratorFile:
    """A generator file that runs on the CPU.

    Args:
        content: The bytes of the file.

    Attributes:
        content: The bytes of the file.
        card: The card of the generator.

    Raises:
        UserError: The bytes are not a generator file.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._session = GeneratorSession(content)
        self.card = self._session.card

    def images(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """Return the images of seeds.

        Args:
            seeds: int64[n].
            labels: int64[n]; None uses the labels that the seeds determine.

        Returns:
            uint8[n, height, width, channels].

        Raises:
            UserError: The graph fails.
        """
        return self._outputs(seeds, labels)

    def samples(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return the samples of seeds.

        Args:
            seeds: int64[n].
            labels: int64[n]; None uses the labels that the seeds determine.

        Returns:
            float32[n, ...] in the units of the data.

        Raises:
            UserError: The graph fails.
        """
        return self._outputs(seeds, labels)

    def _outputs(self, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None) -> NDArray[Any]:
        rule = self.card.label_rule()
        if rule is None:
            labels = None
        elif labels is None:
            labels = rule.labels(seeds)

        def run(start: int) -> NDArray[Any]:
            rows = slice(start, start + self._session.max_batch)
            z = noise(self.card.noise.rule, self.card.noise.z_dim, seeds[rows])
            return self._session.run(z, None if labels is None else labels[rows])

        # Each batch runs in one thread, as in the service, so that the bytes are the same. Several batches run in parallel.
        with ThreadPoolExecutor(_THREADS, "generation") as pool:
            return np.concatenate(list(pool.map(run, range(0, len(seeds), self._session.max_batch))))


def picture_images(generator: GeneratorFile) -> tuple[NDArray[np.uint8], int]:
    """Return the images of a generator's picture.

    Args:
        generator: The generator.

    Returns:
        The images in rows, and the number of columns. With labels, each column holds ten images of one label; without labels,
        the picture holds seeds 0 to 99.
    """
    if generator.card.classes is None:
        return generator.images(np.arange(_PICTURE_ROWS * _MAX_PICTURE_COLUMNS, dtype=np.int64)), _MAX_PICTURE_COLUMNS
    columns = min(_MAX_PICTURE_COLUMNS, len(generator.card.classes))
    seeds = np.arange(_PICTURE_ROWS * columns, dtype=np.int64)
    return generator.images(seeds, seeds % columns), columns


def read_generator(path: Path) -> GeneratorFile:
    """Open a generator file.

    Args:
        path: The file.

    Raises:
        UserError: The file is not a generator file.
        OSError: The file cannot be read.
    """
    try:
        return GeneratorFile(read_content(path))
    except UserError as error:
        raise UserError(f"{path}: {error}", reason=error.reason) from None
