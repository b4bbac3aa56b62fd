"""Remove symbol tables and debugging information from shared libraries: python strip.py DIRECTORY

The loader needs only what the program headers map into memory. The program removes the rest at the end of each file, with the
table of sections, as `llvm-strip --strip-sections` does. The base image has no binutils, and its package
mirror may be unreachable.
"""

import struct
import sys
from pathlib import Path

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # of 64-bit little-endian ELF files
_SEGMENT = struct.Struct("<IIQQQQQQ")
_MAGIC = b"\x7fELF\x02\x01"


def stripped(content: bytes) -> bytes:
    """Return an ELF file without sections that are not loaded.

    Args:
        content: The bytes of any file. Other files are returned unchanged.
    """
    if not content.startswith(_MAGIC):
        return content
    fields = _HEADER.unpack_from(content)
    phoff, phentsize, phnum = fields[5], fields[9], fields[10]
    end = phoff + phentsize * phnum
    for number in range(phnum):
        _, _, offset, _, _, size, _, _ = _SEGMENT.unpack_from(content, phoff + number * phentsize)
        end = max(end, offset + size)
    # Without the offset, the number and the names of the sections.
    header = _HEADER.pack(*fields[:6], 0, *fields[7:12], 0, 0)
    return header + content[_HEADER.size : end]


def main() -> None:
    before = after = 0
    for path in sorted(Path(sys.argv[1]).rglob("*.so*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            smaller = stripped(content)
            before, after = before + len(content), after + len(smaller)
            if smaller != content:
                path.write_bytes(smaller)
    print(f"strip: {before / 1e6:.0f} MB of shared libraries are now {after / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
