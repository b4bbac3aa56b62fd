"""A table that is hard to learn, trained with the default settings: the distribution of every column is that of the table."""

import csv
import datetime

import numpy as np
import pytest
from scipy.stats import ks_2samp

import seedmint as package
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


def read(path):
    """Return the columns of the CSV file, by the types that the file was made with."""
    with path.open(newline="") as file:
        names, *rows = csv.reader(file)
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
