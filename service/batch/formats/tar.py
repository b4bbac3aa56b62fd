"""Headers of tar members (POSIX ustar), many at once: the same bytes as `tarfile`'s, which takes 14 µs for each."""

import tarfile

import numpy as np
from numpy.typing import NDArray

_SIZE = 124, 11  # where the octal digits of the size begin, and how many
_CHECKSUM = 148, 6


def headers(names: list[str], sizes: list[int]) -> list[bytes]:
    """The header of each member: mode 644, and time, owner and group 0.

    Args:
        names: ASCII, all of one length, up to 100.
        sizes: of the contents, in bytes, below 8 GiB.
    """
    length = len(names[0])
    pattern = np.frombuffer(tarfile.TarInfo("0" * length).tobuf(tarfile.USTAR_FORMAT), np.uint8)
    blocks = np.tile(pattern, (len(names), 1))
    blocks[:, :length] = np.array(names, f"S{length}").view(np.uint8).reshape(len(names), length)
    _write(blocks, _SIZE, np.array(sizes))
    start, digits = _CHECKSUM
    blocks[:, start : start + 8] = ord(" ")
    sums = blocks.sum(axis=1, dtype=np.int64)
    blocks[:, start + digits] = 0
    _write(blocks, _CHECKSUM, sums)
    return [block.tobytes() for block in blocks]


def _write(blocks: NDArray[np.uint8], field: tuple[int, int], values: NDArray[np.int64]) -> None:
    """Octal digits, with leading zeros."""
    start, digits = field
    shifts = 3 * np.arange(digits - 1, -1, -1)
    blocks[:, start : start + digits] = ord("0") + ((values[:, None] >> shifts) & 7)


def padded(content: bytes) -> bytes:
    """A member's content, filled up to whole blocks."""
    return content + bytes(-len(content) % tarfile.BLOCKSIZE)


def end(size: int) -> bytes:
    """What ends a tar of so many bytes: two empty blocks, and more up to a whole record, as tar(1) does."""
    whole = size + 2 * tarfile.BLOCKSIZE
    return bytes(-(-whole // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - size)
