"""Sources of samples: known distributions, tables and series."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet
from scipy import stats

from seedmint.training.datasets import DataError, Dataset, load_dataset, load_splits
from seedmint.training.datasets.draw import draw_order
from seedmint.training.datasets.generated import RING_MODES, RING_STD
from seedmint.training.datasets.scaling import scaling_of
from seedmint.training.recipes.data import Data
from tests.support.errors import raises

# SHA-256 of shape and values; the same on every machine and in every version.
DIGESTS = {
    "gaussian-1d": "fb830737a7183239b0121e1b627b5145da93edc9e0161de150a1d7bf3fa2189f",
    "ring-2d": "3a441ef4b9eea2416910ed69d67da0f982e162be128c35232d9be51f67d84805",
    "sines": "453025253c08dac6245671b3371d1ec11d25dfd67facc853e2601120470cc72b",
}


@pytest.mark.parametrize("source", DIGESTS)
def test_digests_of_generated_sources(source):
    train, test = load_splits(Data(source=source))
    assert (len(train), len(test)) == (50_000, 10_000)
    assert train.digest == DIGESTS[source]
    assert test.digest != train.digest
    assert load_dataset(Data(source=source)).digest == train.digest


def test_distribution_of_gaussian_1d():
    for part in load_splits(Data(source="gaussian-1d")):
        assert part.samples.shape[1:] == (1,)
        assert stats.kstest(part.samples[:, 0], stats.norm(4, 1.25).cdf).pvalue > 1e-3


def test_distribution_of_ring_2d():
    ring = load_dataset(Data(source="ring-2d"))
    angles = np.arange(8) * np.pi / 4
    np.testing.assert_allclose(RING_MODES, 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-15)
    assert stats.chisquare(np.bincount(ring.labels)).pvalue > 1e-3
    offsets = (ring.samples - RING_MODES[ring.labels]) / RING_STD
    for axis in range(2):
        assert stats.kstest(offsets[:, axis], stats.norm.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.02
    assert ring.classes == tuple("01234567")


def test_sines_satisfy_their_difference_equation():
    """For damped sines, x[t+1] = 2 r cos(w) x[t] - r^2 x[t-1]: two coefficients describe each series, except for rounding."""
    series = load_dataset(Data(source="sines")).samples[:500, :, 0].astype(np.float64)
    for x in series:
        a = np.stack([x[1:-1], x[:-2]], axis=1)
        (p, q), *_ = np.linalg.lstsq(a, x[2:], rcond=None)
        assert np.abs(a @ [p, q] - x[2:]).max() < 2e-4
        r = np.sqrt(-q)
        frequency, damping = 64 * np.arccos(p / 2 / r) / 2 / np.pi, -64 * np.log(r)
        assert 0.98 < frequency < 4.02
        assert -0.1 < damping < 3.1


def by_hash(values, labels=None):
    """Return the rows in the order of BLAKE2b of their bytes, as draw-v1 orders different rows."""

    def key(i):
        label = b"" if labels is None else int(labels[i]).to_bytes(8, "little")
        digest = hashlib.blake2b(values[i].astype("<f4").tobytes() + label, digest_size=16, person=b"seedmint-draw-v1").digest()
        return int.from_bytes(digest[:8], "little")

    return sorted(range(len(values)), key=key)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_draw_depends_only_on_the_contents_of_the_rows(numbers, random):
    """Also with equal rows, of which each is drawn separately."""
    values = np.array(numbers, np.float32)[:, None]
    order = draw_order(values)
    assert sorted(order.tolist()) == list(range(len(values)))
    shuffled = list(numbers)
    random.shuffle(shuffled)
    other = np.array(shuffled, np.float32)[:, None]
    assert values[order].tolist() == other[draw_order(other)].tolist()


def test_each_part_of_the_draw_is_a_fair_sample():
    """Of rows that are sorted by class, each fifth of the draw has all classes in their proportions."""
    labels = np.repeat(np.arange(5), 400)
    values = np.arange(2000, dtype=np.float32)[:, None]
    for part in np.split(labels[draw_order(values, labels)], 5):
        assert stats.chisquare(np.bincount(part, minlength=5)).pvalue > 1e-3


def write_csv(path, text):
    path.write_text(text)
    return Data(source="table", path=str(path), licence="CC0-1.0")


def rows_of(dataset):
    """Return the values of a table, row by row."""
    columns = [column.values(dataset.samples[:, i]) for i, column in enumerate(dataset.table.columns)]
    return [list(row) for row in zip(*columns, strict=True)]


def test_csv_table(tmp_path):
    rows = "".join(f"{i},{i / 2},{'ab'[i % 2]}\n" for i in range(20))
    data = write_csv(tmp_path / "mine.csv", "n,half,kind\n" + rows).model_copy(update={"label": "kind"})
    train, held_out = load_splits(data)
    assert (train.names, train.classes, train.licence) == (("n", "half"), ("a", "b"), "CC0-1.0")
    order = by_hash(np.array([[i, i] for i in range(20)], np.float32), np.arange(20) % 2)
    for part, rows in ((train, sorted(order[4:])), (held_out, order[:4])):
        assert rows_of(part) == [[i, i / 2] for i in rows]
        assert part.labels.tolist() == [i % 2 for i in rows]
    assert load_dataset(data).digest == train.digest  # training excludes the held-out rows
    assert load_dataset(data.model_copy(update={"columns": ["half"]})).names == ("half",)


def test_parquet_table_with_numbers_of_all_types(tmp_path):
    table = pa.table(
        {
            "i": pa.array(range(10), pa.int16()),
            "d": pa.array([f"{i}.25" for i in range(10)]).cast(pa.decimal128(6, 2)),
            "f": pa.array(np.arange(10) / 4, pa.float32()),
            "year": pa.array([1999 + i % 3 for i in range(10)]),
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    found = load_dataset(Data(source="table", path=str(tmp_path / "t.parquet"), columns=["f", "d", "i"], label="year"))
    every = [[i / 4, i + 0.25, i] for i in range(10)]
    years = np.arange(10) % 3
    expected = [every[i] for i in sorted(by_hash(np.array([[i, i, i] for i in range(10)], np.float32), years)[2:])]
    assert rows_of(found) == expected
    assert found.classes == ("1999", "2000", "2001")
    assert found.names == ("f", "d", "i")


@pytest.mark.parametrize(
    ("text", "fields", "reason"),
    [
        ("x,y\n" + "1,2\n" * 19 + "3,four\n", {}, "not_numeric"),
        ("x,y\n1,\n3,NA\n", {}, "empty_column"),
        ("x,y\n1,2\n1e60,4\n", {}, "out_of_range"),
        ("x,y\n1,2\n-inf,4\n", {}, "not_finite"),
        ("x,seed\n1,2\n3,4\n", {}, "reserved_name"),
        ("x,y\n" + "".join(f"{i},t{i}\n" for i in range(1001)), {}, "too_many_categories"),
        ("x,y\n1,2\n3,4\n", {"encoding": "no-such"}, "unknown_encoding"),
        ("x,y\n1,\u00e9\n3,4\n", {"encoding": "ascii"}, "wrong_encoding"),
        ("x,y\n1,2\n", {"columns": ["z"]}, "no_such_column"),
        ("x,x\n1,2\n", {}, "no_such_column"),
        ("x,y\n1,2\n3,4\n", {"label": "k"}, "no_such_column"),
        ("x,k\n1,2001-01-01\n3,2001-01-02\n", {"label": "k"}, "wrong_labels"),
        ("x,k\n1,1\n3,\n", {"label": "k"}, "missing_value"),
        ("x,y\n", {}, "empty_table"),
        ("k\na\n", {"label": "k"}, "empty_table"),
        ("", {}, "unreadable"),
        ("x,y\n1,2\n3\n", {}, "unreadable"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, text, fields, reason):
    data = write_csv(tmp_path / "t.csv", text).model_copy(update=fields)
    with raises(DataError, reason):
        load_dataset(data)


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.parquet", "table.xlsx", "garbage.parquet"])
@pytest.mark.parametrize("source", ["table", "series"])
def test_unreadable_files_are_refused(tmp_path, source, name):
    (tmp_path / "garbage.parquet").write_bytes(b"garbage")
    with raises(DataError, field="data.path"):
        load_dataset(Data(source=source, path=str(tmp_path / name)))


def test_constant_channel_is_refused(tmp_path):
    np.savez(tmp_path / "s.npz", series=np.full((10, 8), 7.0))
    with raises(DataError, "constant_column"):
        load_dataset(Data(source="series", path=str(tmp_path / "s.npz"))).scaling  # noqa: B018


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_npz_series(tmp_path, channels):
    series = np.random.default_rng(0).normal(size=(10, 12) if channels is None else (10, 12, channels))
    names = {} if channels is None else {"names": [f"n{i}" for i in range(channels)]}
    np.savez(tmp_path / "s.npz", series=series, labels=np.arange(10) % 2, classes=["up", "down"], **names)
    found = load_dataset(Data(source="series", path=str(tmp_path / "s.npz")))
    rows = sorted(by_hash(series.astype(np.float32), np.arange(10) % 2)[2:])
    np.testing.assert_array_equal(found.samples, series.reshape(10, 12, -1)[rows].astype(np.float32))
    assert found.names == (tuple(names["names"]) if names else ("x",))
    assert (found.classes, found.labels.tolist()) == (("up", "down"), [i % 2 for i in rows])


def test_csv_series(tmp_path):
    series = np.random.default_rng(0).normal(size=(10, 12)).astype(np.float32)
    table = pa.table({str(i): series[:, i] for i in range(12)})
    csv.write_csv(table, tmp_path / "s.csv", csv.WriteOptions(include_header=False))
    found = load_splits(Data(source="series", path=str(tmp_path / "s.csv")))[1]
    np.testing.assert_array_equal(found.samples, series[by_hash(series)[:2], :, None])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"waves": np.zeros((2, 8))}, "no_array"),
        ({"series": np.zeros(8)}, "wrong_array"),
        ({"series": np.array([["a", "b"]])}, "wrong_array"),
        ({"series": np.zeros((2, 8)), "names": ["a", "b"]}, "wrong_array"),
        ({"series": np.zeros((0, 8))}, "wrong_array"),
        ({"series": np.array([[0, np.inf], [1, 2]])}, "not_finite"),
        ({"series": np.array([[np.nan, 0], [1, 2]])}, "missing_value"),
        ({"series": np.zeros((2, 8)), "lengths": [3, 9]}, "wrong_array"),
        ({"series": np.zeros((2, 8)), "labels": np.zeros(3, int)}, "wrong_labels"),
    ],
)
def test_wrong_series_are_refused(tmp_path, arrays, reason):
    np.savez(tmp_path / "s.npz", **arrays)
    with raises(DataError, reason):
        load_splits(Data(source="series", path=str(tmp_path / "s.npz")))


def test_images_and_samples_are_distinct():
    images = Dataset("i", np.zeros((2, 1, 8, 8), np.uint8), None, None, None)
    samples = Dataset("s", np.zeros((2, 3), np.float32), None, None, None, ("a", "b", "c"))
    assert (images.scaling, images.noun, samples.noun) == (None, "image", "sample")
    with raises(DataError, "not_images"):
        samples.images  # noqa: B018
    with raises(DataError, "not_samples"):
        images.samples  # noqa: B018


def test_standardized_samples_have_mean_0_and_deviation_1():
    samples = np.random.default_rng(0).normal([3, -1e4], [0.1, 50], (5000, 2)).astype(np.float32)
    scaled = scaling_of(samples).standardize(samples)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)
    series = samples.reshape(100, 50, 2)
    assert scaling_of(series) == scaling_of(samples)  # over the steps of all series


@pytest.mark.parametrize(
    ("values", "resolution"),
    [
        ([0.5, 4.0, -3.5], 2.0**-11),  # std / 4096 with std 3.06 is 2^-10.4
        ([1e6 + 0.25, 1e6 + 0.5, 1e6], 2.0**-3),  # the limit of float32: 2^24 rounding units are 2^21
        ([1.0, 2.0, 4.0], 1.0),  # integers
        ([0.0, 1e6, 3e6], 2.0**8),  # integers, but std / 4096 is larger
        ([1e-42, 3e-42, 2e-42], 2.0**-126),
    ],
)
def test_resolution_of_a_column(values, resolution):
    assert scaling_of(np.array(values, np.float32)[:, None]).resolution == (resolution,)
