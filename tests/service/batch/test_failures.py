"""Errors of jobs: each has a field, a reason and an exit status; no data is lost or mixed."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from seedmint.models.errors import UserError
from seedmint.service.batch.completeness import missing_shards
from seedmint.service.batch.engines.process_pool import run
from seedmint.service.batch.job import begin, finish, open_plan_generator
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.progress import BatchProgress, ignore_progress
from seedmint.service.batch.records import RecordError
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage import local as output_module
from seedmint.service.batch.storage.base import OutputError
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import ROOT, batch, batch_error, command, hashes, make_all, plan_for


def refused(*arguments: str | Path, status: int = 2) -> tuple[str | None, str]:
    """The field and the reason of the error of `seedmint batch run`, which has this exit status."""
    error = batch_error("run", *arguments)
    assert error.status == status
    return error.field, error.reason


@pytest.fixture
def job(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of a job of 100 images of `rgb` in `out`."""
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    return ["rgb", "--out", "out", "--seeds", "0-99", "--shard-size", "30", "--format", "npz", "--workers", "1"]


def start_job(models: Path, out: Path, shards: int = 2) -> Generator:
    """Make some shards of that job in this process."""
    generator = open_generator(models / "rgb.onnx")
    plan, output = plan_for(generator, "0-99", "npz", 30), open_output(str(out))
    begin(output, plan)
    for index in range(shards):
        make_shard(generator, plan, index, output)
    return generator


@pytest.mark.parametrize(
    ("option", "value"),
    [("seeds", "0-98"), ("format", "npy"), ("labels", "bee"), ("truncation", "0.5"), ("shard_size", "31")],
)
def test_another_job_on_the_same_output_is_refused(job: list[str], models: Path, option: str, value: str):
    start_job(models, Path("out"))
    before = hashes(Path("out"))
    assert refused(*job, f"--{option.replace('_', '-')}", value) == (option, "other_plan")
    assert hashes(Path("out")) == before


def test_a_generator_that_was_replaced_is_refused(job: list[str], models: Path, tmp_path: Path):
    generator = start_job(models, Path("out"))
    before = hashes(Path("out"))
    changed = generators.write(tmp_path, "rgb", 99, classes=generator.card.classes, output=generator.card.output)
    assert refused(changed, *job[1:]) == ("model", "other_generator")
    plan = plan_for(generator, "0-99", "npz", 30)
    with pytest.raises(PlanError) as error:
        open_plan_generator(changed, plan)
    assert error.value.reason == "other_generator"
    with pytest.raises(UserError) as worker_error:  # the file changes while the job runs; a worker sees it
        run([changed], "out", plan, [2, 3], 1, ignore_progress)
    assert (worker_error.value.field, worker_error.value.reason) == ("model", "other_generator")
    assert hashes(Path("out")) == before


def test_a_folder_with_other_files_is_refused(job: list[str]):
    Path("out").mkdir()
    Path("out/README.md").write_text("mine")
    assert refused(*job) == ("out", "not_a_job")
    assert Path("out/README.md").read_text() == "mine"
    assert refused(*job, "--out", "out/README.md") == ("out", "not_a_folder")
    Path("out/plan.json").write_text('{"schema": 2}')
    assert refused(*job) == (None, "unreadable_plan")


def test_two_jobs_on_one_output(job: list[str], models: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(output_module, "_SHARED_WAIT_SECONDS", 0.1)
    start_job(models, Path("out"))
    busy = ("out", "output_busy")
    with open_output("out").lock(shared=False):
        assert refused(*job, status=1) == busy
        assert refused(*job, "--shard-index", "0", "--num-shards", "2", status=1) == busy
    with open_output("out").lock(shared=True), open_output("out").lock(shared=True):
        assert refused(*job, status=1) == busy


def test_an_output_that_was_removed_is_not_created_again(tmp_path: Path, models: Path):
    generator = start_job(models, tmp_path / "out")
    plan, output = plan_for(generator, "0-99", "npz", 30), open_output(str(tmp_path / "out"))

    def remove(event: BatchProgress) -> None:
        if (tmp_path / "out").exists():
            (tmp_path / "out").rename(tmp_path / "moved")

    for on_progress in (remove, ignore_progress):
        with pytest.raises(OutputError) as error:
            make_shard(generator, plan, 2, output, on_progress)
        assert error.value.reason == "output_removed"
        assert not (tmp_path / "out").exists()
    (tmp_path / "moved").rename(tmp_path / "out")
    output.clean()
    make_all(output, plan, generator)
    make_all(open_output(str(tmp_path / "elsewhere")), plan, generator)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "elsewhere")


