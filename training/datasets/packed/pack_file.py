"""The file of packed images: safetensors with `labels`, `images` and `names`. The training images precede the held-out images.

The file is read through a memory map, so that a data set larger than the memory can be used, and several processes share one
copy. It is written in two passes: the images in the order of the source, then in the order of the file.
"""

import hashlib
import json
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.files import whole_file
from seedmint.training.datasets.dataset import DataError, Dataset, digest_of

_FORMAT = "seedmint-images-1"
_DTYPES = {"labels": ("I64", "<i8"), "images": ("U8", "u1"), "names": ("U8", "u1")}
_BLOCK_BYTES = 1 << 24
HOLDOUT_INTERVAL = 10
"""Mean interval of the held-out images."""
_MAX_HELD_OUT = 10_000


def held_out_rows(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which images are held out: a pseudorandom draw that depends only on the images, not on their order or names.

    An image is held out if its word is a multiple of the interval, which is 10, or n // 10,000 for more than 100,000 images.
    Equal images are on the same side. If the rule holds out no image, the image with the smallest word is held out. Fewer than
    10 images have no held-out image.

    Args:
        words: uint64[n], the first 8 bytes of the SHA-256 of each image uint8[channels, height, width], little-endian.
    """
    if len(words) < HOLDOUT_INTERVAL:
        return np.zeros(len(words), dtype=bool)
    interval = max(HOLDOUT_INTERVAL, len(words) // _MAX_HELD_OUT)
    rows = words % np.uint64(interval) == 0
    if not rows.any():
        rows = words == words.min()
    return rows if not rows.all() else np.zeros(len(words), dtype=bool)


@dataclass(frozen=True)
class Pack:
    """An open file of packed images.

    Attributes:
        path: The file.
        digest: SHA-256 of the content; the name of the file.
        images: uint8[n, channels, height, width], memory-mapped, copied on write.
        labels: int64[n], or None.
        classes: Name of each label, or None.
        names: Name of each image in its source.
        num_train: Number of training images.
        digests: Digests of the training images and of the held-out images, as `Dataset.digest`.
    """

    path: Path
    digest: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] | None
    names: tuple[str, ...]
    num_train: int
    digests: tuple[str, str]

    def train(self, name: str, licence: str | None) -> Dataset:
        """Return the training images.

        Args:
            name: Name of the data set.
            licence: Licence of the data.
        """
        return self._part(slice(0, self.num_train), name, licence, self.digests[0])

    def held_out(self, name: str, licence: str | None) -> Dataset | None:
        """Return the held-out images; None if there are none.

        Args:
            name: Name of the data set.
            licence: Licence of the data.
        """
        if self.num_train == len(self.images):
            return None
        return self._part(slice(self.num_train, None), f"{name}, held out", licence, self.digests[1])

    def _part(self, rows: slice, name: str, licence: str | None, digest: str) -> Dataset:
        labels = None if self.labels is None else self.labels[rows]
        return Dataset(name, self.images[rows], labels, self.classes, licence, stored_digest=digest)


class PackWriter:
    """Receives images in the order of the source, and writes the file.

    Args:
        directory: Directory of the packed files.
        shape: Channels, height and width.
    """

    def __init__(self, directory: Path, shape: tuple[int, int, int]) -> None:
        self._directory, self._shape = directory, shape
        directory.mkdir(parents=True, exist_ok=True)
        self._spool: IO[bytes] = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 -- closed by `close`
        self._words: list[bytes] = []
        self._labels: list[int | None] = []
        self._names: list[str] = []

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of all images."""
        return self._shape

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self._names)

    @property
    def num_duplicates(self) -> int:
        """Number of images that are equal to an earlier image."""
        return len(self._words) - len(set(self._words))

    def close(self) -> None:
        """Delete the temporary file."""
        self._spool.close()

    def add(self, image: NDArray[np.uint8], label: int | None, name: str) -> None:
        """Append one image.

        Args:
            image: uint8[channels, height, width].
            label: Its label.
            name: Its name in the source.

        Raises:
            OSError: The disk is full.
        """
        content = image.tobytes()
        self._spool.write(content)
        self._words.append(hashlib.sha256(content).digest()[:8])
        self._labels.append(label)
        self._names.append(name)

    def finish(self, classes: tuple[str, ...] | None) -> Path:
        """Write the file `DIGEST.safetensors`, and return its path.

        Args:
            classes: Name of each label; None without labels.

        Raises:
            OSError: The disk is full.
        """
        self._spool.flush()
        spooled = np.memmap(self._spool, np.uint8, "r", shape=(self.count, *self._shape))
        held_out = held_out_rows(np.frombuffer(b"".join(self._words), "<u8").astype(np.uint64))
        order = np.concatenate([np.flatnonzero(~held_out), np.flatnonzero(held_out)])
        num_train = int((~held_out).sum())
        labels = None if classes is None else np.array(self._labels, dtype="<i8")[order]
        names = json.dumps([self._names[row] for row in order], ensure_ascii=False).encode()
        digests = tuple(
            digest_of((len(part), *self._shape), None if labels is None else labels[rows], _blocks(spooled, part))
            for part, rows in ((order[:num_train], slice(0, num_train)), (order[num_train:], slice(num_train, None)))
        )
        metadata = {
            "format": _FORMAT,
            "num_train": str(num_train),
            "classes": json.dumps(classes),
            "train_digest": digests[0],
            "held_out_digest": digests[1],
        }
        digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode() + names).hexdigest()
        path = self._directory / f"{digest}.safetensors"
        shapes = {"images": spooled.shape, "names": (len(names),)} | ({} if labels is None else {"labels": (self.count,)})
        with whole_file(path) as file:
            file.write(_header(shapes, metadata))
            if labels is not None:
                file.write(labels.tobytes())
            for block in _blocks(spooled, order):
                file.write(block)
            file.write(names)
        return path


