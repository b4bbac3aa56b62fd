"""Data sets of the library `datasets`: the same rows as the Parquet files of a batch job."""

from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from torch.utils.data import DataLoader

import seedmint
from seedmint.huggingface import to_dataset, to_iterable_dataset
from seedmint.models.errors import UserError
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import open_generator
from tests.support.batch_jobs import make_all, plan_for


@pytest.fixture
def rgb_api(models: Path) -> seedmint.Generator:
    return seedmint.load("rgb", models=models, threads=1)


def test_the_rows_are_those_of_a_batch_job(rgb_api: seedmint.Generator, models: Path, tmp_path: Path):
    generator = open_generator(models / "rgb.onnx")
    make_all(open_output(str(tmp_path / "out")), plan_for(generator, "0-39", "parquet"), generator)
    job = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "hf"))
    data = to_dataset(rgb_api, "0-39", cache_dir=str(tmp_path / "hf"))
    assert data.features == job.features
    assert data["label"][:] == job["label"][:]
    assert data["seed"][:] == list(range(40))
    for image, expected in zip(data["image"], rgb_api.images(range(40)), strict=True):
        np.testing.assert_array_equal(np.asarray(image), expected)
    raw, job_raw = (one.with_format("arrow")[:]["image"].combine_chunks() for one in (data, job))
    assert raw.equals(job_raw)  # the same bytes of PNGs
    again = to_dataset(rgb_api, "0-39", cache_dir=str(tmp_path / "hf"))
    assert again.cache_files == data.cache_files  # not generated again


@pytest.mark.slow
def test_an_iterable_data_set_is_divided_among_workers(rgb_api: seedmint.Generator):
    data = to_iterable_dataset(rgb_api, range(50), labels="bee", shards=4)
    assert data.num_shards == 4
    loader = DataLoader(data.select_columns(["seed", "label"]), batch_size=None, num_workers=2, multiprocessing_context="spawn")
    rows = [(row["seed"], row["label"]) for row in loader]
    assert sorted(rows) == [(seed, 1) for seed in range(50)]


@pytest.mark.parametrize("name", ["point", "wave"])
def test_samples_have_the_columns_of_the_card(sample_models: Path, name: str):
    generator = seedmint.load(name, models=sample_models, threads=1)
    rows = list(to_iterable_dataset(generator, range(5)))
    names = generator.card.output.names
    found = np.stack([np.stack([row[column] for column in names], -1) for row in rows])
    np.testing.assert_array_equal(found.astype(np.float32), generator.samples(range(5)))
    assert [row["seed"] for row in rows] == list(range(5))


@pytest.mark.parametrize("shards", [0, 6])
def test_a_wrong_number_of_shards_is_refused(rgb_api: seedmint.Generator, shards: int):
    with pytest.raises(UserError) as error:
        to_iterable_dataset(rgb_api, range(5), shards=shards)
    assert (error.value.field, error.value.reason) == ("shards", "out_of_range")
