"""What goes wrong is one line and a status that is not 0, and nothing is lost or mixed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from seedmint.cli import cli, main
from seedmint.models.errors import UserError
from seedmint.service.batch.engines.base import Step
from seedmint.service.batch.engines.process_pool import run
from seedmint.service.batch.job import begin, finish, missing, open_planned
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage import local as output_module
from seedmint.service.batch.storage.base import OutputError
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import ROOT, command, hashes, make_all, plan_for


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 2) -> str:
    """The one line of a command that fails, which cannot succeed, or with status 1 may."""
    with pytest.raises(SystemExit) as end:
        main(["batch", "run", *map(str, arguments)])
    assert end.value.code == status
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert error.startswith("Error: ")
    return error


@pytest.fixture
def job(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A job of 100 images of `rgb`, to be made in `out`."""
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    return ["rgb", "--out", "out", "--seeds", "0-99", "--shard-size", "30", "--format", "npz", "--workers", "1"]


def begun(models: Path, out: Path, shards: int = 2) -> Generator:
    """Some shards of that job, made here."""
    generator = open_generator(models / "rgb.onnx")
    plan, output = plan_for(generator, "0-99", "npz", 30), open_output(str(out))
    begin(output, plan)
    for index in range(shards):
        make_shard(generator, plan, index, output)
    return generator


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seeds", "0-98"], "holds another job: --seeds is 0-99 there, and 0-98 here"),
        (["--format", "npy"], "--format is npz there, and npy here"),
        (["--labels", "bee"], "--labels is per-seed there, and 1 here"),
        (["--truncation", "0.5"], "--truncation is 1.0 there, and 0.5 here"),
        (["--shard-size", "31"], "--shard-size is 30 there, and 31 here"),
    ],
)
def test_another_job_on_the_same_output_is_refused(
    job: list[str], models: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    begun(models, Path("out"))
    before = hashes(Path("out"))
    assert said in refused(capsys, *job, *options)
    assert hashes(Path("out")) == before


def test_a_generator_that_was_replaced_is_refused(
    job: list[str], models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    generator = begun(models, Path("out"))
    before = hashes(Path("out"))
    changed = generators.write(tmp_path, "rgb", 99, classes=generator.card.classes, output=generator.card.output)
    said = refused(capsys, changed, *job[1:])
    assert f"holds a job of rgb@{generator.digest12}, and this generator is rgb@" in said
    with pytest.raises(PlanError, match="has changed: its digest is"):
        open_planned(changed, plan_for(generator, "0-99", "npz", 30))
    with pytest.raises(UserError, match=r"has changed: .*Put that file back"):  # while the job runs, seen by a worker
        run(changed, "out", plan_for(generator, "0-99", "npz", 30), [2, 3], 1, lambda step: None)
    assert hashes(Path("out")) == before


def test_a_folder_that_holds_something_else_is_left_alone(job: list[str], capsys: pytest.CaptureFixture[str]):
    Path("out").mkdir()
    Path("out/README.md").write_text("mine")
    assert "out is not empty, and holds no job" in refused(capsys, *job)
    assert Path("out/README.md").read_text() == "mine"
    assert "out/README.md is a file: give a folder" in refused(capsys, *job, "--out", "out/README.md")
    assert "is not a plan that this version reads" in refused_with_plan(capsys, job)


def refused_with_plan(capsys: pytest.CaptureFixture[str], job: list[str]) -> str:
    Path("out/plan.json").write_text('{"schema": 2}')
    return refused(capsys, *job)


def test_two_jobs_on_one_output(
    job: list[str], models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(output_module, "_SHARED_WAIT_SECONDS", 0.1)
    begun(models, Path("out"))
    with open_output("out").lock(shared=False):
        assert "another job is writing there" in refused(capsys, *job, status=1)
        assert "another job is writing there" in refused(capsys, *job, "--shard-index", "0", "--num-shards", "2", status=1)
    with open_output("out").lock(shared=True), open_output("out").lock(shared=True):
        assert "another job is writing there" in refused(capsys, *job, status=1)


def test_an_output_that_vanishes_is_not_begun_anew(tmp_path: Path, models: Path):
    generator = begun(models, tmp_path / "out")
    plan, output = plan_for(generator, "0-99", "npz", 30), open_output(str(tmp_path / "out"))

    def vanish(made: int) -> None:
        if (tmp_path / "out").exists():
            (tmp_path / "out").rename(tmp_path / "moved")

    with pytest.raises(OutputError, match="has vanished"):
        make_shard(generator, plan, 2, output, vanish)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="has vanished"):
        make_shard(generator, plan, 2, output)
    (tmp_path / "moved").rename(tmp_path / "out")
    output.clean()
    make_all(output, plan, generator)
    make_all(open_output(str(tmp_path / "elsewhere")), plan, generator)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "elsewhere")


@pytest.mark.parametrize("form", ["npz", "png"])
def test_an_output_that_vanishes_ends_the_pool(tmp_path: Path, models: Path, form: str):
    generator = open_generator(models / "rgb.onnx")
    plan, output = plan_for(generator, "0-9999", form, 2000), open_output(str(tmp_path / "out"))
    begin(output, plan)

    def vanish(step: Step) -> None:
        if (tmp_path / "out").exists():
            (tmp_path / "out").rename(tmp_path / "moved")

    with pytest.raises((OutputError, UserError, OSError)):
        run(models / "rgb.onnx", output.url, plan, range(5), 1, vanish)
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "moved").glob("records/*"))


