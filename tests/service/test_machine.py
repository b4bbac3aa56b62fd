"""What the control groups of a container say of its memory."""

from pathlib import Path

import pytest

from service.machine import memory_limit


@pytest.mark.parametrize(
    ("second", "first", "limit"),
    [
        ("1073741824\n", None, 1 << 30),
        ("max\n", None, None),
        (None, "536870912\n", 1 << 29),
        (None, "9223372036854771712\n", None),
        (None, None, None),
    ],
)
def test_the_memory_limit_of_either_version(tmp_path: Path, second: str | None, first: str | None, limit: int | None):
    files = (tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes")
    for file, text in zip(files, (second, first), strict=True):
        if text is not None:
            file.write_text(text)
    assert memory_limit(files) == limit
