"""Metrics of tables, each beside an independent computation."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score

from seedmint.models.columns import Column
from seedmint.training.evaluation import table_copies
from seedmint.training.evaluation.metrics.table_columns import absent_share, column_distance, total_variation
from seedmint.training.evaluation.metrics.table_pairs import contingency_difference, correlation_difference
from seedmint.training.evaluation.metrics.table_privacy import closest_records, is_copied
from seedmint.training.evaluation.metrics.table_usefulness import detection_auc, prediction_score
from seedmint.training.evaluation.table_copies import measure_copies
from seedmint.training.evaluation.table_metrics import Rows

NUMBER = Column(name="n", type="integer", first=0, count=1000, nullable=True)
TEXT = Column(name="t", type="text", categories=("a", "b", "c"), count=3, nullable=True)
COLUMNS = (NUMBER, TEXT)


def rows(n, seed, shift=0, p=(0.1, 0.5, 0.3, 0.1)):
    random = np.random.default_rng(seed)
    text = random.choice([-1, 0, 1, 2], n, p=p)
    numbers = random.integers(0, 400, n) + 150 * np.maximum(text, 0) + shift
    numbers[random.random(n) < 0.05] = -1
    return np.column_stack([numbers, text]).astype(np.float32)


def values(part: Rows) -> dict[str, float]:
    """Return the values of `measure_copies` by name."""
    return {metric.metric: metric.value for metric in measure_copies(part, "")}


A, B = rows(700, 0, 40, (0.05, 0.4, 0.3, 0.25)), rows(500, 1)


def test_distances_of_columns():
    known_a, known_b = (part[:, 0][part[:, 0] >= 0] for part in (A, B))
    assert column_distance(NUMBER, A[:, 0], B[:, 0]) == pytest.approx(stats.ks_2samp(known_a, known_b).statistic)
    expected = sum(abs(np.mean(A[:, 1] == code) - np.mean(B[:, 1] == code)) for code in (-1, 0, 1, 2)) / 2
    assert column_distance(TEXT, A[:, 1], B[:, 1]) == pytest.approx(expected)
    assert total_variation(np.zeros(3), np.ones(4)) == 1
    nulls = np.full(100, -1, np.float32)
    assert column_distance(NUMBER, nulls, B[:, 0]) == 1
    assert column_distance(NUMBER, nulls, nulls) == 0


def test_absent_values():
    data = np.repeat([0, 1, 2], [890, 100, 10]).astype(np.float32)
    assert absent_share(TEXT, np.array([0, 2], np.float32), data) == pytest.approx(0.1)
    assert absent_share(TEXT, np.array([0, 1], np.float32), data) == pytest.approx(0.01)
    assert absent_share(TEXT, np.array([0, 1, 2], np.float32), data) == 0
    assert absent_share(NUMBER, np.array([5], np.float32), data) == 0
    assert absent_share(NUMBER, np.array([5], np.float32), np.array([-1, 5], np.float32)) == 0.5


def test_differences_of_pairs():
    def r(part):
        known = (part >= 0).all(axis=1)
        return stats.pearsonr(part[known, 0], part[known, 1]).statistic

    assert correlation_difference(A, B) == pytest.approx(abs(r(A) - r(B)), abs=1e-6)
    limits = np.quantile(B[B[:, 0] >= 0, 0], np.linspace(0, 1, 11)[1:-1])
    tables = []
    for part in (A, B):
        bins = np.where(part[:, 0] < 0, -1, np.digitize(part[:, 0], limits))
        tables.append(np.histogram2d(bins, part[:, 1], [np.arange(-1.5, 10), np.arange(-1.5, 3)])[0] / len(part))
    assert contingency_difference(COLUMNS, A, B) == pytest.approx(np.abs(tables[0] - tables[1]).sum() / 2)


def test_closest_records():
    span = np.ptp(B[B[:, 0] >= 0, 0])

    def gower(u, v):
        number = 0 if u[0] == v[0] else 1 if -1 in (u[0], v[0]) else abs(u[0] - v[0]) / span
        return (number + (u[1] != v[1])) / 2

    expected = cdist(A[:60], B, gower).min(axis=1)
    found = closest_records(COLUMNS, A[:60], B)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    alone = np.array([[-1, 2], [300, -1]], np.float32)
    np.testing.assert_allclose(closest_records(COLUMNS, alone, B[(B >= 0).all(axis=1)]), [0.5, 0.5], atol=0.01)
    assert closest_records(COLUMNS, B, B).max() == 0
    assert is_copied(np.concatenate([B[:30], B[:10] + 1000]), B).mean() == 0.75


def test_detection_and_usefulness():
    assert abs(detection_auc(COLUMNS, rows(1500, 2), rows(1500, 3)) - 0.5) < 0.05
    assert detection_auc(COLUMNS, rows(500, 2, shift=300), rows(500, 3)) > 0.8
    train, test = rows(800, 4), rows(400, 5)
    known, known_test = train[train[:, 1] >= 0], test[test[:, 1] >= 0]
    x, x_test = (np.where(part[:, :1] < 0, np.nan, part[:, :1]) for part in (known, known_test))
    model = HistGradientBoostingClassifier(random_state=0, early_stopping=False).fit(x, known[:, 1])
    expected = f1_score(known_test[:, 1], model.predict(x_test), average="macro")
    assert prediction_score(COLUMNS, 1, train, test) == pytest.approx(expected)
    assert prediction_score(COLUMNS, 0, train, test) > 0.1  # R²
    constant = train.copy()
    constant[:, 1] = 1
    assert prediction_score(COLUMNS, 1, constant, test) is None


def test_copies_of_all_training_rows_count(monkeypatch: pytest.MonkeyPatch):
    """Only the first generated rows are compared, but copies of every training row are found."""
    monkeypatch.setattr(table_copies, "MAX_ROWS", 60)
    train = rows(300, 2)
    found = values(Rows(COLUMNS, generated=train[200:260], held_out=rows(60, 3, 1000), train=train))
    assert found["exact-copies"] == 1
    assert found["closest-record median"] == 0


def test_nearness_to_training_and_to_held_out_rows_has_the_same_units():
    """The largest values of skewed columns differ several-fold between parts of the same data."""
    random = np.random.default_rng(0)
    columns = tuple(Column(name=name, type="integer", first=0, count=1 << 24) for name in "ab")
    draws = [
        np.rint(np.exp(random.normal(0, 2, (3, 400, 2))) * 100).astype(np.float32).clip(max=(1 << 24) - 1) for _ in range(4)
    ]
    for generated, held_out, train in draws:
        assert values(Rows(columns, generated, held_out, train))["nearer-to-training"] == pytest.approx(0.5, abs=0.12)