def read_pack(path: Path) -> Pack:
    """Open a file of packed images.

    Args:
        path: The file.

    Raises:
        DataError: The file is damaged.
        OSError: The file does not exist or cannot be read.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        try:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(length)) if length < size else {}
            metadata = header["__metadata__"]
            end = max(header[name]["data_offsets"][1] for name in header if name != "__metadata__")
            if metadata["format"] != _FORMAT or 8 + length + end != size:
                raise ValueError(path)
            arrays = {name: _map(path, header[name], name, 8 + length) for name in _DTYPES if name in header}
            names = tuple(json.loads(arrays["names"].tobytes()))
            classes = json.loads(metadata["classes"])
        except (ValueError, KeyError, TypeError, struct.error):
            raise DataError(f"{path} is damaged: delete the file; it is written again", reason="damaged_pack") from None
    labels = np.array(arrays["labels"], dtype=np.int64) if "labels" in arrays else None
    return Pack(
        path,
        path.stem,
        arrays["images"],
        labels,
        None if classes is None else tuple(classes),
        names,
        int(metadata["num_train"]),
        (metadata["train_digest"], metadata["held_out_digest"]),
    )


def _map(path: Path, entry: dict[str, Any], name: str, start: int) -> NDArray[Any]:
    shape = tuple(entry["shape"])
    return np.asarray(np.memmap(path, _DTYPES[name][1], "c", start + entry["data_offsets"][0], shape))


def _header(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> bytes:
    """Return the header of a safetensors file, padded so that the tensors start at a multiple of 8."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for name, (kind, dtype) in _DTYPES.items():
        if name in shapes:
            size = int(np.prod(shapes[name])) * np.dtype(dtype).itemsize
            entries[name] = {"dtype": kind, "shape": list(shapes[name]), "data_offsets": [offset, offset + size]}
            offset += size
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _blocks(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> Iterator[bytes]:
    """Yield the bytes of some rows in blocks."""
    step = max(1, _BLOCK_BYTES // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(rows), step):
        yield images[rows[start : start + step]].tobytes()
