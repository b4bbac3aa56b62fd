"""Programs that read a shard of a job by its URL, with range requests."""

import io
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import duckdb
import fsspec  # type: ignore[import-untyped]
import httpx
import numpy as np
import polars
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from fsspec.implementations.http import HTTPFileSystem  # type: ignore[import-untyped]

from tests.support import generators
from tests.support.fixtures import CLASSES
from tests.support.servers import Server, serving, wait_until

pytestmark = pytest.mark.slow

COUNT = 500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("models")
    generators.write(directory, "rgb", 1, classes=CLASSES)
    with serving(directory, jobs_url=tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture(scope="module")
def shard(server: Server) -> str:
    """The URL of a Parquet shard."""
    job = server.client.post("/v1/jobs", json={"model": "rgb", "seeds": f"0-{COUNT - 1}", "format": "parquet"}).json()
    wait_until(lambda: server.client.get(job["url"]).json()["state"] == "done", 120)
    return f"{server.url}{job['url']}/files/data/shard-000000.parquet"


@pytest.fixture(scope="module")
def content(shard: str) -> bytes:
    answer = httpx.get(shard)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == f'"{sha256(answer.content).hexdigest()}"'
    return answer.content


def test_ranges_of_a_shard(shard: str, content: bytes):
    size = len(content)
    for start, stop in ((0, 4), (size - 8, size), (1000, 5000), (0, size)):
        part = httpx.get(shard, headers={"Range": f"bytes={start}-{stop - 1}"})
        assert (part.status_code, part.content) == (206, content[start:stop])
    assert httpx.get(shard, headers={"Range": f"bytes={size}-"}).status_code == 416
    changed = httpx.get(shard, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, content)
    plan = shard.replace("data/shard-000000.parquet", "plan.json")
    assert httpx.get(plan, headers={"Range": "bytes=0-0"}).content == b"{"


def test_fsspec_reads_a_part(shard: str, content: bytes):
    with fsspec.open(shard, block_size=1 << 12) as file:
        assert file.size == len(content)
        file.seek(-8, 2)
        assert file.read() == content[-8:]
        assert pq.read_table(file, columns=["seed"]).column("seed").to_pylist() == list(range(COUNT))


class _Web(HTTPFileSystem):  # type: ignore[misc]
    """DuckDB's own extension for HTTP is a download. Besides ranges, DuckDB needs a time for its cache."""

    def modified(self, path: str) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def test_duckdb_reads_a_shard(shard: str):
    connection = duckdb.connect()
    connection.register_filesystem(_Web())
    assert connection.sql(f"select count(*), sum(seed) from read_parquet('{shard}')").fetchall() == [(COUNT, sum(range(COUNT)))]


def test_polars_scans_a_shard(shard: str):
    found = polars.scan_parquet(shard).select(polars.col("seed").sum()).collect()
    assert found.item() == sum(range(COUNT))


def test_datasets_streams_a_shard(shard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    from datasets import load_dataset  # type: ignore[import-untyped]

    rows = load_dataset("parquet", data_files={"train": shard}, split="train", streaming=True)
    assert [row["seed"] for row in rows.take(3)] == [0, 1, 2]


def test_curl_continues_a_download(shard: str, content: bytes, tmp_path: Path):
    file = tmp_path / "shard.parquet"
    file.write_bytes(content[: len(content) // 3])
    subprocess.run(["curl", "-sS", "-C", "-", "-o", str(file), shard], check=True, timeout=60)
    assert file.read_bytes() == content


def test_curl_continues_an_array(server: Server, tmp_path: Path):
    path = server.client.get("/v1/models/rgb/images.npy?seeds=0-999").headers["location"]
    file = tmp_path / "images.npy"
    whole = server.client.get(path).content
    file.write_bytes(whole[:5000])
    subprocess.run(["curl", "-sS", "-C", "-", "-o", str(file), f"{server.url}{path}"], check=True, timeout=60)
    assert file.read_bytes() == whole
    assert np.load(io.BytesIO(whole)).shape[0] == 1000
