"""`seedmint.batch` writes the same bytes as `seedmint batch run`, and reports the same errors."""

import subprocess
import sys
from pathlib import Path

import pytest

import seedmint
from seedmint.models.errors import UserError
from seedmint.service.batch.engines import choice
from tests.support import generators
from tests.support.batch_jobs import ROOT, finished, hashes


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the shards in this process: workers are tested in tests/service/batch."""

    def run(paths, url, plan, shards, workers, on_progress, threads):
        from seedmint.service.batch.job import open_plan_generator
        from seedmint.service.batch.shard import make_shard
        from seedmint.service.batch.storage.resolve import open_output

        for index in shards:
            generator = plan.part_of(index).generator
            make_shard(open_plan_generator(paths[generator], plan, generator), plan, index, open_output(url), on_progress)

    monkeypatch.setattr(choice, "run", run)


def test_the_bytes_are_those_of_the_command(models: Path, tmp_path: Path, in_process: None):
    options = ["--split", "train=0-79", "--split", "test=100-119", "--labels", "0:3,bee:1", "--format", "parquet"]
    path = models / "rgb.onnx"
    assert finished(path, *options, "--shard-size", "32", "--workers", "1", "--out", tmp_path / "command")[0] == 0
    seen: list[tuple[int, int]] = []
    arguments = {"labels": {0: 3, "bee": 1}, "format": "parquet", "shard_size": 32}
    result = seedmint.batch(
        seedmint.load(path, threads=1),
        tmp_path / "python",
        splits={"train": range(80), "test": "100-119"},
        on_progress=lambda done, total: seen.append((done, total)),
        **arguments,
    )
    assert hashes(tmp_path / "python") == hashes(tmp_path / "command")
    assert (result.count, result.shards, result.generated) == (100, 4, 100)
    assert seen[-1] == (100, 100)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    again = seedmint.batch("rgb", tmp_path / "python", models=models)  # resumes with the plan of the job
    assert (again.count, again.generated) == (100, 0)


def test_several_generators(models: Path, tmp_path: Path, in_process: None):
    path = generators.write(tmp_path, "more", 9)
    sources = [seedmint.load(models / "grey.onnx", threads=1), path]
    result = seedmint.batch(sources, tmp_path / "out", range(40), format="npy", shard_size=16)
    assert (result.count, result.shards, result.generated) == (80, 6, 80)
    for sources_, reason in (([], "missing"), ([path, path], "duplicate_generator"), ([path], "other_generator")):
        with pytest.raises(UserError) as error:
            seedmint.batch(sources_, tmp_path / "out", range(40))
        assert (error.value.field, error.value.reason) == ("model", reason)


@pytest.mark.parametrize("seeds", [range(40), "0-39", list(range(40)), iter(range(40))])
def test_seeds_in_every_form(models: Path, tmp_path: Path, seeds, in_process: None):
    result = seedmint.batch(models / "grey.onnx", tmp_path / "out", seeds, format="npy")
    assert (result.count, result.url) == (40, str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        ({"seeds": range(4), "labels": 9}, "labels", None),
        ({"seeds": range(4), "workers": 0}, "workers", "out_of_range"),
        ({"seeds": range(4), "shard_size": 0}, "shard_size", "out_of_range"),
        ({"seeds": range(4), "truncation": 2.0}, "truncation", "out_of_range"),
        ({"seeds": [1, 1]}, "seeds", "duplicate_seed"),
        ({"splits": {"a": range(4), "b": "3"}}, "splits", "duplicate_seed"),
        ({"splits": {"a": "9-0"}}, "splits", "malformed_seeds"),
        ({"seeds": range(4), "filter": "size > 1"}, "filter", None),
        ({"seeds": range(4), "splits": {"train": range(2)}}, "splits", "conflict"),
        ({}, "seeds", "missing"),
    ],
)
def test_a_wrong_argument_names_its_field(models: Path, tmp_path: Path, arguments, field: str, reason: str | None):
    with pytest.raises(UserError) as error:
        seedmint.batch("rgb", tmp_path / "out", models=models, **arguments)
    assert error.value.field == field
    assert reason in (None, error.value.reason)
    assert not (tmp_path / "out").exists()


def test_another_version_of_the_generator_is_refused(models: Path, tmp_path: Path):
    with pytest.raises(UserError) as error:
        seedmint.batch(f"rgb@{'0' * 12}", tmp_path / "out", range(4), models=models)
    assert (error.value.field, error.value.reason) == ("model", "wrong_digest")
    assert not (tmp_path / "out").exists()


def test_a_script_needs_no_guard_of_its_main_module(models: Path, tmp_path: Path):
    """Workers do not run the program of the user again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import seedmint\nprint('started')\n"
        f"print(seedmint.batch({str(models / 'grey.onnx')!r}, 'out', range(40), shard_size=20, workers=2).generated)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["started", "40"]), done.stderr


def test_a_missing_extra_is_told_with_its_command():
    code = (
        "import sys; sys.modules['fsspec'] = None\nimport seedmint\n"
        "try: seedmint.batch('digits', 'unused', range(4))\n"
        "except ModuleNotFoundError as error: assert 'make install' in str(error), error\n"
        "else: raise AssertionError"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
