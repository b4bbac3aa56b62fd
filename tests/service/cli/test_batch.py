"""The command line of batch jobs: what it says, and how it finds what is damaged."""

import json
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from seedmint.cli import cli, main
from seedmint.service.batch.job import finish
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.records import write_record
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.cli.batch_progress import shown
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support.batch_jobs import ROOT, command, hashes, make_all, plan_for


@pytest.fixture
def home(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["batch", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def failing(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    with pytest.raises(SystemExit) as end:
        main(["batch", *arguments])
    assert end.value.code == code
    return capsys.readouterr().err


@pytest.fixture
def job(home: Path, rgb: Generator) -> Path:
    """A finished job of 100 images in four shards, in `out`."""
    make_all(open_output("out"), plan_for(rgb), rgb)
    return home / "out"


def test_help_lists_the_commands_and_exit_codes(home: Path):
    for arguments in (["--help"], ["-h"], []):
        text = run(*arguments, code=0 if arguments else 2)
        assert {"run", "estimate", "verify", "status"} <= set(re.findall(r"(?m)^  ([a-z]+)  ", text))
    for command_name in ("run", "estimate", "verify", "status"):
        assert f"seedmint batch {command_name} " in run(command_name, "--help")
    assert re.findall(r"(?m)^ +(0|1|2|130, 143) {2,}", run("run", "--help")) == ["0", "1", "2", "130, 143"]


@pytest.mark.parametrize("name", ["run", "status", "verify", "estimate"])
def test_a_generator_may_have_the_name_of_a_command(home: Path, models: Path, tmp_path: Path, name: str):
    shutil.copy(models / "grey.onnx", tmp_path / f"{name}.onnx")
    run("run", name, "--seeds", "0-9", "--out", "out", "--models", str(tmp_path), "--workers", "1")
    assert "state       done" in run("status", "out")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"images": "100", "shards": "1 of 100"}),
        (["--shard-size", "30", "--format", "parquet"], {"images": "100", "shards": "4 of 30, the last of 10"}),
        (
            ["--shard-size", "25", "--format", "npy"],
            {"images": "100", "shards": "4 of 25", "bytes": f"about {57600 + 4 * 128:,}"},
        ),
    ],
)
def test_a_dry_run_tells_the_size_and_writes_nothing(home: Path, options: list[str], expected: dict[str, str]):
    text = run("estimate", "rgb", "--seeds", "0-99", "--out", "out", *options)
    told = dict(re.split(r" {2,}", line, maxsplit=1) for line in text.splitlines())
    assert expected.items() <= told.items()
    assert told["generator"].startswith("rgb@")
    assert not list(home.iterdir())


@pytest.mark.parametrize("form", ["webdataset", "parquet", "npz"])
def test_the_size_that_is_told_is_about_the_size_that_is_written(home: Path, rgb: Generator, form: str):
    text = run("estimate", "rgb", "--seeds", "0-1999", "--shard-size", "500", "--out", "out", "--format", form)
    make_all(open_output("out"), plan_for(rgb, "0-1999", form, 500), rgb)
    written = sum(path.stat().st_size for path in Path("out/data").iterdir())
    (told,) = re.findall(r"bytes +about ([\d,]+)", text)
    assert int(told.replace(",", "")) == pytest.approx(written, rel=0.05)


