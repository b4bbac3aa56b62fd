"""Verification of jobs: each kind of fault is found, with its shard, file and reason."""

import json
from pathlib import Path

import pytest

from seedmint.service.batch.job import finish
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.records import write_record
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator
from tests.support.batch_jobs import hashes, make_all, plan_for

FORMATS = ["webdataset", "parquet", "png", "npz", "npy"]


def faults(out: Path, generator: Generator, shard_format: str = "webdataset") -> list[tuple[int | None, str, str]]:
    """Shard, file and reason of each fault."""
    plan = plan_for(generator, form=shard_format)
    found = verify(open_output(str(out)), plan, generator, ignore_progress)
    return [(fault.shard, fault.file, fault.reason) for fault in found]


@pytest.fixture
def job(tmp_path: Path, rgb: Generator) -> Path:
    """A finished job of 100 images in four shards."""
    make_all(open_output(str(tmp_path / "out")), plan_for(rgb), rgb)
    return tmp_path / "out"


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_changed_byte_is_found(tmp_path: Path, rgb: Generator, shard_format: str):
    out, plan = tmp_path / "out", plan_for(rgb, form=shard_format)
    make_all(open_output(str(out)), plan, rgb)
    assert faults(out, rgb, shard_format) == []
    before = hashes(out)
    (damaged,) = (out / "data").rglob("33.png") if shard_format == "png" else [out / plan.file_name(1)]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert faults(out, rgb, shard_format) == [(1, plan.file_name(1), "other_hash")]
    (out / "records/000001.json").unlink()
    assert faults(out, rgb, shard_format) == [(1, "records/000001.json", "no_record")]
    make_all(open_output(str(out)), plan, rgb)
    assert hashes(out) == before
    damaged.unlink()
    assert faults(out, rgb, shard_format) == [(1, str(damaged.relative_to(out)), "missing_file")]


@pytest.mark.parametrize("shard_format", FORMATS)
def test_images_of_other_seeds_are_found(tmp_path: Path, rgb: Generator, shard_format: str, monkeypatch: pytest.MonkeyPatch):
    """The shard and its record agree, but another generator made them."""
    output, plan = open_output(str(tmp_path / "out")), plan_for(rgb, form=shard_format)
    make_all(output, plan, rgb)
    generate = rgb.generate
    with monkeypatch.context() as patch:
        patch.setattr(rgb, "generate", lambda seeds, *rest: generate(seeds + 1, *rest))
        write_record(output, make_shard(rgb, plan, 2, output))
    assert (2, plan.file_name(2), "other_values") in faults(tmp_path / "out", rgb, shard_format)


def test_changed_summaries_are_found(job: Path, rgb: Generator):
    before = hashes(job)
    manifest = job / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"count": 32', '"count": 31'))
    (job / "README.md").unlink()
    assert faults(job, rgb) == [(None, "manifest.json", "other_hash"), (None, "README.md", "missing_file")]
    assert finish(open_output(str(job)), plan_for(rgb))
    assert hashes(job) == before


def test_orphans_are_found(job: Path, rgb: Generator):
    (job / "data/shard-000004.tar").touch()
    assert faults(job, rgb) == [(None, "data/shard-000004.tar", "orphan")]


def test_a_record_of_another_job_is_found(job: Path, rgb: Generator):
    record = job / "records/000001.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"model": "0" * 64}))
    assert faults(job, rgb) == [(1, "records/000001.json", "record_of_other_job")]
    record.write_text("{")
    assert faults(job, rgb) == [(1, "records/000001.json", "damaged_record")]


def test_the_last_place_may_differ_on_another_machine(job: Path, rgb: Generator, monkeypatch: pytest.MonkeyPatch):
    generate = rgb.generate
    monkeypatch.setattr(rgb, "generate", lambda *arguments: generate(*arguments) ^ 1)
    assert {reason for _, _, reason in faults(job, rgb)} == {"other_values"}
    plan = plan_for(rgb)
    monkeypatch.setattr("platform.machine", lambda: "z80")
    assert list(verify(open_output(str(job)), plan, rgb, ignore_progress)) == []
