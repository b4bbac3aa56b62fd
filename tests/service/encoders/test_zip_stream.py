"""Zips of many files, compared with two other readers."""

import io
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from seedmint.service.encoders.zip_stream import StoredZip


def write(path: Path, files: dict[str, bytes], start: int = 0) -> None:
    """Write a zip that starts at an offset in the file, after a hole."""
    archive = StoredZip()
    archive._offset = start
    with path.open("wb") as file:
        file.seek(start)
        for name, content in files.items():
            file.write(archive.add(name, content))
        file.writelines(archive.finish())


def random_files(count: int) -> dict[str, bytes]:
    chance = random.Random(0)
    return {f"{i % 10}/{i}.png": chance.randbytes(chance.randrange(40)) for i in range(count)}


# Numbers of files below and above 65,535, and offsets beyond 4 GiB from the first file on or from a later file on.
@pytest.mark.parametrize(("count", "start"), [(0, 0), (1, 0), (65_534, 0), (65_535, 0), (9, 5 << 30), (999, (1 << 32) - 9000)])
def test_other_readers_find_every_file(tmp_path: Path, count: int, start: int):
    files = random_files(count)
    path = tmp_path / "many.zip"
    write(path, files, start)
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files  # reading also compares the checksums
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) and info.external_attr == 0o644 << 16 for info in archive.infolist())
    if (unzip := shutil.which("unzip")) and not start and count:
        done = subprocess.run([unzip, "-tqq", str(path)], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_central_directory_is_written_in_pieces_with_little_memory():
    archive = StoredZip()
    for name, content in random_files(20_000).items():
        archive.add(name, content)
    pieces = list(archive.finish())
    assert len(pieces) == 5
    assert max(map(len, pieces)) < 4096 * 60
    kept = [archive._sums, archive._sizes, archive._lengths, archive._names]
    assert sum(memoryview(part).nbytes for part in kept) / 20_000 < 21  # bytes for each file, with names of 7 to 11 bytes


def test_reader_that_cannot_seek_finds_sizes_before_the_data():
    archive = StoredZip()
    data = io.BytesIO(archive.add("a.png", b"12345") + b"".join(archive.finish()))
    head = data.read(30)
    assert int.from_bytes(head[6:8], "little") == 0  # no data descriptor
    assert int.from_bytes(head[18:22], "little") == 5
