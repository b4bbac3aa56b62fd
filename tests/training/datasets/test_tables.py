"""Tables as customers write them: encodings, delimiters, marks of numbers, headers, and types of columns."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from seedmint.service.batch.formats.typed_columns import codes_of
from seedmint.training.datasets import DataError, load_splits
from seedmint.training.datasets.load import load_rows
from seedmint.training.datasets.read_once import read_once
from seedmint.training.datasets.table import load_table
from seedmint.training.datasets.table_encoding import TableEncoding
from seedmint.training.recipes.data import Data
from tests.support.errors import raises

D = datetime.date


def load(path, **fields):
    return load_table(Data(source="table", path=str(path), **fields))


def values(dataset):
    """Return the values of each column by its name."""
    return {column.name: column.values(dataset.samples[:, i]) for i, column in enumerate(dataset.table.columns)}


def types(dataset):
    return [column.type for column in dataset.table.columns]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "windows-1252"])
def test_encodings_are_found(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes("größe,ort\n1,Zürich\n2,Genève\n1,Zürich\n".encode(encoding))
    assert values(load(path)) == {"größe": [1, 2, 1], "ort": ["Zürich", "Genève", "Zürich"]}


def test_a_path_that_is_no_utf_8_is_read(tmp_path):
    path = tmp_path / "t\udcff.csv"
    path.write_text("x\n1\n2\n")
    assert values(load(path)) == {"x": [1, 2]}
    with read_once():
        assert load_rows(Data(source="table", path=str(path))) is load_rows(Data(source="table", path=str(path)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path, delimiter):
    path = tmp_path / "t.csv"
    lines = [("x", "note"), ("1", '"a, b; c | d"'), ("2", '"e, f"')]
    path.write_text("".join(delimiter.join(line) + "\n" for line in lines))
    assert values(load(path)) == {"x": [1, 2], "note": ["a, b; c | d", "e, f"]}


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("x;y\n1,5;2\n3,25;4\n", {}, [1.5, 3.25]),
        ("x;y\n1.234,5;2\n3,25;4\n", {}, [1234.5, 3.25]),
        ('x,y\n"1,234.5",2\n3.25,4\n', {}, [1234.5, 3.25]),
        ("x;y\n1 234,5;2\n3,25;4\n", {}, [1234.5, 3.25]),
        ("x;y\n1'234.5;2\n3.25;4\n", {}, [1234.5, 3.25]),
        ("x;y\n1.234;2\n5.678;4\n", {}, [1.234, 5.678]),
        ("x;y\n1.234;2\n5.678;4\n", {"thousands": "."}, [1234, 5678]),
        ("x;y\n1,234;2\n5,678;4\n", {"decimal": "."}, [1234, 5678]),
        ("x;y\n+1;2\n-3e2;4\n", {}, [1, -300]),
    ],
)
def test_marks_of_numbers_are_found_or_set(tmp_path, text, fields, expected):
    (tmp_path / "t.csv").write_text(text)
    assert values(load(tmp_path / "t.csv", **fields))["x"] == expected


def test_headers_are_found_or_set(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("1,a\n2,b\n")
    assert values(load(path)) == {"column_1": [1, 2], "column_2": ["a", "b"]}
    path.write_text("2019,2020\n1,2\n3,4\n")
    assert load(path).names == ("column_1", "column_2")
    assert values(load(path, header=True)) == {"2019": [1, 3], "2020": [2, 4]}
    path.write_text("a,b\nc,d\n")
    assert values(load(path, header=False)) == {"column_1": ["a", "c"], "column_2": ["b", "d"]}


def test_index_columns_are_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",x\n0,5\n1,7\n2,5\n")
    found = load(path)
    assert found.names == ("x",)
    assert len(found.table.notes) == 1
    path.write_text("id,x\n4,5\n5,7\n7,5\n")
    assert load(path).names == ("id", "x")  # not the numbers of the rows
    path.write_text("id,x\n0,5\n1,7\n2,5\n")
    assert load(path, columns=["id", "x"]).names == ("id", "x")


def test_types_of_csv_columns(tmp_path):
    path = tmp_path / "t.csv"
    rows = [
        "i,n,b,t,d,german,m,c",
        "1,0.5,true,north,2024-02-29,3.4.2024,2024-01-02 03:04,09:30",
        ",NaN,FALSE,,2024-03-01,13.11.2024,2024-01-02T03:05:00.5,10:00:00",
        "3,1.25,NA,south,null,1.1.2025,,",
    ]
    path.write_text("\n".join(rows) + "\n")
    found = load(path)
    assert types(found) == ["integer", "number", "boolean", "text", "date", "date", "datetime", "time"]
    assert values(found) == {
        "i": [1, None, 3],
        "n": [0.5, None, 1.25],
        "b": [True, False, None],
        "t": ["north", None, "south"],
        "d": [D(2024, 2, 29), D(2024, 3, 1), None],
        "german": [D(2024, 4, 3), D(2024, 11, 13), D(2025, 1, 1)],
        "m": [datetime.datetime(2024, 1, 2, 3, 4), datetime.datetime(2024, 1, 2, 3, 5, 0, 500_000), None],
        "c": [datetime.time(9, 30), datetime.time(10), None],
    }
    assert [column.nullable for column in found.table.columns] == [True, True, True, True, True, False, True, True]


def test_dates_with_slashes_need_one_order(tmp_path):
    (tmp_path / "t.csv").write_text("us,eu,any\n12/31/2024,31/12/2024,1/2/2024\n1/2/2024,1/2/2024,3/4/2024\n")
    found = load(tmp_path / "t.csv")
    assert types(found) == ["date", "date", "text"]
    assert values(found)["us"] == [D(2024, 12, 31), D(2024, 1, 2)]
    assert values(found)["eu"] == [D(2024, 12, 31), D(2024, 2, 1)]


def test_types_of_parquet_columns(tmp_path):
    moment = datetime.datetime(2024, 1, 2, 3, 4, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "dictionary": pa.array(["a", "b", None]).dictionary_encode(),
            "flag": [True, None, False],
            "cents": pa.array(["1.10", "2.20", "3.35"]).cast(pa.decimal128(8, 2)),
            "moment": pa.array([moment, None, moment], pa.timestamp("ms", "Europe/Berlin")),
            "single": pa.array([0.5, float("nan"), 2.0], pa.float32()),
            "level": [1.5, 2.5, 1.5],
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    found = load(tmp_path / "t.parquet", label="level", units={"cents": "EUR"})
    assert values(found) == {
        "dictionary": ["a", "b", None],
        "flag": [True, None, False],
        "cents": [1.1, 2.2, 3.35],
        "moment": [moment, None, moment],
        "single": [0.5, None, 2.0],
    }
    assert found.table.columns[2].unit == "EUR"
    assert (found.classes, found.labels.tolist()) == (("1.5", "2.5"), [0, 1, 0])
    assert (found.table.labels[0].type, found.table.labels[0].position) == ("number", 5)


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.map_(pa.string(), pa.int64())])
def test_nested_parquet_columns_are_refused(tmp_path, kind):
    parquet.write_table(pa.table({"x": [1], "nested": pa.array([None], kind)}), tmp_path / "t.parquet")
    with raises(DataError, "nested_type", "data.columns"):
        load(tmp_path / "t.parquet")
    assert load(tmp_path / "t.parquet", columns=["x"]).names == ("x",)


def test_wide_columns_are_rounded_and_say_so(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n0,1\n1000000000,2\n3,1\n")
    found = load(tmp_path / "t.csv")
    column = found.table.columns[0]
    assert (column.step, column.count <= 2**24) == (100, True)
    assert values(found)["x"] == [0, 1_000_000_000, 0]
    assert len(found.table.notes) == 1


def test_encoding_is_normal_and_decodes_to_the_same_rows(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        f"{random.integers(18, 91)},{random.choice([0, random.integers(1, 400)], p=[0.9, 0.1])},{random.normal():.4f}"
        for _ in range(4000)
    ]
    (tmp_path / "t.csv").write_text("age,claims,x\n" + "\n".join(rows) + "\n")
    train, held_out = load_splits(Data(source="table", path=str(tmp_path / "t.csv")))
    encoding = train.encoding
    assert TableEncoding.of_document(encoding.document()) == encoding
    encoded = encoding.standardize(train.samples)
    assert encoded.shape == (len(train), 5)  # three numbers, and whether claims is 0
    for column in (0, 2):
        assert abs(encoded[:, column].mean()) < 0.02
        assert abs(encoded[:, column].std() - 1) < 0.05
    assert set(encoded[:, 1][encoded[:, 3] == 1]) == {0.0}
    assert encoding.standardize(held_out.samples).shape == (len(held_out), 5)


@pytest.mark.parametrize(
    ("content", "fields", "field", "reason"),
    [
        (b"", {}, "data.path", "unreadable"),
        (b"a,b\n1,2\n3\n", {}, "data.path", "unreadable"),
        (b"made by x\na,b\n1,2\n", {}, "data.path", "unreadable"),
        (b"\x1f\x8b\x08 compressed", {}, "data.path", "not_text"),
        (b"a,b\n1,2\n", {"delimiter": "\u00a7"}, "data.delimiter", "wrong_delimiter"),
        (b"a,b\n1,2\n", {"delimiter": '"'}, "data.delimiter", "wrong_delimiter"),
        (b"a,b\n1,2\n", {"encoding": "klingon"}, "data.encoding", "unknown_encoding"),
        (b"a,a\n1,2\n", {}, "data.columns", "no_such_column"),
        (b"a,b\n1,2\n", {"columns": ["a", "a"]}, "data.columns", "duplicate_column"),
        (b"a,b\n1,2\n", {"columns": ["a", "b"], "label": "b"}, "data.columns", "duplicate_column"),
        (b"a,b\n1,2\n", {"units": {"c": "m"}}, "data.units", "no_such_column"),
        (b"a,b\n1,2\ninf,3\n", {}, "data.columns", "not_finite"),
        (b"a,b\n1,2\ninf,3\n", {"label": "a"}, "data.label", "not_finite"),
        (b"a,b\n1e308,2\n-1e308,3\n", {}, "data.columns", "out_of_range"),
        (b"a,b\n9007199254740993,2\n1,3\n", {}, "data.columns", "out_of_range"),
        (b"a,b\n" + b"x" * 201 + b",2\n", {}, "data.columns", "invalid_column"),
        (b"a,b\n" + b"x" * 201 + b",2\n", {"label": "a"}, "data.label", "invalid_column"),
        (b'a,b\n"x\ny",2\n', {"label": "a"}, "data.label", "invalid_column"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, fields, field, reason):
    (tmp_path / "t.csv").write_bytes(content)
    with raises(DataError, reason, field):
        load(tmp_path / "t.csv", **fields)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("sep=;\na;b\n1;2\n3;4\n", {"a": [1, 3], "b": [2, 4]}),
        ("a,,c\n1,2,3\n3,4,5\n", {"a": [1, 3], "column_2": [2, 4], "c": [3, 5]}),
        ("a;b\n1\u202f234,5;x\n\u22122\u00a0000;y\n", {"a": [1234.5, -2000.0], "b": ["x", "y"]}),
        ("a;b\n1\u2019234.5;x\n2;y\n", {"a": [1234.5, 2.0], "b": ["x", "y"]}),
        ("a;b\n1\u00a0234;x\none\u00a0more;y\n", {"a": ["1\u00a0234", "one\u00a0more"], "b": ["x", "y"]}),
        ("zip,n\n00501,1\n10001,2\n", {"zip": ["00501", "10001"], "n": [1, 2]}),
        ("t,n\n9:30,1\n10:45,2\n", {"t": [datetime.time(9, 30), datetime.time(10, 45)], "n": [1, 2]}),
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path, content, expected):
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    assert values(load(tmp_path / "t.csv")) == expected


def test_text_in_utf_32_is_read(tmp_path):
    (tmp_path / "t.csv").write_bytes("a,b\n1,x\n2,y\n".encode("utf-32"))
    assert values(load(tmp_path / "t.csv")) == {"a": [1, 2], "b": ["x", "y"]}


def test_datetimes_beyond_2_to_the_53_microseconds_are_exact(tmp_path):
    far = datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999)
    near = [far - datetime.timedelta(microseconds=n) for n in (0, 1, 3)]
    parquet.write_table(pa.table({"far": near, "both": [far, datetime.datetime(1, 1, 1), far]}), tmp_path / "t.parquet")
    found = load(tmp_path / "t.parquet")
    assert values(found) == {"far": near, "both": [far, datetime.datetime(1, 1, 1), far]}
    column = found.table.columns[0]
    units = pa.chunked_array([pa.array(near, pa.timestamp("us"))])
    np.testing.assert_array_equal(codes_of(units, column), found.samples[:, 0])


def test_other_parquet_types_are_read_or_named(tmp_path):
    table = pa.table(
        {
            "nanoseconds": pa.array([1, 1_700_000_000_123_456_789], pa.timestamp("ns")),
            "large": pa.array(["x", "y"], pa.large_string()),
            "fixed": pa.array([b"xx", b"yy"], pa.binary(2)),
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    with raises(DataError, "nested_type", "data.columns"):
        load(tmp_path / "t.parquet")
    found = values(load(tmp_path / "t.parquet", columns=["nanoseconds", "large"]))
    assert found["large"] == ["x", "y"]
    assert found["nanoseconds"][1] == datetime.datetime(2023, 11, 14, 22, 13, 20, 123456)
    twice = pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["a", "a"])
    parquet.write_table(twice, tmp_path / "twice.parquet")
    with raises(DataError, "duplicate_column", "data.path"):
        load(tmp_path / "twice.parquet")
