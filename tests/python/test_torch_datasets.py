"""`seedmint.torch`: data sets of generated images, in workers of every start method."""

import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

import seedmint
from seedmint.torch import SeedDataset, SeedIterableDataset


@pytest.fixture
def rgb_api(models: Path) -> seedmint.Generator:
    return seedmint.load("rgb", models=models, threads=2)


def test_an_item_is_the_image_and_the_label_of_its_seed(rgb_api: seedmint.Generator):
    data = SeedDataset(rgb_api, "10-19,3")
    assert len(data) == 11
    image, label = data[10]
    np.testing.assert_array_equal(image.numpy(), rgb_api[3].transpose(2, 0, 1))
    labels = rgb_api.labels(3)
    assert labels is not None
    assert label == labels[0]
    assert image.shape == (3, 16, 12)
    with pytest.raises(IndexError):
        data[11]


def test_a_batch_equals_its_items(rgb_api: seedmint.Generator):
    data = SeedDataset(rgb_api, range(20), labels=[i % 3 for i in range(20)], truncation=0.7)
    for (one, label), position in zip(data.__getitems__([7, 2, 19]), (7, 2, 19), strict=True):
        torch.testing.assert_close(one, data[position][0], rtol=0, atol=0)
        assert label == position % 3


@pytest.mark.parametrize("method", ["fork", *(pytest.param(name, marks=pytest.mark.slow) for name in ("spawn", "forkserver"))])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_of_each_start_method_give_the_same_batches(rgb_api: seedmint.Generator, method: str):
    data = SeedDataset(rgb_api, range(40), transform=_scale)
    expected = list(DataLoader(data, batch_size=16))
    loader = DataLoader(data, batch_size=16, num_workers=2, multiprocessing_context=method, persistent_workers=True)
    for _ in range(2):  # the second epoch uses the same workers
        for (images, labels), (more, names) in zip(loader, expected, strict=True):
            torch.testing.assert_close(images, more, rtol=0, atol=0)
            torch.testing.assert_close(labels, names, rtol=0, atol=0)


def _scale(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255


def test_a_distributed_sampler_splits_the_seeds(rgb_api: seedmint.Generator):
    data = SeedDataset(rgb_api, range(20))
    parts = [list(DistributedSampler(data, num_replicas=2, rank=rank, shuffle=False)) for rank in (0, 1)]
    assert sorted(parts[0] + parts[1]) == list(range(20))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_iterable_data_set_is_split_without_overlap(rgb_api: seedmint.Generator, workers: int):
    found = []
    for rank in (0, 1):
        data = SeedIterableDataset(rgb_api, range(50), labels=0, batch=4, rank=rank, world_size=2)
        loader = DataLoader(data, batch_size=None, num_workers=workers, multiprocessing_context="fork" if workers else None)
        found += [image.numpy().tobytes() for image, _ in loader]
    expected = [image.transpose(2, 0, 1).tobytes() for image in rgb_api.images(range(50), labels=0)]
    assert sorted(found) == sorted(expected)


def test_the_rank_is_that_of_the_time_of_reading(rgb_api: seedmint.Generator, monkeypatch: pytest.MonkeyPatch):
    """Programs make the data set before or after they start `torch.distributed`. Spawned workers have no rank of their own."""
    data = SeedIterableDataset(rgb_api, range(9), labels=0)
    assert len(list(data)) == 9
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 1)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    sent = pickle.dumps(data)
    assert len(list(data)) == 4
    monkeypatch.undo()
    for (image, _), expected in zip(pickle.loads(sent), rgb_api.images([1, 3, 5, 7], labels=0), strict=True):
        np.testing.assert_array_equal(image.numpy().transpose(1, 2, 0), expected)


@pytest.mark.parametrize("workers", [1, 5])
def test_ranks_have_equal_shares_with_any_number_of_workers(
    rgb_api: seedmint.Generator, workers: int, monkeypatch: pytest.MonkeyPatch
):
    counts, found = [], []
    for rank in range(3):
        data = SeedIterableDataset(rgb_api, range(11), labels=0, rank=rank, world_size=3)
        items = []
        for worker in range(workers):
            monkeypatch.setattr(
                "seedmint.torch.get_worker_info", lambda worker=worker: SimpleNamespace(id=worker, num_workers=workers)
            )
            items += [image.numpy().tobytes() for image, _ in data]
        counts.append(len(items))
        found += items
    assert counts == [4, 4, 3]
    expected = [image.transpose(2, 0, 1).tobytes() for image in rgb_api.images(range(11), labels=0)]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(("rank", "world_size"), [(1, None), (2, 2), (-1, 2), (1.5, 2)])
def test_a_wrong_rank_is_refused(rgb_api: seedmint.Generator, rank: int, world_size: int | None):
    with pytest.raises(seedmint.UserError) as error:
        SeedIterableDataset(rgb_api, range(9), rank=rank, world_size=world_size)
    assert error.value.field == "rank"


def test_samples_of_an_unconditional_generator_have_no_label(sample_models: Path):
    wave = seedmint.load("wave", models=sample_models)
    data = SeedDataset(wave, range(5))
    torch.testing.assert_close(data[2], torch.from_numpy(wave.samples(2)[0]), rtol=0, atol=0)
