import numpy as np
import pytest
import torch

from seedmint.training.datasets import DataError, Dataset
from seedmint.training.optimization.minibatches import Minibatches, stream_seed
from tests.support.errors import raises

N, M = 23, 5


def minibatches(conditional=False, prior="normal", seed=1, m=M, labels=True):
    images = np.arange(N, dtype=np.uint8).reshape(N, 1, 1, 1) * 10
    dataset = Dataset("x", images, np.arange(N) % 3 if labels else None, ("a", "b", "c") if labels else None, None)
    return Minibatches(dataset, conditional, m, prior, 4, seed, torch.device("cpu"))


def rows(batches, number):
    return (batches.data(number)[0].flatten() * 25.5).round().int().tolist()


def test_epochs_are_different_permutations():
    batches = minibatches()
    epochs = [[row for i in range(4) for row in rows(batches, 4 * e + i)] for e in range(50)]
    for epoch in epochs:
        assert len(set(epoch)) == 4 * M
    assert len({tuple(epoch) for epoch in epochs}) == 50
    assert {row for epoch in epochs for row in epoch} == set(range(N))


def test_minibatch_depends_only_on_its_number():
    forward, backward = minibatches(), minibatches()
    expected = {number: rows(forward, number) for number in range(12)}
    assert {number: rows(backward, number) for number in reversed(range(12))} == expected
    assert rows(minibatches(seed=2), 0) != expected[0]


def test_labels_belong_to_their_images():
    x, label = minibatches(conditional=True).data(3)
    assert ((x.flatten() * 25.5).round().int() % 3 == label).all()
    assert minibatches(conditional=False).data(3)[1] is None


def test_labels_for_generated_images_have_the_proportions_of_the_data():
    images = np.zeros((100, 1, 1, 1), dtype=np.uint8)
    labels = np.array([0] * 90 + [1] * 10)
    batches = Minibatches(Dataset("x", images, labels, ("a", "b"), None), True, 50, "normal", 1, 0, torch.device("cpu"))
    torch.manual_seed(0)
    drawn = torch.cat([batches.labels() for _ in range(100)]).numpy()
    assert drawn.mean() == pytest.approx(0.1, abs=0.02)


def test_images_are_scaled_to_the_unit_range():
    dataset = Dataset("x", np.array([0, 255, 51] * 2, dtype=np.uint8).reshape(6, 1, 1, 1), None, None, None)
    x, _ = Minibatches(dataset, False, 6, "normal", 1, 0, torch.device("cpu")).data(0)
    assert x.dtype == torch.float32
    assert sorted(x.flatten().tolist()) == pytest.approx([0, 0, 0.2, 0.2, 1, 1])


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_noise_follows_the_prior(prior):
    stats = pytest.importorskip("scipy.stats")
    torch.manual_seed(0)
    batches = minibatches(prior=prior)
    z = torch.cat([batches.noise() for _ in range(500)]).flatten().numpy()
    law = stats.norm() if prior == "normal" else stats.uniform(-(3**0.5), 2 * 3**0.5)
    assert stats.kstest(z, law.cdf).pvalue > 1e-3


def test_stream_seeds_are_distinct():
    seeds, streams = (*range(29), (1 << 32) - 1), (*range(30), 1 << 62, (1 << 63) - 1)
    assert len({stream_seed(seed, stream) for seed in seeds for stream in streams}) == 30 * 32


def test_unsuitable_data_are_refused():
    with raises(DataError, "too_few_examples", "m"):
        minibatches(m=24)
    with raises(DataError, "no_labels", "conditional"):
        minibatches(conditional=True, labels=False)
