"""A shard is done when its record and its data are there; what belongs to no shard is told."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.models.seeds import SEED_LIMIT, parse_seeds
from seedmint.service.batch.completeness import done, strays
from seedmint.service.batch.job import finish, missing
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator
from tests.service.batch.test_plan import CLASSES, plan, sequences
from tests.support.batch_jobs import hashes, make_all, plan_for


@pytest.mark.parametrize("form", ["webdataset", "parquet", "png", "npz", "npy"])
def test_data_that_were_lost_are_made_again(tmp_path: Path, rgb: Generator, form: str):
    out = tmp_path / "out"
    job, output = plan_for(rgb, "0-69,1000-1029", form), open_output(str(out))
    make_all(output, job, rgb)
    before = hashes(out)
    assert list(strays(output, job)) == []
    lost = next((out / "data").rglob("1025.png")) if form == "png" else out / job.file_name(2)
    lost.unlink()
    assert missing(output, job).tolist() == [2]
    assert not finish(output, job)
    make_all(output, job, rgb)
    assert hashes(out) == before


def test_a_record_alone_or_data_alone_are_no_shard(tmp_path: Path, rgb: Generator):
    out = tmp_path / "out"
    job, output = plan_for(rgb), open_output(str(out))
    make_all(output, job, rgb)
    (out / "records/000001.json").unlink()
    (out / "data/shard-000003.tar").unlink()
    assert done(output, job).tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("webdataset", {"data/shard-000004.tar", "data/shard-000000.npz", "data/shard-1.tar", "data/notes"}),
        ("png", {"data/0/100.png", "data/0.png", "data/9/0.png", "data/0/00.png", f"data/0/{SEED_LIMIT}.png", "data/0/x"}),
    ],
)
def test_what_belongs_to_no_shard(tmp_path: Path, rgb: Generator, form: str, names: set[str]):
    out = tmp_path / "out"
    job, output = plan_for(rgb, form=form), open_output(str(out))
    make_all(output, job, rgb)
    names |= {"records/000004.json", "records/x.json"}
    for name in names:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).touch()
    assert set(strays(output, job)) == names
    assert done(output, job).all()


@given(sequences(), st.sampled_from(["balanced", "per-seed", 0]), st.randoms(use_true_random=False))
def test_seeds_are_found_in_the_sequence(seeds: str, labels: str | int, chance: random.Random):
    made = plan(seeds, 10, labels, CLASSES)
    every = parse_seeds(seeds).array()
    order = np.array(chance.sample(range(len(every)), len(every)))
    assert made.positions(every[order]).tolist() == order.tolist()
    in_order, anywhere = made.labels_at(0, every), made.labels_of(order, every[order])
    assert in_order is not None
    assert anywhere is not None
    assert anywhere.tolist() == in_order[order].tolist()
    others = np.setdiff1d(np.concatenate([every - 1, every + 1, [-1, SEED_LIMIT - 1]]), every)
    assert set(made.positions(others).tolist()) == {-1}
