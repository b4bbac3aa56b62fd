"""A table that is hard to learn, trained with the default settings: the distribution of every column is that of the table."""

import csv
import datetime
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import ks_2samp

import seedmint as package
from seedmint.models.table import table_columns
from tests.support.commandline import run
from tests.support.faulty_table import NAMES, write_faulty_table

LIMIT = 0.05


def shares(values):
    found, counts = np.unique(np.array([str(value) for value in values]), return_counts=True)
    return dict(zip(found.tolist(), (counts / counts.sum()).tolist(), strict=True))


def total_variation(a, b):
    p, q = shares(a), shares(b)
    return sum(abs(p.get(value, 0) - q.get(value, 0)) for value in {*p, *q}) / 2


def distance(real, generated):
    """Return the distance of a column: total variation of texts and booleans, otherwise Kolmogorov-Smirnov."""
    if isinstance(real[0], bool | str):
        return total_variation(real, generated)
    missing = [value is None for value in real], [value is None for value in generated]
    known = [[value for value in values if value is not None] for values in (real, generated)]
    if isinstance(known[0][0], datetime.date):
        known = [[day.toordinal() for day in values] for values in known]
    return max(total_variation(*missing), ks_2samp(*known).statistic)


def read(path, key=None):
    """Return the columns of a CSV file, by the types that the table was made with, without the first column `key`."""
    with path.open(newline="") as file:
        names, *rows = csv.reader(file)
    if key is not None:
        assert names[0] == key
        names, *rows = (line[1:] for line in (names, *rows))
    kinds = (
        int,
        str,
        "true".__eq__,
        int,
        float,
        datetime.date.fromisoformat,
        float,
        lambda cell: float(cell) if cell else None,
        int,
    )
    columns = zip(*rows, strict=True)
    return {name: [kind(cell) for cell in cells] for name, kind, cells in zip(names, kinds, columns, strict=True)}


@pytest.mark.slow
@pytest.mark.timeout(3000)  # half a minute of CPU time
@pytest.mark.parametrize("overrides", [(), ("data.label=region",)], ids=["rows", "labels"])
def test_default_settings_learn_the_marginals_of_every_column(tmp_path, monkeypatch, overrides):
    monkeypatch.chdir(tmp_path)
    write_faulty_table(tmp_path / "people.csv", 5000)
    run("train", "people.csv", "--out", "run", *(text for override in overrides for text in ("--set", override)))
    run("export", "run", "--name", "people", "--models", "models")
    real, generated = read(tmp_path / "people.csv"), package.load("models/people.onnx").table(range(10_000))
    assert tuple(generated) == NAMES
    distances = {name: distance(real[name], generated[name]) for name in NAMES}
    assert max(distances.values()) <= LIMIT, distances
    rare = shares(generated["region"])["rare"]
    assert 0.005 < rare < 0.02
    assert (min(generated["age"]), max(generated["age"])) == (18, 90)
    assert min(generated["income"]) >= min(real["income"])
    assert all(round(value * 100) / 100 == value for value in generated["income"])
    check_formats(tmp_path, monkeypatch, generated)


def check_formats(tmp_path, monkeypatch, generated):
    """Check that all formats have the names, the types and the values of the Python API."""
    monkeypatch.setenv("SEEDMINT_MODELS", str(tmp_path / "models"))
    for suffix in ("csv", "jsonl", "npy"):
        run("sample", "people", "--seeds", "0-9999", "--out", f"rows.{suffix}")
    run("batch", "run", "people", "--seeds", "0-9999", "--out", "job", "--workers", "1")
    assert read(tmp_path / "rows.csv", "seed") == generated
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").open()]
    columns = {name: [row[name] for row in rows] for name in NAMES}
    assert columns == generated | {"since": [day.isoformat() for day in generated["since"]]}
    assert {name: {type(value) for value in columns[name]} for name in ("age", "flag", "member", "income")} == {
        **{"age": {int}, "flag": {int}},
        **{"member": {bool}, "income": {float}},
    }
    table = pq.ParquetDataset("job/data").read().drop_columns("seed")
    assert table.to_pydict() == generated
    assert table.schema.types == [
        *(pa.int64(), pa.string(), pa.bool_(), pa.int64(), pa.float64(), pa.date32(), pa.float64(), pa.float64(), pa.int64())
    ]
    generator = package.load("models/people.onnx")
    codes, seeds = np.load("rows.npy"), range(10_000)
    labels = generator.labels(seeds)
    assert table_columns(generator.card, codes, labels) == generated