def test_a_dry_run_of_a_job_that_was_begun_tells_what_is_left(home: Path, rgb: Generator, job: Path):
    Path("out/records/000003.json").unlink()
    assert "images      100, 4 of them missing\n" in run("estimate", "rgb", "--out", "out")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "rgb", "--out", "out"], "--seeds is missing"),
        (["run", "rgb", "--seeds", "9-0", "--out", "out"], "range '9-0' runs backwards"),
        (["run", "rgb", "--seeds", "0-9", "--labels", "dog", "--out", "out"], "--labels: 'dog'"),
        (
            ["run", "grey", "--seeds", "0-9", "--labels", "balanced", "--out", "out"],
            "--labels: generator 'grey' is not conditional",
        ),
        (["run", "grey", "--seeds", "0-9", "--labels", "3", "--out", "out"], "--labels: generator 'grey' is not conditional"),
        (["run", "rgb", "--seeds", "0-9", "--truncation", "2", "--out", "out"], "--"),
        (["run", "none", "--seeds", "0-9", "--out", "out"], "no generator 'none'"),
        (["run", "rgb", "--seeds", "0-9", "--out", "out", "--shard-index", "2"], "--shard-index and --num-shards"),
        (
            ["run", "rgb", "--seeds", "0-9", "--out", "out", "--shard-index", "2", "--num-shards", "2"],
            "--shard-index 2 is out of range: 0 to 1",
        ),
        (["run", "rgb", "--seeds", "0-9", "--out", "nowhere://out"], "--out nowhere://out: Protocol not known"),
        (["verify", "out"], "out holds no job"),
        (["status", "out"], "out holds no job"),
        (["run", "rgb", "--seeds", "0-9", "--out", ""], "--out is empty: give a folder"),
        (["run", __file__, "--seeds", "0-9", "--out", "out"], r"\.py: not an ONNX file"),
    ],
)
def test_what_the_user_can_mend_is_one_line(home: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    error = failing(capsys, *arguments, code=2)
    assert re.search(said, error), error
    assert error.count("\n") == 1
    assert not list(home.iterdir())


@pytest.mark.parametrize("form", ["webdataset", "parquet", "png", "npz", "npy"])
def test_verifying_finds_a_flipped_byte(home: Path, rgb: Generator, form: str, capsys: pytest.CaptureFixture[str]):
    make_all(open_output("out"), plan_for(rgb, form=form), rgb)
    assert run("verify", "out").splitlines()[-1] == "100 images in 4 shards: all as recorded"
    before = hashes(Path("out"))
    damaged = next(path for path in sorted(Path("out/data").rglob("*.*")) if form != "png" or path.stem == "33")
    if form != "png":
        damaged = Path(str(damaged).replace("000000", "000001"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    said = failing(capsys, "verify", "out")
    assert re.search(r"^shard 1: .* not as recorded, .*: remove records/000001.json, and run the job again\n", said)
    assert said.endswith("out: 1 fault\n")
    Path("out/records/000001.json").unlink()
    assert re.search("^shard 1: has no record", failing(capsys, "verify", "out"))
    make_all(open_output("out"), plan_for(rgb, form=form), rgb)
    assert hashes(Path("out")) == before
    damaged.unlink()
    assert re.search(r"^shard 1: .*missing", failing(capsys, "verify", "out"))


@pytest.mark.parametrize("form", ["webdataset", "parquet", "png", "npz", "npy"])
def test_verifying_finds_images_of_other_seeds(
    home: Path, rgb: Generator, form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Files and records that fit each other, of a generator that is not the plan's."""
    output, plan = open_output("out"), plan_for(rgb, form=form)
    make_all(output, plan, rgb)
    true = rgb.generate
    with monkeypatch.context() as patched:
        patched.setattr(rgb, "generate", lambda seeds, *rest: true(seeds + 1, *rest))
        write_record(output, make_shard(rgb, plan, 2, output))
    said = failing(capsys, "verify", "out")
    assert re.search("^shard 2: .*holds other images than the generator makes of its seeds", said), said


def test_verifying_looks_at_the_manifest_and_the_data_card(job: Path, rgb: Generator, capsys: pytest.CaptureFixture[str]):
    before = hashes(job)
    manifest = job / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"count": 32', '"count": 31'))
    (job / "README.md").unlink()
    said = failing(capsys, "verify", "out").splitlines()
    assert said[:2] == [
        "manifest.json does not say what the records do: run the job again",
        "README.md is missing: run the job again",
    ]
    assert finish(open_output("out"), plan_for(rgb))
    assert hashes(job) == before
    run("verify", "out")


def test_verifying_names_what_is_not_of_the_job(job: Path, capsys: pytest.CaptureFixture[str]):
    (job / "LICENCE").touch()
    assert "not part of the job, ignored: LICENCE\n" in run("verify", "out")
    (job / "data/shard-000004.tar").touch()
    assert "data/shard-000004.tar belongs to no shard: remove it\n" in failing(capsys, "verify", "out")


@pytest.mark.parametrize("form", ["npz", "png"])
def test_verifying_and_status_miss_data(home: Path, rgb: Generator, form: str, capsys: pytest.CaptureFixture[str]):
    make_all(open_output("out"), plan_for(rgb, form=form), rgb)
    (lost,) = Path("out/data").rglob("33.png") if form == "png" else [Path("out/data/shard-000001.npz")]
    lost.unlink()
    assert f"shard 1: {lost.relative_to('out')} is missing" in failing(capsys, "verify", "out")
    assert "shards      3 of 4\nimages      68 of 100 (68.0%)\nstate       not done\n" in run("status", "out")


def test_verifying_on_another_machine(job: Path, rgb: Generator, monkeypatch: pytest.MonkeyPatch):
    """Which may round otherwise: it does not go on with the job, but can check it."""
    true = rgb.generate
    with monkeypatch.context() as patch:
        patch.setattr(rgb, "generate", lambda *arguments: true(*arguments) ^ 1)
        assert "shard-000000.tar holds other images" in next(
            verify(open_output("out"), plan_for(rgb), rgb, lambda images: None)
        )
    plan = plan_for(rgb)
    monkeypatch.setattr("platform.machine", lambda: "z80")
    with monkeypatch.context() as patch:
        patch.setattr(rgb, "generate", lambda *arguments: true(*arguments) ^ 1)
        assert list(verify(open_output("out"), plan, rgb, lambda images: None)) == []
    text = run("verify", "out")
    assert re.match(r"made with machine \S+ \(here: z80\): images may differ in the last place\n", text)
    assert text.endswith("100 images in 4 shards: all as recorded\n")
    with pytest.raises(PlanError, match=r"begun with machine \S+ \(here: z80\), which may write other bytes"):
        run("run", "rgb", "--out", "out")


def test_verifying_names_a_record_of_another_job(job: Path, capsys: pytest.CaptureFixture[str]):
    record = job / "records/000001.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"model": "0" * 64}))
    assert "records/000001.json is of another job" in failing(capsys, "verify", "out")


def test_status_shows_a_job_whoever_runs_it(job: Path, rgb: Generator):
    assert run("status", "out").splitlines() == [
        f"generator   rgb@{rgb.digest12}, Test generator rgb",
        "seeds       0-99",
        "format      webdataset, labels per-seed",
        "shards      4 of 4",
        "images      100 of 100 (100.0%)",
        "state       done",
    ]
    (job / "records/000003.json").unlink()
    assert "images      96 of 100 (96.0%)\nstate       not done\n" in run("status", "out")


def test_a_terminal_gets_a_bar(home: Path, models: Path):
    """On a pseudo-terminal: images, rate, shards and the time left."""
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


def test_elsewhere_there_are_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("seedmint.service.cli.batch_progress.LINE_SECONDS", 0.0)
    with shown("images", 1000, 10, 200, 2) as show:
        show(100, 1)
    assert re.fullmatch(r"300 of 1,000 images, 3 of 10 shards, [\d,]+/s, \d+:\d\d left\n", capsys.readouterr().err)


def test_generators_of_samples_are_made_as_parquet(home: Path, sample_models: Path):
    point = open_generator(sample_models / "point.onnx")
    text = run("estimate", str(sample_models / "point.onnx"), "--seeds", "0-9", "--out", "out")
    assert "samples     10\n" in text
    plan = plan_for(point, "0-99", "parquet")
    make_all(open_output("out"), plan, point)
    assert finish(open_output("out"), plan)
    assert run("verify", "out", "--models", str(sample_models)).endswith("100 samples in 4 shards: all as recorded\n")
