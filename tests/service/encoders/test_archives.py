"""Archives with sizes beyond 32 bits. The tests lower this limit."""

import io
import zipfile

import numpy as np
import pytest

from seedmint.service.encoders.array_files import NpzWriter
from seedmint.service.runtime.generator import Generator


@pytest.mark.parametrize(("limit", "large"), [(128 + 26 * 8 - 1, 3), (128 + 26 * 576 - 1, 1), (128 + 26 * 576, 0)])
def test_npz_uses_zip64_for_large_members(rgb: Generator, monkeypatch: pytest.MonkeyPatch, limit: int, large: int):
    """`zipfile` fails beyond the limit, unless it knows the size in advance."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    seeds = np.arange(26, dtype=np.int64)
    writer = NpzWriter(rgb, len(seeds))
    parts = [writer.add(piece, piece % 3, rgb.generate(piece, piece % 3)) for piece in np.array_split(seeds, 3)]
    content = b"".join([*parts, *writer.finish()])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        versions = [content[info.header_offset + 4] for info in archive.infolist()]
    assert versions.count(zipfile.ZIP64_VERSION) == large
    arrays = np.load(io.BytesIO(content))
    np.testing.assert_array_equal(arrays["images"], rgb.generate(seeds, seeds % 3))
    np.testing.assert_array_equal(arrays["seeds"], seeds)
    np.testing.assert_array_equal(arrays["labels"], seeds % 3)