@pytest.mark.parametrize("shards", [1, 3])
def test_a_record_that_cannot_be_written_ends_the_pool(tmp_path: Path, models: Path, shards: int):
    """It is written while the next shard is made, or when there is none."""
    plan, output = plan_for(open_generator(models / "rgb.onnx"), "0-99", "npz", 30), open_output(str(tmp_path / "out"))
    begin(output, plan)
    (tmp_path / "out/records").write_text("no folder")
    told: list[Step] = []
    with pytest.raises(FileExistsError, match="records"):
        run(models / "rgb.onnx", output.url, plan, range(shards), 1, told.append)
    assert not any(step.shards for step in told)


def test_a_place_that_may_not_be_written(tmp_path: Path):
    """Root is made to keep to permissions, too."""
    bounded = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []
    if bounded and shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and setpriv is not installed")
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
        pytest.skip("needs the right to mount a small tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("form", ["npz", "webdataset", "parquet", "png"])
def test_a_full_disk(small_disk: Path, tmp_path: Path, models: Path, form: str, capsys: pytest.CaptureFixture[str]):
    generator = open_generator(models / "rgb.onnx")
    plan, output = plan_for(generator, "0-599", form, 100), open_output(str(small_disk / "out"))
    begin(output, plan)
    make_shard(generator, plan, 0, output)
    kept = hashes(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 16384))  # room for a fraction of a shard
    job = [str(models / "rgb.onnx"), "--out", str(small_disk / "out"), "--workers", "1"]
    assert "MB are free there: take fewer seeds, or another disk" in refused(capsys, *job, status=1)
    with pytest.raises(OSError, match="No space left on device"):  # it fills up while the job runs
        run(models / "rgb.onnx", output.url, plan, [1], 1, lambda step: None)
    ballast.unlink()
    assert hashes(small_disk) == kept
    make_all(output, plan, generator)
    make_all(open_output(str(tmp_path / "elsewhere")), plan, generator)
    assert hashes(small_disk / "out") == hashes(tmp_path / "elsewhere")


def test_leftovers_make_room_for_the_rest(small_disk: Path, models: Path):
    """What a killed job has left is cleared away before room is looked for."""
    generator = begun(models, small_disk / "out")
    free = shutil.disk_usage(small_disk).free
    (small_disk / "out/data/.shard-000002.npz.abc").write_bytes(bytes(free - 4096))
    main_here(str(models / "rgb.onnx"), "--out", str(small_disk / "out"), "--workers", "1")
    assert (small_disk / "out/manifest.json").exists()
    assert not list(small_disk.glob("out/data/.*"))
    assert finish(open_output(str(small_disk / "out")), plan_for(generator, "0-99", "npz", 30))


def main_here(*arguments: str) -> None:
    result = CliRunner().invoke(cli, ["batch", "run", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_a_disk_too_small_is_named_before_the_work(small_disk: Path, capsys: pytest.CaptureFixture[str]):
    said = refused(capsys, "digits", "--seeds", "0-99999", "--out", small_disk / "out", status=1)
    assert "would take about" in said
    assert not list(small_disk.iterdir())


def test_records_that_vanish_are_made_again(tmp_path: Path, models: Path):
    generator = begun(models, tmp_path / "out", 4)
    plan, output = plan_for(generator, "0-99", "npz", 30), open_output(str(tmp_path / "out"))
    assert finish(output, plan)
    before = hashes(tmp_path / "out")
    (tmp_path / "out/records/000002.json").unlink()
    assert missing(output, plan).tolist() == [2]
    assert not finish(output, plan)
    make_all(output, plan, generator)
    assert hashes(tmp_path / "out") == before


def test_a_record_of_another_job_or_a_damaged_one_is_named(tmp_path: Path, models: Path):
    generator = begun(models, tmp_path / "out", 4)
    plan, output = plan_for(generator, "0-99", "npz", 30), open_output(str(tmp_path / "out"))
    records = tmp_path / "out/records"
    shutil.copy(records / "000001.json", records / "000002.json")
    with pytest.raises(UserError, match=r"records/000002\.json is of another job: remove it"):
        finish(output, plan)
    (records / "000002.json").write_text("{")
    with pytest.raises(UserError, match=r"records/000002\.json is damaged: remove it"):
        finish(output, plan)
    assert not (tmp_path / "out/manifest.json").exists()
