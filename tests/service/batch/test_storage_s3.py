"""Jobs on an S3 server: failed requests, lost responses, errors of the configuration."""

import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import s3fs
from botocore.exceptions import BotoCoreError, ClientError

from seedmint.models.card import ImageOutput
from seedmint.models.directory import SHIPPED, find_generator
from seedmint.service.batch.job import begin
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage import object_store
from seedmint.service.batch.storage.base import OutputError
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import ROOT, batch_error, finished, hashes, job_status, make_all, num_generated, plan_for
from tests.support.s3_server import KINDS
from tests.support.s3_storage import S3Server


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "_MAX_WAIT_SECONDS", 0.05)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """Images of 48 KiB: an upload of 400 images has three parts."""
    output = ImageOutput(height=128, width=128, channels=3)
    return open_generator(generators.write(tmp_path_factory.mktemp("large"), "large", 6, output=output))


def test_failed_uploads_are_repeated_and_no_incomplete_object_is_visible(s3: S3Server, tmp_path: Path, large: Generator):
    """Every third request of each operation fails: status 500 or 503, a connection closed within a part, or a lost response."""
    plan = plan_for(large, "0-1199", "npy", 400)
    make_all(open_output(str(tmp_path / "out")), plan, large)
    expected = hashes(tmp_path / "out")
    before = s3.counts()
    seen: list[dict[str, str]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            with suppress(ClientError, BotoCoreError):  # some requests of this thread fail
                seen.append(s3.hashes("bucket", "faults"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    s3.set_faults(3)
    try:
        make_all(open_output("s3://bucket/faults"), plan, large)
    finally:
        s3.set_faults(0)
        over.set()
        watcher.join()
    counts = s3.counts()
    for kind in KINDS:  # each kind of fault has occurred in a part of an upload
        assert counts.get(f"PART {kind}", 0) > before.get(f"PART {kind}", 0), counts
    assert s3.hashes("bucket", "faults") == expected
    assert seen
    assert all(state.items() <= expected.items() for state in seen)


def test_an_unreachable_store_keeps_no_part_of_an_object(s3: S3Server, large: Generator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)  # s3fs itself would retry, with delays of seconds
    plan = plan_for(large, "0-399", "npy", 400)
    output = open_output("s3://bucket/away")
    begin(output, plan)
    s3.set_faults(1)
    try:
        with pytest.raises(OutputError, match="data/shard-000000"):
            make_shard(large, plan, 0, output)
    finally:
        s3.set_faults(0)
    assert set(s3.hashes("bucket", "away")) == {"plan.json"}
    make_all(output, plan, large)
    assert list(verify(output, plan, [large], ignore_progress)) == []


@pytest.mark.slow
def test_the_command(s3: S3Server, tmp_path: Path):
    """Two workers, with failing requests; the second run finds a complete job.

    A run of more than ten seconds prints progress lines. Any other output on standard error fails the test.
    """
    digits = open_generator(find_generator("digits", SHIPPED))
    make_all(open_output(str(tmp_path / "out")), plan_for(digits, "0-799", "webdataset", 200), digits)
    job = ["digits", "--seeds", "0-799", "--shard-size", "200", "--workers", "2", "--out", "s3://bucket/command"]
    s3.set_faults(5)
    try:
        code, stdout, stderr = finished(*job)
    finally:
        s3.set_faults(0)
    assert code == 0, stderr
    assert re.fullmatch(r"(?:[\d,]+ of 800 images, [0-4] of 4 shards, [\d,]+/s, [\d:]+ left\n)*", stderr)
    assert num_generated(stdout) == 800
    assert s3.hashes("bucket", "command") == hashes(tmp_path / "out")
    code, stdout, stderr = finished(*job)
    assert (code, stderr) == (0, "")
    assert num_generated(stdout) == 0
    assert job_status("s3://bucket/command")["state"] == "done"


def test_errors_of_the_configuration(s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    job = ["run", "digits", "--seeds", "0-9", "--workers", "1", "--out"]
    error = batch_error(*job, "s3://none-such/job")
    assert (error.field, error.reason, error.status) == ("out", "output_unavailable", 1)
    assert "bucket" in str(error)  # from the message of the store
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    s3fs.S3FileSystem.clear_instance_cache()
    error = batch_error(*job, "s3://bucket/secret")
    assert (error.field, error.reason, error.status) == ("out", "output_unavailable", 1)
    assert "credentials" in str(error)  # from the message of botocore
    s3fs.S3FileSystem.clear_instance_cache()


def test_without_s3fs_the_error_names_the_extra():
    program = "import sys; sys.modules['s3fs'] = None; from seedmint.cli import main; main(sys.argv[1:])"
    job = [sys.executable, "-c", program, "batch", "run", "digits", "--seeds", "0-9", "--out", "s3://bucket/job"]
    done = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: --out: s3://bucket/job: ")
    assert "[s3]" in done.stderr
