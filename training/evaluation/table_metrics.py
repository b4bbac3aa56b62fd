"""Measures a generator of a table as the field does: columns, pairs of columns, detection, and usefulness."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.models.columns import Column, LabelColumn
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.dataset import TableColumns
from seedmint.training.evaluation.metrics.table_columns import column_distance, is_discrete
from seedmint.training.evaluation.metrics.table_pairs import contingency_difference, correlation_difference
from seedmint.training.evaluation.metrics.table_usefulness import detection_auc, prediction_score

MAX_ROWS = 5000
"""Most rows of each kind for detection, usefulness and privacy."""

Values = list[tuple[str, str, float]]  # name, protocol, value


@dataclass(frozen=True)
class Rows:
    """Rows of one table with the labels as the last columns.

    Attributes:
        columns: Types of the columns, with the labels.
        generated: Codes, float32[n, columns].
        held_out: Codes of real rows that training did not use.
        train: Codes of the training data.
    """

    columns: tuple[Column, ...]
    generated: NDArray[np.float32]
    held_out: NDArray[np.float32]
    train: NDArray[np.float32]


def table_rows_of(
    table: TableColumns,
    generated: NDArray[np.float32],
    labels: NDArray[np.int64] | None,
    held_out: Dataset,
    train: Dataset,
) -> Rows:
    """Return the rows to compare.

    Args:
        table: Types of the columns.
        generated: float32[n, columns], codes.
        labels: int64[n], labels of the generated rows; None for an unconditional generator.
        held_out: Real rows that training did not use.
        train: The training data.
    """
    orders = held_out.draw_order, train.draw_order
    columns, parts = table.columns, [generated, held_out.samples[orders[0]], train.samples[orders[1]]]
    if labels is not None and held_out.labels is not None and train.labels is not None:
        known = labels, held_out.labels[orders[0]], train.labels[orders[1]]
        for label in table.labels:
            column, codes = _label_codes(label, held_out.classes or ())
            columns = (*columns, column)
            parts = [np.column_stack([part, codes[each]]).astype(np.float32) for part, each in zip(parts, known, strict=True)]
    return Rows(columns, *parts)


def _label_codes(label: LabelColumn, classes: tuple[str, ...]) -> tuple[Column, NDArray[np.int64]]:
    """Return a column of labels as a column of texts, and its code in each class, int64[classes]."""
    texts = label.texts(classes)
    categories = tuple(dict.fromkeys(texts))
    column = Column(name=label.name, type="text", categories=categories, count=len(categories))
    return column, np.array([categories.index(text) for text in texts], np.int64)


def measure_columns(rows: Rows, protocol: str) -> Values:
    """Return the distance of each column.

    Args:
        rows: The rows.
        protocol: The compared seeds and data.
    """
    found = []
    for i, column in enumerate(rows.columns):
        name = "total-variation" if is_discrete(column) else "kolmogorov-smirnov"
        found.append((f"{name} of {column.name}", protocol, column_distance(column, rows.generated[:, i], rows.held_out[:, i])))
    return found


def measure_pairs(rows: Rows, protocol: str) -> Values:
    """Return the differences of the pairs of columns.

    Args:
        rows: The rows.
        protocol: The compared seeds and data.
    """
    if len(rows.columns) < 2:
        return []
    return [
        (
            "correlation-difference",
            f"{protocol}; mean over all pairs of columns, of Pearson's r of the codes, rows without missing values",
            correlation_difference(rows.generated, rows.held_out),
        ),
        (
            "contingency-difference",
            f"{protocol}; mean total variation of all pairs of columns, numbers in ten bins of equal shares of the data",
            contingency_difference(rows.columns, rows.generated, rows.held_out),
        ),
    ]


def measure_trees(rows: Rows, protocol: str) -> Values:
    """Return detection and usefulness.

    Args:
        rows: The rows.
        protocol: The compared seeds and data.
    """
    generated, held_out = rows.generated[:MAX_ROWS], rows.held_out[:MAX_ROWS]
    text, trees = f"{protocol}; at most the first {MAX_ROWS:,} of each", "gradient-boosted trees of scikit-learn"
    found = [
        (
            "detection-auc",
            f"{text}; area under the ROC curve of {trees} that tell generated from held-out rows, 3-fold: 0.5 is best",
            detection_auc(rows.columns, generated, held_out),
        )
    ]
    target = _target(rows.columns)
    value = None if target is None else prediction_score(rows.columns, target, generated, held_out)
    if target is not None and value is not None:
        column = rows.columns[target]
        score = "macro F1" if is_discrete(column) else "R²"
        description = f"{text}; {score} of {trees} that predict {column.name} of the held-out rows"
        found.append((f"train-on-generated score of {column.name}", description, value))
    return found


def _target(columns: tuple[Column, ...]) -> int | None:
    """Return the column to predict: the last column of text or booleans, or else the last column; None for a single column."""
    if len(columns) < 2:
        return None
    discrete = [i for i, column in enumerate(columns) if is_discrete(column) and column.count > 1]
    return discrete[-1] if discrete else len(columns) - 1
