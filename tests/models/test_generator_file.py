"""Reading generator files: bytes, digest, graph and name."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from seedmint.models.runtime import generator_file
from seedmint.models.runtime.generator_file import (
    GeneratorError,
    check_name,
    checked_card,
    digest_of,
    parse_model,
    read_content,
)
from tests.support import generators
from tests.support.errors import raises

CONTENT = bytes(range(256)) * 3


@pytest.fixture(params=["path", "descriptor"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | int]:
    """A file of 768 bytes: its path, or the descriptor of the open file, which stands in the middle."""
    path = tmp_path / "a.onnx"
    path.write_bytes(CONTENT)
    if request.param == "path":
        yield path
        return
    descriptor = os.open(path, os.O_RDONLY)
    os.lseek(descriptor, 100, os.SEEK_SET)
    yield descriptor
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 100
    os.close(descriptor)


def test_the_whole_file_is_read(file: Path | int):
    assert read_content(file) == CONTENT


def test_the_largest_size_is_exact(file: Path | int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generator_file, "MAX_FILE_BYTES", 768)
    assert read_content(file) == CONTENT
    monkeypatch.setattr(generator_file, "MAX_FILE_BYTES", 767)
    with raises(GeneratorError, "too_large_file"):
        read_content(file)


def test_the_limits_of_the_format_never_change():
    assert generator_file.MAX_FILE_BYTES == 2**31 - 1
    assert generator_file.DIGEST12 == 12


def test_short_reads_of_an_open_file_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.onnx"
    path.write_bytes(CONTENT)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda handle, size, offset: pread(handle, min(size, 100), offset))
    with path.open("rb") as opened:
        assert read_content(opened.fileno()) == CONTENT
        monkeypatch.setattr(generator_file, "MAX_FILE_BYTES", 700)
        with raises(GeneratorError, "too_large_file"):
            read_content(opened.fileno())


def test_a_file_that_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.onnx"
    path.write_bytes(CONTENT)
    sizes: list[int] = []

    def pread(handle: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return b"x" * min(size, 1000)

    monkeypatch.setattr(os, "pread", pread)
    monkeypatch.setattr(generator_file, "MAX_FILE_BYTES", 5000)
    with path.open("rb") as opened, raises(GeneratorError, "too_large_file"):
        read_content(opened.fileno())
    assert sizes == [769] + [1 << 20] * 5


def test_a_folder_and_a_pipe_are_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with raises(GeneratorError, "not_a_file"):
            read_content(path)
    descriptors = os.pipe()
    with raises(GeneratorError, "not_a_file"):
        read_content(descriptors[0])
    for descriptor in descriptors:
        os.close(descriptor)


def test_files_are_closed(tmp_path: Path):
    (tmp_path / "a.onnx").write_bytes(CONTENT)
    read_content(tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").resolve() not in {entry.resolve() for entry in Path("/proc/self/fd").iterdir()}


def test_the_digest_is_the_sha256():
    assert digest_of(CONTENT) == hashlib.sha256(CONTENT).hexdigest()


def test_other_bytes_are_no_onnx_file():
    for content in (b"no generator", generators.content("one")[:-7]):
        with raises(GeneratorError, "not_onnx"):
            parse_model(content)


def test_the_file_has_the_name_of_the_generator():
    content = generators.content("one")
    card, digest = checked_card(content), digest_of(content)
    for name in ("one", f"one@{digest[:12]}"):
        check_name(card, Path(f"{name}.onnx"), digest)
    for name in ("two", "one@000000000000", f"one@{digest[:11]}", f"one@{digest[:13]}", f"one@{digest}", ""):
        with raises(GeneratorError, "wrong_name"):
            check_name(card, Path(f"{name}.onnx"), digest)
