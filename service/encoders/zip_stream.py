"""A zip of many small files, stored as they are, going out while it is written.

`zipfile` keeps some 360 bytes for each file until the end, and over a stream puts sizes behind the data, where some readers do
not find them. Here it is 10 bytes and the name, and the list at the end goes out in pieces. Format: PKWARE's APPNOTE 6.3.10.
"""

import struct
import zlib
from array import array
from collections.abc import Iterator

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_EXTRA_64 = struct.Struct("<2HQ")

_PLAIN, _ZIP64 = 20, 45  # versions of the format
_UNIX = 3 << 8
_FILE = 0o644 << 16
_TIME, _DATE = 0, 1 << 5 | 1  # the first day of 1980, the format's first
_MOST_16, _MOST_32 = 0xFFFF, 0xFFFFFFFF
_TOGETHER = 4096  # files in one piece of the list at the end


class StoredZip:
    """`add` each file, then send what `finish` gives. Bytes depend on names and contents alone."""

    def __init__(self) -> None:
        self._offset = 0
        self._sums = array("I")
        self._sizes = array("I")
        self._lengths = array("H")
        self._names = bytearray()

    def add(self, name: str, content: bytes) -> bytes:
        """The bytes of one file of less than 4 GiB."""
        encoded = name.encode("ascii")
        crc = zlib.crc32(content)
        self._sums.append(crc)
        self._sizes.append(len(content))
        self._lengths.append(len(encoded))
        self._names += encoded
        size = len(content)
        head = _LOCAL.pack(b"PK\x03\x04", _PLAIN, 0, 0, _TIME, _DATE, crc, size, size, len(encoded), 0)
        return head + encoded + content

    def finish(self) -> Iterator[bytes]:
        """The list of all files, in pieces."""
        offset, named, listed = self._offset, 0, 0
        parts: list[bytes] = []
        for crc, size, length in zip(self._sums, self._sizes, self._lengths, strict=True):
            far = offset >= _MOST_32
            extra = _EXTRA_64.pack(1, 8, offset) if far else b""
            version, where = (_ZIP64, _MOST_32) if far else (_PLAIN, offset)
            fields = (_UNIX | version, version, 0, 0, _TIME, _DATE, crc, size, size, length, len(extra), 0, 0, 0, _FILE, where)
            parts.append(_CENTRAL.pack(b"PK\x01\x02", *fields) + self._names[named : named + length] + extra)
            offset += _LOCAL.size + length + size
            named += length
            if len(parts) == _TOGETHER:
                listed += sum(map(len, parts))
                yield b"".join(parts)
                parts = []
        listed += sum(map(len, parts))
        yield b"".join(parts) + _end(len(self._sums), listed, offset)


def _end(count: int, size: int, offset: int) -> bytes:
    """What closes the list: how many files it holds, its size, and where it begins."""
    end = b""
    if count >= _MOST_16 or size >= _MOST_32 or offset >= _MOST_32:
        fields = (_END_64.size - 12, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, offset)
        end = _END_64.pack(b"PK\x06\x06", *fields) + _LOCATOR_64.pack(b"PK\x06\x07", 0, offset + size, 1)
    few, small, near = min(count, _MOST_16), min(size, _MOST_32), min(offset, _MOST_32)
    return end + _END.pack(b"PK\x05\x06", 0, 0, few, few, small, near, 0)
