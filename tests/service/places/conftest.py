"""Fixtures of the tests of places: moto's S3 server and a cache."""

from pathlib import Path

import pytest

from seedmint.service.places.download_cache import DownloadCache
from tests.support.s3_storage import s3, s3_server

__all__ = ["s3", "s3_server"]


@pytest.fixture
def cache(tmp_path: Path) -> DownloadCache:
    return DownloadCache(tmp_path / "cache")
