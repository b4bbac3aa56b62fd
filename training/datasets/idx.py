"""Reads MNIST and Fashion-MNIST from their original IDX files, gzipped or not. Downloads them if they are missing.

Seedmint searches for the files in `path`; without a path, in `$SEEDMINT_DATA/NAME` and in the cache of earlier downloads.
"""

import gzip
import hashlib
import http.client
import os
import struct
import urllib.request
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedmint.models.files import write_whole
from seedmint.training.datasets.cache import cache_directory
from seedmint.training.datasets.dataset import DataError, Dataset

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_MIRRORS = {
    "mnist": ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}
# SHA-256 of the published .gz files.
_CHECKSUMS = {
    "mnist": {
        "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}
_CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}
_LICENCES = {"mnist": "CC-BY-SA-3.0", "fashion-mnist": "MIT"}
_UNSIGNED_BYTE = 8


def load_idx(name: str, path: str | None, split: str) -> Dataset:
    """Return one split of MNIST or Fashion-MNIST.

    Args:
        name: `mnist` or `fashion-mnist`.
        path: Directory of the IDX files; None searches the default places.
        split: `train` or `test`.

    Raises:
        DataError: The files are missing and cannot be downloaded, are damaged, or do not match each other.
    """
    images_file, labels_file = (_locate(name, path, file) for file in _FILES[split])
    images, labels = read_idx(images_file), read_idx(labels_file)
    if images.ndim != 3 or labels.ndim != 1:
        raise DataError(
            f"{images_file} and {labels_file} must have 3 and 1 axes, not {images.ndim} and {labels.ndim}", reason="wrong_array"
        )
    return Dataset(
        name if split == "train" else f"{name} {split} set",
        images[:, None],
        labels.astype(np.int64),
        _CLASSES[name],
        _LICENCES[name],
    )


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    The format: two zero bytes, the element type, the number of axes, each axis as a 32-bit integer, then the elements.

    Args:
        path: The file; `.gz` files are decompressed.

    Raises:
        DataError: The file is damaged, or has another element type.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file: {error}", reason="damaged") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != _UNSIGNED_BYTE or len(raw) < 4 + 4 * raw[3]:
        raise DataError(f"{path} is not an IDX file of unsigned bytes", reason="not_idx")
    shape = struct.unpack_from(f">{raw[3]}I", raw, 4)
    body = np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * raw[3])
    if body.size != np.prod(shape, dtype=np.int64):
        raise DataError(f"{path} has {body.size} bytes, but its header says {' x '.join(map(str, shape))}", reason="damaged")
    return body.reshape(shape).copy()  # a writable copy


def _locate(name: str, path: str | None, file: str) -> Path:
    if path is not None:
        directories = [Path(path)]
    else:
        root = os.environ.get("SEEDMINT_DATA")
        directories = [*([Path(root) / name] if root else []), cache_directory() / name]
    for directory in directories:
        for candidate in (directory / f"{file}.gz", directory / file):
            if candidate.is_file():
                return candidate
    if path is not None:
        raise DataError(f"{path} has no {file}.gz", field="data.path", reason="not_found")
    return _download(name, file, directories[-1] / f"{file}.gz")


def _download(name: str, file: str, target: Path) -> Path:
    failures = []
    for mirror in _MIRRORS[name]:
        try:
            with urllib.request.urlopen(f"{mirror}{file}.gz", timeout=30) as response:
                content = response.read()
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{mirror}: {getattr(error, 'reason', error)}")
            continue
        if hashlib.sha256(content).hexdigest() == _CHECKSUMS[name][file]:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, content)
            return target
        failures.append(f"{mirror}: wrong SHA-256")
    raise DataError(
        f"set SEEDMINT_DATA to a directory with {name}/{file}.gz, which cannot be downloaded: {'; '.join(failures)}",
        reason="download_failed",
    )
