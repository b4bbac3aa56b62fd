"""Jobs on an S3 server, over HTTP: the bytes of a local job, whatever fails, and nothing visible that is not whole."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import s3fs
from botocore.exceptions import BotoCoreError, ClientError

from seedmint.models.card import ImageOutput
from seedmint.models.directory import SHIPPED, find_generator
from seedmint.service.batch.job import begin
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage import object_store
from seedmint.service.batch.storage.base import OutputError
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator, open_generator
from tests.service.batch.test_failures import refused
from tests.support import generators
from tests.support.batch_jobs import ROOT, ended, hashes, make_all, plan_for
from tests.support.s3_server import KINDS
from tests.support.servers import free_port, wait_until


class Server:
    """moto's S3 server behind faults, and a client of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = boto3.client("s3", endpoint_url=url)

    def faults(self, period: int) -> None:
        httpx.post(f"{self.url}/-/faults/{period}").raise_for_status()

    def counts(self) -> dict[str, int]:
        return dict(httpx.get(f"{self.url}/-/counts").json())

    def hashes(self, bucket: str, prefix: str) -> dict[str, str]:
        """SHA-256 of every visible object, by its name."""
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for entry in page.get("Contents", ()):
                body = self.client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                found[entry["Key"].removeprefix(f"{prefix}/")] = hashlib.sha256(body).hexdigest()
        return found


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")  # what fails is Seedmint's to try again
        log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.s3_server", str(port)], cwd=ROOT, stdout=log, stderr=log
        )
        try:

            def answers() -> bool:
                assert process.poll() is None, Path(log.name).read_text()
                try:
                    return httpx.get(f"{url}/-/counts").is_success
                except httpx.TransportError:
                    return False

            wait_until(answers, 60)
            server = Server(url)
            server.client.create_bucket(Bucket="bucket")
            yield server
        finally:
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "_LONGEST_WAIT", 0.05)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """Of images of 48 KiB: 400 are an upload of three parts."""
    output = ImageOutput(height=128, width=128, channels=3)
    return open_generator(generators.write(tmp_path_factory.mktemp("large"), "large", 6, output=output))


@pytest.mark.parametrize(("form", "seeds"), [("webdataset", "0-99"), ("parquet", "0-99"), ("npz", "0-99"), ("png", "0-39")])
def test_the_bytes_are_those_of_a_local_job(s3: Server, tmp_path: Path, rgb: Generator, form: str, seeds: str):
    plan = plan_for(rgb, seeds, form)
    make_all(open_output(str(tmp_path / "out")), plan, rgb)
    output = open_output(f"s3://bucket/{form}")
    make_all(output, plan, rgb, backwards=True)
    assert s3.hashes("bucket", form) == hashes(tmp_path / "out")
    assert list(verify(output, plan, rgb, lambda images: None)) == []


def test_what_fails_is_sent_again_and_nothing_half_written_is_visible(s3: Server, tmp_path: Path, large: Generator):
    """Every third request of each kind: answers of 500 and 503, connections cut in the middle of a part, answers lost."""
    plan = plan_for(large, "0-1199", "npy", 400)
    make_all(open_output(str(tmp_path / "out")), plan, large)
    expected = hashes(tmp_path / "out")
    before = s3.counts()
    seen: list[dict[str, str]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            with suppress(ClientError, BotoCoreError):  # of the requests that fail, some are its own
                seen.append(s3.hashes("bucket", "faults"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    s3.faults(3)
    try:
        make_all(open_output("s3://bucket/faults"), plan, large)
    finally:
        s3.faults(0)
        over.set()
        watcher.join()
    counts = s3.counts()
    for kind in KINDS:  # each has befallen a part of an upload
        assert counts.get(f"PART {kind}", 0) > before.get(f"PART {kind}", 0), counts
    assert s3.hashes("bucket", "faults") == expected
    assert seen
    assert all(state.items() <= expected.items() for state in seen)


def test_a_store_that_stays_away_leaves_no_part_of_an_object(s3: Server, large: Generator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)  # its own, with waits of seconds
    plan = plan_for(large, "0-399", "npy", 400)
    output = open_output("s3://bucket/away")
    begin(output, plan)
    s3.faults(1)
    try:
        with pytest.raises(OutputError, match=r"s3://bucket/away: cannot write data/shard-000000\.npy, tried 7 times: "):
            make_shard(large, plan, 0, output)
    finally:
        s3.faults(0)
    assert set(s3.hashes("bucket", "away")) == {"plan.json"}
    make_all(output, plan, large)
    assert list(verify(output, plan, large, lambda images: None)) == []


@pytest.mark.slow
def test_the_command(s3: Server, tmp_path: Path):
    """Two workers, and requests that fail; the same again finds all there."""
    digits = open_generator(find_generator("digits", SHIPPED))
    make_all(open_output(str(tmp_path / "out")), plan_for(digits, "0-799", "webdataset", 200), digits)
    job = ["digits", "--seeds", "0-799", "--shard-size", "200", "--workers", "2", "--out", "s3://bucket/command"]
    s3.faults(5)
    try:
        code, said, complained = ended(*job)
    finally:
        s3.faults(0)
    assert (code, complained) == (0, "")
    assert "in s3://bucket/command, 4 shards, 800 made" in said
    assert s3.hashes("bucket", "command") == hashes(tmp_path / "out")
    assert "all there already" in ended(*job)[1]
    assert "state       done" in ended("status", "s3://bucket/command")[1]


def test_what_the_user_can_mend_is_one_line(s3: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    job = ["digits", "--seeds", "0-9", "--workers", "1", "--out"]
    said = refused(capsys, *job, "s3://none-such/job", status=1)
    assert said == "Error: --out s3://none-such/job: The specified bucket does not exist\n"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    s3fs.S3FileSystem.clear_instance_cache()
    said = refused(capsys, *job, "s3://bucket/secret", status=1)
    assert said == "Error: --out s3://bucket/secret: cannot read plan.json: Unable to locate credentials\n"
    s3fs.S3FileSystem.clear_instance_cache()


def test_without_its_library_the_extra_is_named():
    program = "import sys; sys.modules['s3fs'] = None; from seedmint.cli import main; main(sys.argv[1:])"
    job = [sys.executable, "-c", program, "batch", "run", "digits", "--seeds", "0-9", "--out", "s3://bucket/job"]
    done = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: --out s3://bucket/job: the library for such places is not installed: pip install -e '.[s3]'\n"
    )
