"""Reading series for training: layouts, times, missing values, windows and the held-out part."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from seedmint.models.series import series_lengths
from seedmint.training.cli.front_door import derive, inspect_series_path, is_series
from seedmint.training.datasets import DataError, load_splits
from seedmint.training.datasets.series.files import read_series
from seedmint.training.datasets.series.load import load_series
from seedmint.training.datasets.series.missing import find_missing
from seedmint.training.datasets.series.windows import cut_windows, plan_windows
from seedmint.training.datasets.series_encoding import SeriesEncoding
from seedmint.training.recipes.data import Data
from tests.support.errors import raises

LENGTHS = [9, 12, 10, 12]


def series_data(path, **fields):
    return Data(source="series", path=str(path), **fields)


def known_series():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 2)).round(3) for n in LENGTHS]


def padded(series):
    values = np.full((len(series), max(map(len, series)), series[0].shape[1]), np.nan, np.float32)
    for row, one in zip(values, series, strict=True):
        row[: len(one)] = one
    return values


def hour(k):
    return str(np.datetime64("2024-01-01T00:00:00") + np.timedelta64(k, "h"))


def long_lines(series, number="{}".format):
    for i, one in enumerate(series):
        for k, (a, b) in enumerate(one.tolist()):
            yield [f"s{i}", hour(k), number(a), number(b)]


def write_long(path, lines, delimiter=","):
    path.write_text("\n".join(delimiter.join(line) for line in [["sensor", "time", "temp", "load"], *lines]) + "\n")
    return path


def test_long_format_in_any_order_and_dialect(tmp_path):
    lines = list(long_lines(known_series(), lambda value: str(value).replace(".", ",")))
    path = write_long(tmp_path / "long.csv", lines[::-1], ";")
    assert is_series(str(path), ())
    report = inspect_series_path(str(path), ("data.window=9", "data.units={load: kW}"))
    assert (report.data.id, report.data.time, report.data.layout) == ("sensor", "time", "long")
    found = load_series(series_data(path, units={"load": "kW"}))
    expected = padded(known_series()[::-1])  # series are in the order of their first rows
    np.testing.assert_array_equal(found.samples, expected)
    assert found.names == ("temp", "load")
    assert (found.series.units, found.series.step, found.series.has_lengths) == ((None, "kW"), "1 hour", True)
    assert series_lengths(found.samples).tolist() == LENGTHS[::-1]


def test_the_same_series_in_every_format(tmp_path):
    series = known_series()
    expected = padded(series)
    columns = {"a": pa.array([one[:, 0] for one in series]), "b": pa.array([one[:, 1] for one in series])}
    parquet.write_table(pa.table(columns), tmp_path / "lists.parquet")
    np.savez(tmp_path / "s.npz", series=np.nan_to_num(expected), lengths=LENGTHS, names=["a", "b"])
    np.save(tmp_path / "s.npy", expected)
    folder = tmp_path / "files"
    folder.mkdir()
    for i, one in enumerate(series):
        text = "\n".join(f"{a},{b}" for a, b in one.tolist())
        (folder / f"{i}.csv").write_text(f"a,b\n{text}\n")
    for path in (tmp_path / "lists.parquet", tmp_path / "s.npz", tmp_path / "s.npy", folder):
        assert is_series(str(path), ())
        np.testing.assert_array_equal(load_series(series_data(path)).samples, expected)


def test_wide_rows_end_at_their_last_value(tmp_path):
    rows = [[1.5 * i + k * k for k in range(16)] for i in range(6)]
    lines = [",".join([*map(str, row), "ab"[i % 2]]) for i, row in enumerate(rows)]
    lines[3] = ",".join([*map(str, rows[3][:10]), *[""] * 6, "b"])
    (tmp_path / "w.csv").write_text("\n".join([",".join([*(f"t{k}" for k in range(16)), "kind"]), *lines]) + "\n")
    assert is_series(str(tmp_path / "w.csv"), ())
    found = load_series(series_data(tmp_path / "w.csv", label="kind"))
    assert series_lengths(found.samples).tolist() == [16, 16, 16, 10, 16, 16]
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [0, 1] * 3


def test_labels_are_the_folders_of_the_files(tmp_path):
    for name in ("walk/1", "walk/2", "run/1"):
        path = tmp_path / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.arange(9.0) * len(name))
    found = load_series(series_data(tmp_path))
    assert (found.classes, found.labels.tolist()) == (("run", "walk"), [0, 1, 1])
    np.save(path, np.array([1.0, 1e300]))
    with raises(DataError, "not_finite", field="data.path"):
        load_series(series_data(tmp_path))


def test_other_files_of_a_folder_are_no_series(tmp_path):
    for i in range(2):
        (tmp_path / f"{i}.csv").write_text("x\n" + "\n".join(map(str, range(9))) + "\n")
    (tmp_path / "readme.txt").write_text("Nine steps each.\n")
    assert is_series(str(tmp_path), ())
    assert len(load_series(series_data(tmp_path))) == 2
    (tmp_path / "images-0.tar").write_bytes(b"")
    assert not is_series(str(tmp_path), ())


def test_a_single_series_is_refused(tmp_path):
    np.savez(tmp_path / "one.npz", series=np.arange(10.0)[None])
    with raises(DataError, "too_few_samples", field="data.path"):
        load_splits(series_data(tmp_path / "one.npz"))


def test_tables_of_people_are_no_series(tmp_path):
    lines = [f"{i},{20 + i % 50},2001-0{1 + i % 9}-11,{'north' if i % 3 else 'south'}" for i in range(60)]
    (tmp_path / "people.csv").write_text("\n".join(["id,age,since,region", *lines]) + "\n")
    assert not is_series(str(tmp_path / "people.csv"), ())
    assert is_series(str(tmp_path / "people.csv"), ("data.source=series",))


def test_missing_values_are_named_and_resolved_by_choice(tmp_path):
    lines = list(long_lines(known_series()))
    lines[4][2] = lines[13][3] = "NA"
    path = write_long(tmp_path / "m.csv", lines)
    with raises(DataError, "missing_value", field="data.missing"):
        load_series(series_data(path))
    found = find_missing(read_series(series_data(path)))
    assert [(each.name, each.count) for each in found] == [("temp", 1), ("load", 1)]
    assert ["row 5 " in found[0].first, "row 14 " in found[1].first] == [True, True]
    interpolated = load_series(series_data(path, missing="interpolate"))
    known = known_series()
    assert interpolated.samples[0, 4, 0] == np.float32((known[0][3, 0] + known[0][5, 0]) / 2)
    masked = load_series(series_data(path, missing="mask"))
    assert np.isnan(masked.samples[0, 4, 0])
    assert np.isnan(masked.samples[1, 4]).tolist() == [False, True]
    encoded = masked.encoding.standardize(masked.samples)
    assert encoded.shape == (4, 12, 4)
    assert encoded[0, 4].tolist()[0] == 0.0
    assert encoded[0, 4, 2:].tolist() == [0.0, 1.0]
    assert SeriesEncoding.of_document(masked.encoding.document()) == masked.encoding


def test_times_without_a_row_are_missing_values(tmp_path):
    lines = list(long_lines([np.arange(40.0).reshape(20, 2) for _ in range(20)]))
    del lines[7]
    report = inspect_series_path(str(write_long(tmp_path / "gap.csv", lines)), ())
    assert (report.missing[0].count, report.data.missing) == (1, "interpolate")
    np.testing.assert_array_equal(report.dataset.samples[0], report.dataset.samples[1])


@pytest.mark.parametrize(
    ("change", "fields", "reason"),
    [
        ({(3, 2): "inf"}, {}, "not_finite"),
        ({(3, 2): "warm"}, {}, "not_numeric"),
        ({(3, 1): ""}, {"time": "time"}, "missing_value"),
        ({(3, 0): ""}, {"id": "sensor", "time": "time"}, "missing_value"),
        ({}, {"time": "time"}, "duplicate_time"),
        ({}, {"id": "nothing"}, "no_such_column"),
        ({}, {"time": "sensor"}, "not_times"),
        ({}, {"units": {"none": "m"}}, "no_such_column"),
        ({}, {"window": 13}, "too_long"),
        ({}, {"id": "sensor", "time": "time", "label": "load"}, "wrong_labels"),
        ({}, {"layout": "wide", "columns": ["temp", "nothing"]}, "no_such_column"),
        ({}, {"layout": "wide", "columns": ["temp", "temp"]}, "duplicate_column"),
    ],
)
def test_wrong_files_are_refused(tmp_path, change, fields, reason):
    lines = list(long_lines(known_series()))
    for (row, column), text in change.items():
        lines[row][column] = text
    with raises(DataError, reason):
        load_series(series_data(write_long(tmp_path / "x.csv", lines), **fields))


def test_wrong_lists_and_tables_without_rows_are_refused(tmp_path):
    table = pa.table({"a": [[1.0, 2.0], [3.0]], "k": [1, 2]})
    parquet.write_table(table, tmp_path / "lists.parquet")
    for columns, reason in ((["a", "k"], "not_numeric"), (["a", "z"], "no_such_column")):
        with raises(DataError, reason, field="data.columns"):
            load_series(series_data(tmp_path / "lists.parquet", columns=columns))
    with raises(DataError, "empty_table", field="data.path"):
        load_series(series_data(write_long(tmp_path / "x.csv", []), columns=["temp"]))
    (tmp_path / "twice.csv").write_text("t,x,x\n" + "\n".join(f"{i},{i},{-i}" for i in range(20)) + "\n")
    for fields, field in (({}, "data.path"), ({"time": "t"}, "data.columns")):
        with raises(DataError, field=field):
            load_series(series_data(tmp_path / "twice.csv", **fields))
    assert not is_series(str(tmp_path / "twice.csv"), ())
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04" + bytes(9))
    assert not is_series(str(tmp_path / "damaged.npz"), ())


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (pa.array(np.arange(40) * 3_600_000_000_000 + 1_700_000_000_123_456_789, pa.timestamp("ns")), "1 hour"),
        (pa.array(np.arange(40) * 86_400 + 12_000_000_000, pa.timestamp("s")), "1 day"),  # after the year 2255
        (np.arange(40) * 60_000_000_000 + 1_700_000_000_123_456_789, "6e+10"),
    ],
)
def test_times_that_float64_does_not_represent(tmp_path, times, step):
    columns = {"time": times, "x": np.arange(40.0), "id": pa.array(["a"] * 40, pa.large_string())}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert is_series(str(tmp_path / "t.parquet"), ())
    found = load_series(series_data(tmp_path / "t.parquet", time="time", id="id"))
    assert (found.series.step, found.samples.ravel().tolist()) == (step, list(range(40)))


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "not_finite"), (np.inf, "not_finite")])
def test_times_without_a_number_are_refused(tmp_path, value, reason):
    parquet.write_table(pa.table({"t": [0.0, 1.0, value], "x": [1.0, 2.0, 4.0]}), tmp_path / "t.parquet")
    with raises(DataError, reason, field="data.time"):
        load_series(series_data(tmp_path / "t.parquet", time="t"))


def test_small_deviations_of_the_times_add_up_to_no_step(tmp_path):
    times = np.cumsum(np.where(np.arange(30_000) % 3, 0.9999, 1.0))
    parquet.write_table(pa.table({"t": times, "x": np.arange(30_000.0)}), tmp_path / "t.parquet")
    (one,) = read_series(series_data(tmp_path / "t.parquet", time="t")).series
    np.testing.assert_array_equal(one.values[:, 0], np.arange(30_000.0))


@pytest.mark.parametrize(("count", "holdout"), [(1, None), (3, None), (12, None), (12, "time")])
def test_windows_of_both_parts_share_no_step(tmp_path, count, holdout):
    series = np.arange(count * 200, dtype=np.float64).reshape(count, 200)  # each value occurs once
    np.savez(tmp_path / "s.npz", series=series)
    data = series_data(tmp_path / "s.npz", window=16, stride=3, holdout=holdout)
    train, held_out = load_splits(data)
    assert not set(train.samples.ravel().tolist()) & set(held_out.samples.ravel().tolist())
    assert 0.1 < len(held_out) / (len(train) + len(held_out)) < 0.35
    windows, _ = plan_windows(read_series(data), 16, 3, holdout)
    assert windows.holdout == ("series" if count == 12 and holdout is None else "time")
    assert len(cut_windows(windows)[0]) == len(train) + len(held_out) == sum(windows.counts)
    for part in (train, held_out):
        assert (np.diff(part.samples[:, :, 0], axis=1) == 1).all()


def test_one_long_series_gets_windows(tmp_path):
    lines = [f"{hour(k)},{np.sin(k / 5):.4f}" for k in range(400)]
    (tmp_path / "one.csv").write_text("\n".join(["time,height", *lines]) + "\n")
    report = inspect_series_path(str(tmp_path / "one.csv"), ())
    assert (report.data.window, report.data.time, report.data.id) == (32, "time", None)
    assert len(report.dataset) == report.document()["series"] > 100
    recipe = derive(str(tmp_path / "one.csv"), ("data.window=16",), has_gpu=False).recipe
    assert (recipe.data.source, recipe.data.window, recipe.data.layout, recipe.data.time) == ("series", 16, "long", "time")
    assert (recipe.generator.kind, recipe.conditional) == ("sequence", False)


def test_series_that_need_too_much_memory_are_refused_before_they_are_copied(tmp_path):
    np.savez(tmp_path / "s.npz", series=np.zeros((1, 70_000)))
    with raises(DataError, "too_long", field="data.window"):
        load_series(series_data(tmp_path / "s.npz"))