@pytest.mark.parametrize("form", ["npz", "png"])
def test_an_output_that_was_removed_ends_the_pool(tmp_path: Path, models: Path, form: str):
    generator = open_generator(models / "rgb.onnx")
    plan, output = plan_for(generator, "0-9999", form, 2000), open_output(str(tmp_path / "out"))
    begin(output, plan)

    def remove(event: BatchProgress) -> None:
        if (tmp_path / "out").exists():
            (tmp_path / "out").rename(tmp_path / "moved")

    with pytest.raises((OutputError, UserError, OSError)):
        run([models / "rgb.onnx"], output.url, plan, range(5), 1, remove)
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "moved").glob("records/*"))


@pytest.mark.parametrize("shards", [1, 3])
def test_a_record_that_cannot_be_written_ends_the_pool(tmp_path: Path, models: Path, shards: int):
    """The record is written while the next shard is made, or at the end."""
    plan, output = plan_for(open_generator(models / "rgb.onnx"), "0-99", "npz", 30), open_output(str(tmp_path / "out"))
    begin(output, plan)
    (tmp_path / "out/records").write_text("no folder")
    events: list[BatchProgress] = []
    with pytest.raises(FileExistsError) as error:
        run([models / "rgb.onnx"], output.url, plan, range(shards), 1, events.append)
    assert str(error.value.filename).endswith("records")
    assert not any(event.shards for event in events)


def test_an_output_without_write_permission(tmp_path: Path):
    """Also as root, whose right to ignore permissions is removed."""
    bounded = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []
    if bounded and shutil.which("setpriv") is None:
        pytest.skip("root ignores permissions, and setpriv is not installed")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    for out in (closed / "out", closed):
        job = [*bounded, *command("digits", "--seeds", "0-99", "--out", out)]
        done = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: Permission denied: {out}")
        assert done.stderr.count("\n") == 1
    assert not list(closed.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.getuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True).returncode
    ):
        pytest.skip("cannot mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("form", ["npz", "webdataset", "parquet", "png"])
def test_a_full_disk(small_disk: Path, tmp_path: Path, models: Path, form: str):
    generator = open_generator(models / "rgb.onnx")
    plan, output = plan_for(generator, "0-599", form, 100), open_output(str(small_disk / "out"))
    begin(output, plan)
    make_shard(generator, plan, 0, output)
    kept = hashes(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 16384))  # room for a fraction of a shard
    job = [str(models / "rgb.onnx"), "--out", str(small_disk / "out"), "--workers", "1"]
    assert refused(*job, status=1) == ("out", "no_space")
    with pytest.raises(OSError) as error:  # the disk fills up while the job runs  # noqa: PT011
        run([models / "rgb.onnx"], output.url, plan, [1], 1, ignore_progress)
    assert error.value.errno == errno.ENOSPC
    ballast.unlink()
    assert hashes(small_disk) == kept
    make_all(output, plan, generator)
    make_all(open_output(str(tmp_path / "elsewhere")), plan, generator)
    assert hashes(small_disk / "out") == hashes(tmp_path / "elsewhere")


def test_leftovers_are_removed_before_the_free_space_is_checked(small_disk: Path, models: Path):
    """A killed job leaves temporary files."""
    generator = start_job(models, small_disk / "out")
    free = shutil.disk_usage(small_disk).free
    (small_disk / "out/data/.shard-000002.npz.abc").write_bytes(bytes(free - 4096))
    batch("run", models / "rgb.onnx", "--out", small_disk / "out", "--workers", "1")
    assert (small_disk / "out/manifest.json").exists()
    assert not list(small_disk.glob("out/data/.*"))
    assert finish(open_output(str(small_disk / "out")), plan_for(generator, "0-99", "npz", 30))


def test_a_job_that_does_not_fit_the_disk_is_refused_before_it_begins(small_disk: Path):
    assert refused("digits", "--seeds", "0-99999", "--out", small_disk / "out", status=1) == ("out", "no_space")
    assert not list(small_disk.iterdir())


def test_shards_without_records_are_repeated(tmp_path: Path, models: Path):
    generator = start_job(models, tmp_path / "out", 4)
    plan, output = plan_for(generator, "0-99", "npz", 30), open_output(str(tmp_path / "out"))
    assert finish(output, plan)
    before = hashes(tmp_path / "out")
    (tmp_path / "out/records/000002.json").unlink()
    assert missing_shards(output, plan).tolist() == [2]
    assert not finish(output, plan)
    make_all(output, plan, generator)
    assert hashes(tmp_path / "out") == before


def test_damaged_records_and_records_of_other_jobs_are_errors(tmp_path: Path, models: Path):
    generator = start_job(models, tmp_path / "out", 4)
    plan, output = plan_for(generator, "0-99", "npz", 30), open_output(str(tmp_path / "out"))
    records = tmp_path / "out/records"
    shutil.copy(records / "000001.json", records / "000002.json")
    with pytest.raises(RecordError, match="records/000002") as error:
        finish(output, plan)
    assert error.value.reason == "record_of_other_job"
    (records / "000002.json").write_text("{")
    with pytest.raises(RecordError, match="records/000002") as error:
        finish(output, plan)
    assert error.value.reason == "damaged_record"
    assert not (tmp_path / "out/manifest.json").exists()
