"""Noise rules, compared with NumPy's Philox word by word, and with the published vectors."""

import hashlib
import re
import struct
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.models import philox
from seedmint.models.noise import _QUANTILES, MAX_TOTAL_WEIGHT, NOISE_RULES, LabelRule, labels_of, noise, table

ROOT = Path(__file__).parents[2]
SEED = st.integers(0, 2**63 - 1)


def reference_z(rule: str, z_dim: int, seed: int) -> np.ndarray:
    """Compute z as docs/noise-rule.md specifies it, one number at a time."""
    blocks = -(-z_dim // 16)
    words = np.random.Philox(key=0, counter=seed * blocks).random_raw(4 * blocks)
    numbers = [int(word) >> (16 * i) & 0xFFFF for word in words for i in range(4)][:z_dim]
    if rule == "philox-normal-v1":
        values = [NormalDist().inv_cdf((n + 0.5) / 65536) for n in numbers]
    else:
        values = [3**0.5 * (2 * (n + 0.5) / 65536 - 1) for n in numbers]
    return np.array(values, dtype=np.float32)


def test_the_published_vectors_are_correct():
    row = r"^\| (\d+) \| `([\d ]+)` \| `([\da-f ]+)` \| `([\da-f ]+)` \| (\d) \|$"
    rows = re.findall(row, (ROOT / "docs/noise-rule.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 5
    for seed, numbers, normal, uniform, label in rows:
        word = int(np.random.Philox(key=0, counter=int(seed) * 7).random_raw())
        assert [word >> shift & 0xFFFF for shift in (0, 16, 32, 48)] == [int(number) for number in numbers.split()]
        seeds = np.array([int(seed)], dtype=np.int64)
        for rule, text in (("philox-normal-v1", normal), ("philox-uniform-v1", uniform)):
            published = [struct.unpack(">f", bytes.fromhex(bits))[0] for bits in text.split()]
            assert noise(rule, 100, seeds)[0, :3].tolist() == published
        assert labels_of(seeds, 10).tolist() == [int(label)]


@pytest.mark.parametrize("z_dim", [1, 16, 17, 100, 4096])
@pytest.mark.parametrize("count", [95, 96, 97, 700])
def test_scattered_seeds_match_numpy(z_dim, count):
    seeds = np.random.default_rng(count).integers(0, 2**63 - 1, count, dtype=np.int64)
    seeds[:3] = [2**63 - 1, 0, 2**62 + 5]
    found = noise("philox-uniform-v1", z_dim, seeds)
    for i in (0, 1, 2, count // 2, count - 1):
        assert found[i].tobytes() == reference_z("philox-uniform-v1", z_dim, int(seeds[i])).tobytes()


@pytest.mark.parametrize("step", [-1, 0, 1, 2, 3])
def test_seeds_at_equal_distances_have_their_own_noise_and_labels(step):
    seeds = np.arange(4, dtype=np.int64) * step + 10
    found = noise("philox-normal-v1", 20, seeds)
    for i, seed in enumerate(seeds.tolist()):
        assert found[i].tobytes() == reference_z("philox-normal-v1", 20, seed).tobytes()
    assert labels_of(seeds, 1000).tolist() == [
        int(np.random.Philox(key=1, counter=s // 4).random_raw(4)[s % 4]) % 1000 for s in seeds.tolist()
    ]


def test_scattered_runs_may_be_longer_than_a_chunk():
    found = philox.scattered(0, np.arange(96, dtype=np.uint64) * np.uint64(7), 3, 4097)
    for i in (0, 95):
        assert (found[i] == np.random.Philox(key=0, counter=21 * i).random_raw(4 * 4097)).all()


def test_scattered_counters_carry_into_the_second_word():
    firsts = np.full(200, 2**63 - 1, dtype=np.uint64)
    found = philox.scattered(0, firsts, 8, 40)  # 8 * (2**63 - 1) + 40 passes a multiple of 2**64
    expected = np.random.Philox(key=0, counter=8 * (2**63 - 1)).random_raw(160)
    assert (found == expected).all()


@given(st.sampled_from(NOISE_RULES), st.integers(1, 300), st.lists(SEED, min_size=1, max_size=5))
def test_noise_matches_the_specification(rule, z_dim, seeds):
    found = noise(rule, z_dim, np.array(seeds, dtype=np.int64))
    assert found.dtype == np.float32
    assert found.tobytes() == b"".join(reference_z(rule, z_dim, seed).tobytes() for seed in seeds)


@given(st.sampled_from(NOISE_RULES), st.integers(0, 2**62), st.integers(1, 200), st.randoms(use_true_random=False))
def test_z_is_independent_of_the_batch(rule, first, count, random):
    seeds = np.arange(count, dtype=np.int64) + first
    batch = noise(rule, 20, seeds)
    order = list(range(count))
    random.shuffle(order)
    assert (noise(rule, 20, seeds[order]) == batch[order]).all()
    index = random.randrange(count)
    assert (noise(rule, 20, seeds[index : index + 1])[0] == batch[index]).all()


@given(st.lists(SEED, min_size=1, max_size=150), st.integers(1, 1000))
def test_labels_are_words_of_the_second_stream(seeds, classes):
    expected = [int(np.random.Philox(key=1, counter=s // 4).random_raw(4)[s % 4]) % classes for s in seeds]
    found = labels_of(np.array(seeds, dtype=np.int64), classes)
    assert found.dtype == np.int64
    assert found.tolist() == expected


@given(st.integers(0, 2**63 - 1), st.integers(1, 150), st.integers(1, 1000))
def test_labels_of_consecutive_seeds_match_the_specification(first, count, classes):
    seeds = [seed for seed in range(first, first + count) if seed < 2**63]
    expected = [int(np.random.Philox(key=1, counter=s // 4).random_raw(4)[s % 4]) % classes for s in seeds]
    assert labels_of(np.array(seeds, dtype=np.int64), classes).tolist() == expected


def test_tables_are_symmetric_and_have_unit_variance():
    normal, uniform = table("philox-normal-v1"), table("philox-uniform-v1")
    assert hashlib.sha256(normal.tobytes()).hexdigest().startswith("1cfbba1e")
    assert (normal == -normal[::-1]).all()
    assert (uniform == -uniform[::-1]).all()
    assert abs(normal).max() == pytest.approx(4.32, abs=0.01)
    assert abs(uniform).max() < 3**0.5
    assert uniform.astype(np.float64).var() == pytest.approx(1.0, abs=1e-6)
    assert normal.astype(np.float64).var() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("rule", "z_dim", "seeds"),
    [
        ("philox-cauchy-v1", 4, np.array([1])),
        ("philox-normal-v1", 0, np.array([1])),
        ("philox-normal-v1", 4097, np.array([1])),
        ("philox-normal-v1", 4, np.array([-1])),
        ("philox-normal-v1", 4, np.array([[1]])),
        ("philox-normal-v1", 4, np.array([1], np.int32)),
    ],
)
def test_wrong_arguments_are_refused(rule, z_dim, seeds):
    with pytest.raises(ValueError):  # noqa: PT011  # the arguments have no codes
        noise(rule, z_dim, seeds)


def label_word(seed: int) -> int:
    return int(np.random.Philox(key=1, counter=seed // 4).random_raw(4)[seed % 4])


def test_the_published_vectors_of_weighted_labels_are_correct():
    page = (ROOT / "docs/noise-rule.md").read_text(encoding="utf-8")
    header = re.search(r"^\| seed \| w \| weights (.+) \|$", page, re.MULTILINE)
    weights = [[int(weight) for weight in column.split()] for column in header[1].split(" | weights ")]
    rows = re.findall(r"^\| (\d+) \| (\d{15,}) \| (\d) \| (\d) \| (\d) \|$", page, re.MULTILINE)
    assert (len(rows), len(weights)) == (7, 3)
    for seed, word, *labels in rows:
        assert label_word(int(seed)) == int(word)
        found = [LabelRule(len(column), column).labels(np.array([int(seed)], np.int64)).tolist() for column in weights]
        assert found == [[int(label)] for label in labels]


@given(
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 10**7)), min_size=1, max_size=40).filter(any),
    st.one_of(
        st.lists(SEED, max_size=8), st.tuples(SEED, st.integers(0, 120)).map(lambda run: list(range(run[0], run[0] + run[1])))
    ),
)
def test_weighted_labels_match_the_specification(weights, seeds):
    """Each weight is a run of tickets; the word, modulo the number of tickets, draws one."""
    seeds = [seed for seed in seeds if seed < 2**63]
    expected = []
    for seed in seeds:
        ticket = label_word(seed) % sum(weights)
        expected.append(next(c for c in range(len(weights)) if sum(weights[: c + 1]) > ticket))
    found = LabelRule(len(weights), weights).labels(np.array(seeds, dtype=np.int64))
    assert found.dtype == np.int64
    assert found.tolist() == expected
    assert all(weights[label] > 0 for label in expected)


@given(st.integers(1, 1000), st.lists(SEED, max_size=8))
def test_weights_of_one_each_are_the_rule_of_equal_classes(classes, seeds):
    array = np.array(seeds, dtype=np.int64)
    assert LabelRule(classes, [1] * classes).labels(array).tolist() == labels_of(array, classes).tolist()
    assert LabelRule(classes).labels(array).tolist() == labels_of(array, classes).tolist()


def test_weighted_labels_have_the_proportions_of_the_weights():
    weights, seeds = np.array([5500, *[500] * 9]), np.arange(20_000, dtype=np.int64)
    counts = np.bincount(LabelRule(10, weights.tolist()).labels(seeds), minlength=10)
    expected = len(seeds) * weights / weights.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # 0.1% of chi-squared with 9 degrees of freedom


@pytest.mark.parametrize(
    ("classes", "weights"), [(2, [1]), (2, [-1, 2]), (2, [0, 0]), (2, [1, MAX_TOTAL_WEIGHT]), (1, [1, 1]), (0, [])]
)
def test_wrong_weights_are_refused(classes, weights):
    with pytest.raises(ValueError):  # noqa: PT011  # the arguments have no codes
        LabelRule(classes, weights)


@pytest.mark.parametrize(("seeds", "classes"), [([1], 0), ([-1], 10)])
def test_wrong_arguments_of_labels_are_refused(seeds, classes):
    with pytest.raises(ValueError):  # noqa: PT011  # the arguments have no codes
        labels_of(np.array(seeds), classes)


def test_table_that_differs_from_the_published_one_is_refused(monkeypatch):
    rule, published = "philox-uniform-v1", _QUANTILES["philox-uniform-v1"][1]
    monkeypatch.setitem(_QUANTILES, rule, (lambda probability: probability, published))
    with pytest.raises(RuntimeError):
        table.__wrapped__(rule)


def test_table_is_read_only():
    assert not table("philox-normal-v1").flags.writeable


def test_no_seeds_give_no_noise_and_no_labels():
    none = np.empty(0, dtype=np.int64)
    assert noise("philox-normal-v1", 16, none).shape == (0, 16)
    assert labels_of(none, 10).shape == (0,)
    assert philox.scattered(0, none.astype(np.uint64), 7, 3).shape == (0, 12)


def test_tables_match_scipy():
    stats = pytest.importorskip("scipy.stats")
    levels = (np.arange(65536) + 0.5) / 65536
    np.testing.assert_allclose(table("philox-normal-v1"), stats.norm.ppf(levels), rtol=1e-6, atol=1e-9)


def test_noise_has_the_distribution_of_the_prior():
    stats = pytest.importorskip("scipy.stats")
    seeds = np.arange(2000, dtype=np.int64)
    for rule, law in (("philox-normal-v1", stats.norm()), ("philox-uniform-v1", stats.uniform(-(3**0.5), 2 * 3**0.5))):
        assert stats.kstest(noise(rule, 50, seeds).ravel(), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("weights", [None, (3, 0, 5, 2, 0)])
@pytest.mark.parametrize("classes", [(1,), (3, 0), (1, 4), (4, 3, 2, 1, 0)])
def test_labels_among_chosen_classes_have_the_weights_of_these_classes(
    weights: tuple[int, ...] | None, classes: tuple[int, ...]
):
    """Beside a plain computation: the weights of other classes are 0, and equal weights if no chosen class has one."""
    seeds = np.array([*range(40), 123456789, 2**63 - 1], np.int64)
    chosen = [(1 if weights is None else weights[i]) if i in classes else 0 for i in range(5)]
    chosen = chosen if any(chosen) else [int(i in classes) for i in range(5)]
    expected = []
    for seed in seeds.tolist():
        rest = label_word(seed) % sum(chosen)
        expected.append(next(i for i in range(5) if sum(chosen[: i + 1]) > rest))
    assert LabelRule(5, weights).labels_among(seeds, classes).tolist() == expected


def test_all_classes_chosen_give_the_labels_of_the_seeds():
    seeds = np.arange(1000, dtype=np.int64)
    for rule in (LabelRule(4), LabelRule(4, (1, 2, 0, 4))):
        np.testing.assert_array_equal(rule.labels_among(seeds, range(4)), rule.labels(seeds))
