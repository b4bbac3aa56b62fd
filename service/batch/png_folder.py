"""The format png: files data/LABEL/SEED.png, as ImageFolder reads them, or data/SEED.png for an unconditional generator.

A split has its own folder: data/SPLIT/LABEL/SEED.png. So has each of several generators: data/NAME-DIGEST/LABEL/SEED.png.

With more than ten classes, labels have leading zeros, so that the folders sort in the order of the labels.
"""

import hashlib
import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.batch.records import Record
from seedmint.service.batch.selection import Mask, pieces
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.arrays import Images


def file_name(plan: Plan, folder: str, seed: int, label: int | None) -> str:
    """Return the name of an image in the output.

    Args:
        plan: The plan of the job.
        folder: The folder of the split, or of a generator in the split.
        seed: The seed of the image.
        label: Its label; None for an unconditional generator.
    """
    return f"{folder}/{seed}.png" if label is None else f"{folder}/{label:0{plan.label_digits}}/{seed}.png"


def file_names(plan: Plan, shard: Shard, mask: Mask | None = None) -> Iterator[str]:
    """Yield the names of the files of a shard, in the order of its seeds.

    Args:
        plan: The plan of the job.
        shard: The shard.
        mask: bool[count], the images that the filter keeps; None for all.
    """
    folder = plan.file_name(shard.index)
    for seeds, labels in pieces(plan, shard, mask, plan.batch):
        for i, seed in enumerate(seeds.tolist()):
            yield file_name(plan, folder, seed, None if labels is None else int(labels[i]))


def recorded_files(plan: Plan, record: Record) -> Iterator[str]:
    """Yield the names of the files of a finished shard, in the order of its seeds.

    Args:
        plan: The plan of the job.
        record: The record of the shard.
    """
    shard = plan.shard(record.shard)
    yield from file_names(plan, shard, record.mask(shard))


class FileListing:
    """Size and SHA-256 of a shard with many files. The SHA-256 is the hash of the lines that sha256sum would print.

    Attributes:
        bytes: Size of all files.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._digest = hashlib.sha256()

    def add(self, name: str, content: bytes) -> None:
        """Add one file.

        Args:
            name: Its name in the output.
            content: Its content.
        """
        self.bytes += len(content)
        self._digest.update(f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode())

    @property
    def sha256(self) -> str:
        """SHA-256 of the lines of all files added."""
        return self._digest.hexdigest()


def read(output: Output, plan: Plan, folder: str, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None) -> Images:
    """Read images from their files.

    Args:
        output: The output of the job.
        plan: Its plan.
        folder: The folder of the images.
        seeds: int64[n].
        labels: int64[n], or None for an unconditional generator.

    Returns:
        uint8[n, height, width, channels].
    """
    image_labels = [None] * len(seeds) if labels is None else labels.tolist()
    names = [file_name(plan, folder, seed, label) for seed, label in zip(seeds.tolist(), image_labels, strict=True)]
    images = [np.asarray(Image.open(io.BytesIO(output.read(name)))) for name in names]
    return np.stack(images).reshape(len(names), *plan.card.output.shape)
