"""Tar headers (POSIX ustar) for many members at once. `tarfile` writes the same bytes but takes 14 µs for each header."""

import tarfile

import numpy as np
from numpy.typing import NDArray

_SIZE = 124, 11  # offset and number of octal digits of the size
_CHECKSUM = 148, 6


def headers(names: list[str], sizes: list[int]) -> list[bytes]:
    """Return the header of each member, with mode 644, and time, owner and group 0.

    Args:
        names: ASCII names, all of the same length, at most 100 characters.
        sizes: Size of each content in bytes, below 8 GiB.
    """
    length = len(names[0])
    template = np.frombuffer(tarfile.TarInfo("0" * length).tobuf(tarfile.USTAR_FORMAT), np.uint8)
    blocks = np.tile(template, (len(names), 1))
    blocks[:, :length] = np.array(names, f"S{length}").view(np.uint8).reshape(len(names), length)
    _write_octal(blocks, _SIZE, np.array(sizes))
    start, digits = _CHECKSUM
    blocks[:, start : start + 8] = ord(" ")
    sums = blocks.sum(axis=1, dtype=np.int64)
    blocks[:, start + digits] = 0
    _write_octal(blocks, _CHECKSUM, sums)
    return [block.tobytes() for block in blocks]


def _write_octal(blocks: NDArray[np.uint8], field: tuple[int, int], values: NDArray[np.int64]) -> None:
    """Write octal digits with leading zeros."""
    start, digits = field
    shifts = 3 * np.arange(digits - 1, -1, -1)
    blocks[:, start : start + digits] = ord("0") + ((values[:, None] >> shifts) & 7)


def padded(content: bytes) -> bytes:
    """Pad the content of a member to whole blocks.

    Args:
        content: The content.
    """
    return content + bytes(-len(content) % tarfile.BLOCKSIZE)


def end(size: int) -> bytes:
    """Return the end of a tar file: two empty blocks, then padding to a whole record, as tar(1) writes them.

    Args:
        size: Size in bytes of all members.
    """
    total = size + 2 * tarfile.BLOCKSIZE
    return bytes(-(-total // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - size)
