"""A folder of PNGs: data/LABEL/SEED.png, as ImageFolder reads them; data/SEED.png of an unconditional generator.

Labels have leading zeros where there are more than ten, so that folders in the order of their names are labels in theirs.
"""

import hashlib
import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seedmint.service.batch.plan import Plan, Shard
from seedmint.service.batch.storage.base import Output
from seedmint.service.runtime.arrays import Images


def file_name(plan: Plan, seed: int, label: int | None) -> str:
    """Where an image lies in the output."""
    if label is None or plan.classes is None:
        return f"data/{seed}.png"
    return f"data/{label:0{len(str(plan.classes - 1))}}/{seed}.png"


def file_names(plan: Plan, shard: Shard) -> Iterator[str]:
    """The files of a shard, in the order of its seeds."""
    for seeds, labels in plan.pieces(shard, plan.batch):
        for i, seed in enumerate(seeds.tolist()):
            yield file_name(plan, seed, None if labels is None else int(labels[i]))


class Listing:
    """The size and SHA-256 of a shard of many files: that of the lines sha256sum would write."""

    def __init__(self) -> None:
        self.bytes = 0
        self._digest = hashlib.sha256()

    def add(self, name: str, content: bytes) -> None:
        self.bytes += len(content)
        self._digest.update(f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode())

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def read(output: Output, plan: Plan, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None) -> Images:
    """The images of seeds, from their files."""
    named = [None] * len(seeds) if labels is None else labels.tolist()
    names = [file_name(plan, seed, label) for seed, label in zip(seeds.tolist(), named, strict=True)]
    images = [np.asarray(Image.open(io.BytesIO(output.read(name)))) for name in names]
    return np.stack(images).reshape(len(names), *plan.card.output.shape)
