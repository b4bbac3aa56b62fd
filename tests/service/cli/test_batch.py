"""The commands of `seedmint batch`."""

import json
import os
import pty
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from seedmint.cli import cli, main
from seedmint.service.batch.estimate import estimate_size
from seedmint.service.batch.formats.base import formats_for
from seedmint.service.batch.job import finish
from seedmint.service.batch.progress import BatchProgress
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.cli.batch_progress import show_progress
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.runtime.output_check import OutputCheck, check_outputs
from tests.support.batch_jobs import ROOT, batch, batch_error, command, job_status, make_all, numbers_of_last_line, plan_for


@pytest.fixture
def home(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the commands."""
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def job(home: Path, rgb: Generator) -> Path:
    """A finished job of 100 images in four shards, in `out`."""
    make_all(open_output("out"), plan_for(rgb), rgb)
    return home / "out"


def test_help_lists_the_commands_and_exit_codes(home: Path):
    for arguments in (["--help"], ["-h"], []):
        text = CliRunner().invoke(cli, ["batch", *arguments]).output
        assert {"run", "estimate", "verify", "status"} <= set(re.findall(r"(?m)^  ([a-z]+)  ", text))
    for command_name in ("run", "estimate", "verify", "status"):
        assert f"seedmint batch {command_name} " in batch(command_name, "--help")
    assert re.findall(r"(?m)^ +(0|1|2|130, 143) {2,}", batch("run", "--help")) == ["0", "1", "2", "130, 143"]


def test_ctrl_c_before_the_job_begins_has_the_exit_status_of_a_stopped_job(home: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seedmint.service.cli.batch.open_job", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["batch", "run", "grey", "--seeds", "0-9", "--out", "out"])
    assert end.value.code == 130


@pytest.mark.parametrize("name", ["run", "status", "verify", "estimate"])
def test_a_generator_may_have_the_name_of_a_command(home: Path, models: Path, tmp_path: Path, name: str):
    shutil.copy(models / "grey.onnx", tmp_path / f"{name}.onnx")
    batch("run", name, "--models", tmp_path, "--seeds", "0-9", "--out", "out", "--workers", "1")
    assert job_status("out")["state"] == "done"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"images": "100", "shards": "1 of 100"}),
        (["--shard-size", "30", "--format", "parquet"], {"images": "100", "shards": "4 of 30, the last of 10"}),
        (
            ["--shard-size", "25", "--format", "npy"],
            {"images": "100", "shards": "4 of 25"},
        ),
    ],
)
def test_an_estimate_shows_the_size_and_writes_nothing(home: Path, options: list[str], expected: dict[str, str]):
    text = batch("estimate", "rgb", "--seeds", "0-99", "--out", "out", *options)
    rows = dict(re.split(r" {2,}", line, maxsplit=1) for line in text.splitlines())
    assert expected.items() <= rows.items()
    assert rows["generator"].startswith("rgb@")
    assert not list(home.iterdir())


@pytest.mark.parametrize("name", ["rgb", "point", "wave"])
@pytest.mark.parametrize("shard_format", ["webdataset", "parquet", "png", "npz", "npy"])
@pytest.mark.parametrize(("seeds", "shard_size"), [("0-1999", "500"), ("0-99,1000-1099", "30")])
def test_an_estimate_is_close_to_the_size_of_the_job(
    home: Path, name: str, shard_format: str, seeds: str, shard_size: str, request: pytest.FixtureRequest
):
    generator: Generator = request.getfixturevalue(name)
    if shard_format not in formats_for(generator.card):
        return
    plan = plan_for(generator, seeds, shard_format, int(shard_size))
    estimate = estimate_size([generator], plan, plan.count)
    make_all(open_output("out"), plan, generator)
    sizes = [path.stat().st_size for path in Path("out").rglob("*") if path.is_file()]
    assert estimate.bytes == pytest.approx(sum(sizes), rel=0.05)
    assert estimate.disk_bytes == pytest.approx(sum(-(-size // 4096) * 4096 for size in sizes), rel=0.05)
    half = estimate_size([generator], plan, plan.count // 2)
    assert half.bytes == pytest.approx(estimate.bytes / 2, abs=1)


def test_the_command_shows_the_estimate(home: Path, rgb: Generator):
    text = batch("estimate", "rgb", "--seeds", "0-99", "--out", "out")
    plan = plan_for(rgb, "0-99", "webdataset", 10_000)
    assert f"about {estimate_size([rgb], plan, 100).bytes:,}" in text


def test_a_repair_by_the_command(home: Path, job: Path):
    shard = Path("out/data/shard-000001.tar")
    content = shard.read_bytes()
    shard.write_bytes(content[:1000])
    assert job_status("out")["state"] == "damaged"
    assert batch_error("verify", "out").reason == "faults_found"
    batch("verify", "out", "--all", "--repair", "--workers", "1")
    assert shard.read_bytes() == content
    assert job_status("out")["state"] == "done"


def test_an_estimate_of_an_unfinished_job_counts_the_missing_images(home: Path, job: Path):
    Path("out/records/000003.json").unlink()
    assert re.search(r"(?m)^images +100, 4 ", batch("estimate", "rgb", "--out", "out"))


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (["run", "rgb", "--out", "out"], "seeds", "missing"),
        (["run", "rgb", "--seeds", "9-0", "--out", "out"], "seeds", "malformed_seeds"),
        (["run", "rgb", "--seeds", "0-9,5", "--out", "out"], "seeds", "duplicate_seed"),
        (["run", "rgb", "--seeds", "0-9", "--labels", "dog", "--out", "out"], "labels", "unknown_class"),
        (["run", "grey", "--seeds", "0-9", "--labels", "balanced", "--out", "out"], "labels", "not_conditional"),
        (["run", "grey", "--seeds", "0-9", "--labels", "3", "--out", "out"], "labels", "not_conditional"),
        (["run", "rgb", "--seeds", "0-9", "--truncation", "2", "--out", "out"], "truncation", "out_of_range"),
        (["run", "none", "--seeds", "0-9", "--out", "out"], "model", "not_found"),
        (["run", "rgb", "--seeds", "0-9", "--out", "out", "--shard-index", "2"], "num_shards", "missing"),
        (["run", "rgb", "--seeds", "0-9", "--out", "out", "--num-shards", "2"], "shard_index", "missing"),
        (
            ["run", "rgb", "--seeds", "0-9", "--out", "out", "--shard-index", "2", "--num-shards", "2"],
            "shard_index",
            "out_of_range",
        ),
        (["run", "rgb", "--seeds", "0-9", "--out", "nowhere://out"], "out", "unknown_protocol"),
        (["estimate", "rgb", "--out", "out"], "seeds", "missing"),
        (["verify", "out"], "out", "no_job"),
        (["status", "out"], "out", "no_job"),
        (["run", "rgb", "--seeds", "0-9", "--out", ""], "out", "empty"),
        (["run", __file__, "--seeds", "0-9", "--out", "out"], "model", "not_onnx"),
    ],
)
def test_wrong_arguments_are_errors(home: Path, arguments: list[str], field: str, reason: str):
    error = batch_error(*arguments)
    assert (error.field, error.status, error.reason) == (field, 2, reason)
    assert not list(home.iterdir())


def test_verify_reports_faults_and_other_files(job: Path):
    (job / "LICENCE").touch()
    output = batch("verify", "out")
    assert "LICENCE" in output
    assert numbers_of_last_line(output) == [100, 4]
    (job / "data/shard-000002.tar").unlink()
    result = CliRunner().invoke(cli, ["batch", "verify", "out"])
    assert getattr(result.exception, "reason", None) == "faults_found"
    assert getattr(result.exception, "status", None) == 1
    assert "data/shard-000002.tar" in result.stderr.split()


def test_verify_with_another_generator_is_an_error(job: Path, models: Path):
    error = batch_error("verify", "out", "--model", models / "grey.onnx")
    assert (error.field, error.reason, error.status) == ("model", "other_generator", 2)


def test_another_kind_of_machine_can_resume_a_job_if_the_generator_is_exact_there(job: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("platform.machine", lambda: "z80")
    (record,) = (job / "records").glob("*2.json")
    shard, content = job / "data/shard-000002.tar", (job / "data/shard-000002.tar").read_bytes()
    record.unlink()
    shard.unlink()
    batch("run", "rgb", "--out", "out", "--workers", "1")
    assert shard.read_bytes() == content
    assert "(here:" not in batch("verify", "out")


def test_a_machine_with_other_outputs_can_verify_a_job_but_not_resume_it(job: Path, monkeypatch: pytest.MonkeyPatch):
    def differ(*arguments: Any) -> OutputCheck:
        return replace(check_outputs(*arguments), outputs="0" * 64, difference=1)

    monkeypatch.setattr("seedmint.service.runtime.generator.check_outputs", differ)
    assert "(here: approximate)" in batch("verify", "out")
    assert batch_error("run", "rgb", "--out", "out").reason == "other_toolchain"


@pytest.mark.parametrize("shard_format", ["npz", "png"])
def test_status_counts_only_shards_with_data(home: Path, rgb: Generator, shard_format: str):
    make_all(open_output("out"), plan_for(rgb, form=shard_format), rgb)
    (lost,) = Path("out/data").rglob("33.png") if shard_format == "png" else [Path("out/data/shard-000001.npz")]
    lost.unlink()
    expected = {"shards": "3 of 4", "images": "68 of 100 (68.0%)", "state": "not done"}
    assert expected.items() <= job_status("out").items()


def test_status_shows_a_job(job: Path, rgb: Generator):
    assert job_status("out") == {
        "generator": f"rgb@{rgb.digest12}, Test generator rgb",
        "seeds": "0-99",
        "format": "webdataset, labels per-seed",
        "shards": "4 of 4",
        "images": "100 of 100 (100.0%)",
        "state": "done",
    }
    (job / "records/000003.json").unlink()
    assert {"images": "96 of 100 (96.0%)", "state": "not done"}.items() <= job_status("out").items()


def test_a_terminal_shows_a_bar(home: Path, models: Path):
    """A pseudo-terminal shows images, rate, shards and the time left."""
    parent, child = pty.openpty()
    job = command("digits", "--seeds", "0-19999", "--shard-size", "2000", "--workers", "1", "--out", home / "out")
    environment = os.environ | {"SEEDMINT_MODELS": str(ROOT / "models"), "COLUMNS": "100", "TERM": "xterm"}
    process = subprocess.Popen(job, cwd=ROOT, env=environment, stderr=child, stdout=subprocess.PIPE)
    os.close(child)
    shown_text = b""
    while True:
        try:
            if not (part := os.read(parent, 65536)):
                break
        except OSError:  # the other end is closed
            break
        shown_text += part
    assert process.wait(60) == 0
    plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown_text).decode()
    assert re.search(r"[\d,]+ of 20,000 images .* \d+% [\d,]+/s \d+ of 10 shards \S+", plain), plain


def test_a_pipe_shows_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("seedmint.service.cli.batch_progress.LINE_SECONDS", 0.0)
    with show_progress("images", 1000, 10, 200, 2) as on_progress:
        on_progress(BatchProgress(100, 1))
    assert re.fullmatch(r"300 of 1,000 images, 3 of 10 shards, [\d,]+/s, \d+:\d\d left\n", capsys.readouterr().err)


def test_the_default_format_of_samples_is_parquet(home: Path, sample_models: Path):
    point = open_generator(sample_models / "point.onnx")
    assert re.search(r"(?m)^samples +10$", batch("estimate", sample_models / "point.onnx", "--seeds", "0-9", "--out", "out"))
    plan = plan_for(point, "0-99", "parquet")
    make_all(open_output("out"), plan, point)
    assert finish(open_output("out"), plan)
    assert "100 samples in 4 shards" in batch("verify", "out", "--models", sample_models)
    assert job_status("out")["format"].startswith("parquet")


def test_status_estimate_and_verify_print_json(job: Path, rgb: Generator):
    def document(*arguments: str, exit_code: int = 0) -> Any:
        result = CliRunner().invoke(cli, ["batch", *arguments, "--json"])
        assert getattr(result.exception, "status", result.exit_code) == exit_code
        return json.loads(result.stdout)

    plan = {"generators": [f"rgb@{rgb.digest12}"], "kind": "images", "seeds": "0-99", "format": "webdataset"}
    estimate = document("estimate", "rgb", "--seeds", "0-99", "--shard-size", "32", "--out", "new")
    size = estimate_size([rgb], plan_for(rgb), 100)
    assert (plan | {"count": 100, "missing": 100, "disk_bytes": size.disk_bytes}).items() <= estimate.items()
    assert not Path("new").exists()
    counts = {"count": 100, "complete": 100, "shards": 4, "complete_shards": 4, "damaged_shards": [], "state": "done"}
    assert (plan | counts).items() <= document("status", "out").items()
    assert (plan | {"faults": [], "repaired_shards": None}).items() <= document("verify", "out").items()
    sorted((job / "data").iterdir())[1].unlink()
    (fault,) = document("verify", "out", exit_code=1)["faults"]
    assert (fault["reason"], fault["shard"]) == ("missing_file", 1)
    repaired = document("verify", "out", "--repair", "--workers", "1")
    assert (repaired["repaired_shards"], repaired["faults"]) == ([1], [])


def test_a_forgotten_run_is_named():
    result = CliRunner().invoke(cli, ["batch", "rgb", "--seeds", "0-9", "--out", "out"])
    assert result.exit_code == 2
    assert "seedmint batch run rgb" in result.output
