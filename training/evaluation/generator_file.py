"""A generator file opened for measuring, whoever made it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from seedmint.models.card import Card
from seedmint.models.contract import check_contract
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise

_BATCH = 100
_SILENT = 4  # ONNX Runtime logs fatal errors alone; others are raised


class GeneratorFile:
    """A generator file opened for measuring, on the CPU.

    Args:
        content: the file's bytes.

    Raises:
        UserError: it is not a generator file.
    """

    def __init__(self, content: bytes) -> None:
        try:
            model = onnx.load_from_string(content)
        except Exception as error:  # protobuf's DecodeError has no public home that all versions share
            raise UserError(f"not an ONNX file: {error}") from None
        self.content = content
        self.card: Card = check_contract(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base
            raise UserError(f"ONNX Runtime cannot run it: {_first_line(error)}") from None

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
        classes = len(self.card.classes or ())
        parts = []
        for start in range(0, len(seeds), _BATCH):
            part = slice(start, start + _BATCH)
            feeds: dict[str, NDArray[Any]] = {"z": noise(self.card.noise.rule, self.card.noise.z_dim, seeds[part])}
            if classes:
                feeds["label"] = labels_of(seeds[part], classes) if labels is None else labels[part]
            try:
                parts.append(self._session.run([self.card.output.kind], feeds)[0])
            except Exception as error:
                raise UserError(f"ONNX Runtime cannot run {self.card.name}: {_first_line(error)}") from None
        return np.concatenate(parts)


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
        return GeneratorFile(path.read_bytes())
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
