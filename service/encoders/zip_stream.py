"""A stream of a zip with many small uncompressed files.

`zipfile` keeps about 360 bytes for each file until the end. In a stream it writes the sizes after the data, where some readers
do not find them. This writer keeps 10 bytes and the name, and sends the central directory in pieces. Format: PKWARE APPNOTE
6.3.10.
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

_PLAIN, _ZIP64 = 20, 45  # versions of the format that a reader needs
_UNIX = 3 << 8
_FILE = 0o644 << 16
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01, the first date of the format
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
_FILES_AT_A_TIME = 4096  # files in one piece of the central directory


class StoredZip:
    """Writes the zip. Call `add` for each file, then `finish`. The bytes depend only on names and contents."""

    def __init__(self) -> None:
        self._sums = array("I")
        self._sizes = array("I")
        self._lengths = array("H")
        self._names = bytearray()

    def add(self, name: str, content: bytes) -> bytes:
        """Return the bytes of one file.

        Args:
            name: Name of the file, in ASCII.
            content: Content of the file, less than 4 GiB.
        """
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
        """Yield the central directory, in pieces."""
        offset, name_start, directory_size = 0, 0, 0
        parts: list[bytes] = []
        for crc, size, length in zip(self._sums, self._sizes, self._lengths, strict=True):
            is_zip64 = offset >= _MAX_32
            extra = _EXTRA_64.pack(1, 8, offset) if is_zip64 else b""
            version, offset_32 = (_ZIP64, _MAX_32) if is_zip64 else (_PLAIN, offset)
            sizes = (crc, size, size, length, len(extra))
            fields = (_UNIX | version, version, 0, 0, _TIME, _DATE, *sizes, 0, 0, 0, _FILE, offset_32)
            parts.append(_CENTRAL.pack(b"PK\x01\x02", *fields) + self._names[name_start : name_start + length] + extra)
            offset += _LOCAL.size + length + size
            name_start += length
            if len(parts) == _FILES_AT_A_TIME:
                directory_size += sum(map(len, parts))
                yield b"".join(parts)
                parts = []
        directory_size += sum(map(len, parts))
        yield b"".join(parts) + _end(len(self._sums), directory_size, offset)


def _end(count: int, size: int, offset: int) -> bytes:
    """Return the end of the central directory: number of files, size of the directory, and its offset."""
    end = b""
    if count >= _MAX_16 or size >= _MAX_32 or offset >= _MAX_32:
        fields = (_END_64.size - 12, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, offset)
        end = _END_64.pack(b"PK\x06\x06", *fields) + _LOCATOR_64.pack(b"PK\x06\x07", 0, offset + size, 1)
    count_16, size_32, offset_32 = min(count, _MAX_16), min(size, _MAX_32), min(offset, _MAX_32)
    return end + _END.pack(b"PK\x05\x06", 0, 0, count_16, count_16, size_32, offset_32, 0)
