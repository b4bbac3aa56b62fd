"""Metrics of tables beside SDMetrics, an independent implementation from the makers of SDV."""

import importlib
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from seedmint.models.columns import NULL, Column
from seedmint.training.evaluation.metrics.table_columns import column_distance
from seedmint.training.evaluation.metrics.table_pairs import contingency_difference, correlation_difference
from seedmint.training.evaluation.metrics.table_privacy import closest_records, is_copied
from tests.support.separate_packages import separate_packages

# SDMetrics excludes the present pandas, so that it cannot be a dependency of the tests.
PACKAGES = ("sdmetrics==0.32.0", "copulas==0.14.1", "plotly==7.1.0")

AGE = Column(name="age", type="integer", first=0, count=100)
INCOME = Column(name="income", type="number", first=0, count=100_000, decimals=2, nullable=True)
REGION = Column(name="region", type="text", categories=("north", "south", "east"), count=3)
MEMBER = Column(name="member", type="boolean", count=2, nullable=True)
COLUMNS = (AGE, INCOME, REGION, MEMBER)
METADATA = {
    "columns": {
        "age": {"sdtype": "numerical"},
        "income": {"sdtype": "numerical"},
        "region": {"sdtype": "categorical"},
        "member": {"sdtype": "categorical"},
    }
}

pytestmark = pytest.mark.slow


def rows(n: int, seed: int, shift: int = 0) -> np.ndarray:
    """Return codes. The first two rows have the limits of all numbers, so that all tables have the same ranges."""
    random = np.random.default_rng(seed)
    age = random.integers(0, 80, n) + shift
    income = 500 * age + random.integers(0, 50_000, n)
    income[random.random(n) < 0.1] = NULL
    region = random.choice(3, n, p=np.array([5, 3 + shift / 10, 2]) / (10 + shift / 10))
    member = np.where(random.random(n) < 0.1, NULL, random.random(n) < age / 120)
    age[:2], income[:2] = (0, 99), (0, 99_999)
    return np.column_stack([age, income, region, member]).astype(np.float32)


REAL, GENERATED = rows(600, 0), rows(500, 1, shift=10)


def frame(codes: np.ndarray) -> pd.DataFrame:
    """Return the values with NaN for missing numbers, and texts with a category for missing texts."""
    return pd.DataFrame(
        {
            "age": codes[:, 0].astype(float),
            "income": np.where(codes[:, 1] == NULL, np.nan, codes[:, 1]),
            "region": codes[:, 2].astype(int).astype(str),
            "member": codes[:, 3].astype(int).astype(str),
        }
    )


@pytest.fixture
def sdmetrics(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    folder = str(separate_packages("sdmetrics", PACKAGES))
    monkeypatch.syspath_prepend(folder)
    for name in ("column_pairs", "single_column", "single_table.privacy.dcr_utils"):
        importlib.import_module(f"sdmetrics.{name}")
    return importlib.import_module("sdmetrics")


def test_distances_of_columns(sdmetrics: ModuleType):
    real, generated = frame(REAL), frame(GENERATED)
    for i in (0, 1):
        name = COLUMNS[i].name
        expected = 1 - sdmetrics.single_column.KSComplement.compute(real[name], generated[name])
        assert column_distance(COLUMNS[i], GENERATED[:, i], REAL[:, i]) == pytest.approx(expected)
        assert expected > 0.05
    for i in (2, 3):
        name = COLUMNS[i].name
        expected = 1 - sdmetrics.single_column.TVComplement.compute(real[name], generated[name])
        assert column_distance(COLUMNS[i], GENERATED[:, i], REAL[:, i]) == pytest.approx(expected)
        assert expected > 0.02


def test_differences_of_pairs(sdmetrics: ModuleType):
    real, generated = frame(REAL), frame(GENERATED)
    numbers, texts = ["age", "income"], ["region", "member"]
    similarity = sdmetrics.column_pairs.CorrelationSimilarity.compute(real[numbers], generated[numbers])
    assert correlation_difference(GENERATED[:, :2], REAL[:, :2]) == pytest.approx(2 * (1 - similarity), abs=1e-6)
    similarity = sdmetrics.column_pairs.ContingencySimilarity.compute(real[texts], generated[texts])
    assert contingency_difference(COLUMNS[2:], GENERATED[:, 2:], REAL[:, 2:]) == pytest.approx(1 - similarity)


def test_distances_to_the_closest_records(sdmetrics: ModuleType):
    held_out = rows(400, 2)
    distances = []
    for table in (REAL, held_out):
        expected = sdmetrics.single_table.privacy.dcr_utils.calculate_dcr(frame(GENERATED), frame(table), METADATA)
        found = closest_records(COLUMNS, GENERATED, table)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        distances.append((found, expected.to_numpy()))
    (near, expected_near), (far, expected_far) = distances
    assert abs((near < far).mean() - (expected_near < expected_far).mean()) < 0.005  # a tie can be a rounding apart


def test_exact_copies(sdmetrics: ModuleType):
    chosen = [0, 2, 3]  # SDMetrics takes incomes within 1% for equal, and ages below 100 only if they are
    made, train = np.concatenate([GENERATED[:100], REAL[100:150]]), REAL[:200]
    real, generated = (frame(part).drop(columns="income") for part in (train, made))
    objects = {"region": object, "member": object}  # the default type of pandas 2, for which SDMetrics is written
    metadata = {"columns": {name: METADATA["columns"][name] for name in real}}
    expected = sdmetrics.single_table.NewRowSynthesis.compute(real.astype(objects), generated.astype(objects), metadata)
    assert is_copied(made[:, chosen], train[:, chosen]).mean() == pytest.approx(1 - expected)
    assert 0.3 < expected < 0.9
