"""Verification of jobs: each kind of fault is found, with its shard, file and reason."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seedmint.service.batch.completeness import complete_shards, damaged_shards
from seedmint.service.batch.job import finish
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.records import write_record
from seedmint.service.batch.repair import repair
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator
from tests.support.batch_jobs import hashes, make_all, plan_for

FORMATS = ["webdataset", "parquet", "png", "npz", "npy"]


def faults(out: Path, generator: Generator, shard_format: str = "webdataset") -> list[tuple[int | None, str, str]]:
    """Shard, file and reason of each fault."""
    plan = plan_for(generator, form=shard_format)
    found = verify(open_output(str(out)), plan, [generator], ignore_progress)
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


def test_the_last_place_may_differ_on_an_approximate_machine(job: Path, rgb: Generator, monkeypatch: pytest.MonkeyPatch):
    generate = rgb.generate
    monkeypatch.setattr(rgb, "generate", lambda *arguments: generate(*arguments) ^ 1)
    assert {reason for _, _, reason in faults(job, rgb)} == {"other_values"}
    plan = plan_for(rgb)
    monkeypatch.setattr(rgb, "check", replace(rgb.check, outputs="0" * 64))
    assert list(verify(open_output(str(job)), plan, [rgb], ignore_progress)) == []


@pytest.mark.parametrize("shard_format", FORMATS)
def test_every_value_is_compared(tmp_path: Path, rgb: Generator, shard_format: str, monkeypatch: pytest.MonkeyPatch):
    """One wrong image between the four that are compared by default; shard and record agree."""
    output, plan = open_output(str(tmp_path / "out")), plan_for(rgb, form=shard_format)
    make_all(output, plan, rgb)
    assert list(verify(output, plan, [rgb], ignore_progress, every_value=True, threads=2)) == []
    generate = rgb.generate

    def generate_wrong(seeds: NDArray[np.int64], *rest: Any) -> Any:
        return generate(np.where(seeds == 37, 38, seeds), *rest)

    with monkeypatch.context() as patch:
        patch.setattr(rgb, "generate", generate_wrong)
        write_record(output, make_shard(rgb, plan, 1, output))
    assert faults(tmp_path / "out", rgb, shard_format) == [(None, "manifest.json", "other_hash")]
    (fault, _) = verify(output, plan, [rgb], ignore_progress, every_value=True)
    assert (fault.shard, fault.reason) == (1, "other_values")
    monkeypatch.setattr(rgb, "check", replace(rgb.check, outputs="0" * 64))  # the bytes may differ there: compare values
    (fault, _) = verify(output, plan, [rgb], ignore_progress, every_value=True)
    assert (fault.shard, fault.reason) == (1, "other_values")


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_repair_restores_the_same_bytes(tmp_path: Path, rgb: Generator, shard_format: str):
    out, plan = tmp_path / "out", plan_for(rgb, form=shard_format)
    output = open_output(str(out))
    make_all(output, plan, rgb)
    before = hashes(out)
    data = sorted(path for path in (out / "data").rglob("*.*") if path.name != "metadata.parquet")
    data[0].write_bytes(data[0].read_bytes()[:100])
    (out / "records/000002.json").write_text("{")
    (out / "records/000003.json").unlink()
    (out / "data" / f"stray{data[0].suffix}").touch()
    for path in out.glob("data/metadata.parquet"):
        path.write_bytes(b"PAR1")
    (out / "README.md").write_bytes(b"")
    found = list(verify(output, plan, [rgb], ignore_progress))

    def engine(shards: Sequence[int], on_progress: object) -> None:
        for index in shards:
            make_shard(rgb, plan, index, output)

    repairs = repair(output, plan, [rgb], found, engine, ignore_progress)
    assert set(repairs.shards) >= {2, 3}
    assert len(repairs.shards) == 3
    assert repairs.removed == (f"data/stray{data[0].suffix}",)
    assert repairs.faults == ()
    assert hashes(out) == before
    assert list(verify(output, plan, [rgb], ignore_progress)) == []


def test_a_repair_on_an_approximate_machine_is_refused(job: Path, rgb: Generator, monkeypatch: pytest.MonkeyPatch):
    plan = plan_for(rgb)
    monkeypatch.setattr(rgb, "check", replace(rgb.check, outputs="0" * 64))
    with pytest.raises(PlanError) as error:
        repair(open_output(str(job)), plan, [rgb], [], lambda *_: None, ignore_progress)
    assert error.value.reason == "other_toolchain"


def test_an_edited_data_card_is_no_fault(job: Path, rgb: Generator):
    (job / "README.md").write_text("mine")
    assert faults(job, rgb) == []
    (job / "README.md").write_bytes(b"")
    assert faults(job, rgb) == [(None, "README.md", "other_hash")]


@pytest.mark.parametrize("shard_format", ["webdataset", "png"])
def test_a_truncated_shard_is_damaged(tmp_path: Path, rgb: Generator, shard_format: str):
    out, plan = tmp_path / "out", plan_for(rgb, form=shard_format)
    output = open_output(str(out))
    make_all(output, plan, rgb)
    complete = complete_shards(output, plan)
    assert not damaged_shards(output, plan, complete).any()
    (path,) = (out / "data").rglob("33.png") if shard_format == "png" else [out / plan.file_name(1)]
    path.write_bytes(path.read_bytes()[:-1])
    (out / "records/000002.json").write_text("{")
    assert np.flatnonzero(damaged_shards(output, plan, complete)).tolist() == [1, 2]
