"""The files of a job that clients may read: those that its plan names."""

from pathlib import Path

import pytest

from seedmint.service.api.jobs.files import find_file
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator
from tests.support.batch_jobs import hashes, make_all, plan_for


@pytest.mark.parametrize("splits", [None, {"train": 60, "test": 40}])
@pytest.mark.parametrize("shard_format", ["webdataset", "png", "npy"])
def test_every_file_of_a_job_is_found(tmp_path: Path, rgb: Generator, shard_format: str, splits: dict[str, int] | None):
    output, plan = open_output(str(tmp_path)), plan_for(rgb, form=shard_format, splits=splits)
    make_all(output, plan, rgb)
    expected = {name: digest for name, digest in hashes(tmp_path).items() if not name.startswith("records/")}
    assert {name: find_file(output, plan, name).sha256 for name in expected} == expected
    assert all(find_file(output, plan, name).media_type for name in expected if name.startswith("data/"))


@pytest.mark.parametrize(
    "name",
    [
        "records/000000.json",
        "data/shard-000000.tar",
        "data/train/shard-000003.tar",
        "data/train/../../plan.json",
        "data/train",
        ".lock",
    ],
)
def test_other_files_are_not_found(tmp_path: Path, rgb: Generator, name: str):
    output, plan = open_output(str(tmp_path)), plan_for(rgb, splits={"train": 60, "test": 40})
    make_all(output, plan, rgb)
    with pytest.raises(FileNotFoundError):
        find_file(output, plan, name)
