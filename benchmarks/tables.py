"""Compares generators of tables with CTGAN (Xu et al., 2019): same rows, same CPU time, same figures.

    pip install --target build/ctgan --no-deps ctgan==0.12.1 rdt faker    # only for this program
    python -m benchmarks.tables [TABLE.csv ...]                           # writes benchmarks/results/tables.txt

Without arguments, the tables are the made table of the tests and the penguins. Each table is trained by the front door with its
default settings, without labels, and then by CTGAN with its default settings for as much CPU time. The columns are prepared for
CTGAN as SDV does: dates are numbers, numbers with at most ten different values are categories, missing numbers are the mean,
and generated numbers are rounded and limited to the range of the data. A category for missing values stands beside each number
with missing values, where SDV draws these at random.
"""

import importlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.training import machine
from seedmint.models.columns import NULL, Column
from seedmint.models.files import write_whole
from seedmint.training.cli.front_door import derive
from seedmint.training.datasets import Dataset, load_splits
from seedmint.training.datasets.penguins import penguins_csv
from seedmint.training.evaluation.generator_file import GeneratorFile
from seedmint.training.evaluation.metrics.table_columns import is_discrete
from seedmint.training.evaluation.metrics.table_privacy import closest_records
from seedmint.training.evaluation.metrics.table_usefulness import detection_auc, prediction_score
from seedmint.training.evaluation.table_metrics import MAX_ROWS, Rows, measure_columns, measure_pairs
from seedmint.training.runs.directory import create_run
from seedmint.training.runs.export_run import export_run
from tests.support.faulty_table import write_faulty_table

ROOT = Path(__file__).parents[1]
MADE_ROWS, MAX_GENERATED = 5000, 10_000
_FEW_VALUES = 10  # a number with at most so many different values is a category for CTGAN, as SDV decides
_TRIAL_EPOCHS = 10  # of CTGAN, to find the time of an epoch

Codes = NDArray[np.float32]


@dataclass(frozen=True)
class Trained:
    """Rows of a trained generator.

    Attributes:
        codes: float32[n, columns].
        seconds: CPU time of the training.
        note: Length of the training.
    """

    codes: Codes
    seconds: float
    note: str


def train_seedmint(path: Path, directory: Path, count: int) -> tuple[Trained, Dataset, Dataset]:
    """Train by the front door.

    Args:
        path: The table.
        directory: An empty directory for the run.
        count: Number of generated rows.

    Returns:
        The generated rows, the training rows and the held-out rows.
    """
    derived = derive(str(path), [], has_gpu=False)
    trainer = create_run(directory, derived.recipe, torch.device("cpu"), derived.comments)
    start = time.process_time()
    trainer.fit()
    seconds = time.process_time() - start
    generator = GeneratorFile(export_run(directory, "table", None, None, None))
    codes = generator.samples(np.arange(count, dtype=np.int64))
    return Trained(codes, seconds, f"{derived.recipe.steps:,} steps"), *load_splits(derived.recipe.data)


def train_ctgan(columns: tuple[Column, ...], train: Codes, seconds: float, count: int) -> Trained:
    """Train CTGAN for about as much CPU time.

    Args:
        columns: Types of the columns.
        train: Codes of the training rows.
        seconds: CPU time.
        count: Number of generated rows.
    """
    ctgan = importlib.import_module("ctgan")
    frame, discrete = _frame(columns, train)

    def fit(epochs: int) -> tuple[object, float]:
        np.random.seed(0)  # CTGAN draws from NumPy's global generator
        torch.manual_seed(0)
        model = ctgan.CTGAN(epochs=epochs, enable_gpu=False)
        start = time.process_time()
        model.fit(frame, discrete)
        return model, time.process_time() - start

    fit(1)  # the first training loads libraries
    one, several = fit(1)[1], fit(1 + _TRIAL_EPOCHS)[1]
    epochs = max(1, 1 + round((seconds - one) / ((several - one) / _TRIAL_EPOCHS)))
    model, used = fit(epochs)
    generated: pd.DataFrame = model.sample(count)  # type: ignore[attr-defined]
    return Trained(_codes(columns, train, generated), used, f"{epochs:,} epochs")


def _frame(columns: tuple[Column, ...], codes: Codes) -> tuple[pd.DataFrame, list[str]]:
    """Return the table for CTGAN, and the names of its categories."""
    values: dict[str, object] = {}
    discrete = []
    for i, column in enumerate(columns):
        part, is_null = codes[:, i], codes[:, i] == NULL
        if _is_category(column, part):
            values[column.name] = part.astype(np.int64).astype(str)
            discrete.append(column.name)
            continue
        values[column.name] = np.where(is_null, part[~is_null].mean(), part).astype(np.float64)
        if is_null.any():
            values[_missing(column)] = is_null.astype(str)
            discrete.append(_missing(column))
    return pd.DataFrame(values), discrete


def _codes(columns: tuple[Column, ...], train: Codes, generated: pd.DataFrame) -> Codes:
    found = []
    for i, column in enumerate(columns):
        values = generated[column.name].to_numpy()
        if _is_category(column, train[:, i]):
            found.append(values.astype(np.float32))
            continue
        known = train[train[:, i] != NULL, i]
        codes = np.rint(values.astype(np.float64)).clip(known.min(), known.max())
        if _missing(column) in generated:
            codes = np.where(generated[_missing(column)] == "True", NULL, codes)
        found.append(codes.astype(np.float32))
    return np.stack(found, axis=1)


def _is_category(column: Column, codes: Codes) -> bool:
    return column.first is None or len(np.unique(codes[codes != NULL])) <= _FEW_VALUES


def _missing(column: Column) -> str:
    return f"{column.name} is missing"


def figures(rows: Rows) -> dict[str, float]:
    """Return the figures of generated rows. `seedmint evaluate` names their protocols.

    Args:
        rows: The rows.
    """
    columns = {name: value for name, _, value in measure_columns(rows, "")}
    found = {**columns, "mean of the columns": float(np.mean(list(columns.values())))}
    found |= {name: value for name, _, value in measure_pairs(rows, "")}
    generated, held_out, train = rows.generated[:MAX_ROWS], rows.held_out[:MAX_ROWS], rows.train[:MAX_ROWS]
    found["detection-auc"] = detection_auc(rows.columns, generated, held_out)
    target = max((i for i, column in enumerate(rows.columns) if is_discrete(column)), default=len(rows.columns) - 1)
    for name, source in (("train-on-generated", generated), ("train-on-real", train)):
        score = prediction_score(rows.columns, target, source, held_out)
        found[f"{name} score of {rows.columns[target].name}"] = float("nan") if score is None else score
    for name, part in (("closest-record median", generated), ("closest-record median of real rows", held_out)):
        found[name] = float(np.median(closest_records(rows.columns, part, rows.train)))
    size = min(len(train), len(held_out))
    near, far = (closest_records(rows.columns, generated, part[:size], rows.train) for part in (train, held_out))
    found["nearer-to-training"] = float((near < far).mean() + (near == far).mean() / 2)
    known = {row.tobytes() for row in np.ascontiguousarray(rows.train)}
    for name, part in (("exact-copies", generated), ("exact-copies of real rows", held_out)):
        found[name] = float(np.mean([row.tobytes() in known for row in np.ascontiguousarray(part)]))
    return found


def compare(name: str, path: Path) -> list[str]:
    """Return the lines of one table.

    Args:
        name: Title of the table.
        path: The CSV file.
    """
    with tempfile.TemporaryDirectory() as directory:
        ours, train, held_out = train_seedmint(path, Path(directory) / "run", MAX_GENERATED)
    assert train.table is not None
    columns = train.table.columns
    peer = train_ctgan(columns, train.samples, ours.seconds, MAX_GENERATED)
    train_rows, real_rows = train.samples[train.draw_order], held_out.samples[held_out.draw_order]
    n = min(MAX_GENERATED, len(train_rows))
    seedmint, ctgan, real = (
        figures(Rows(columns, generated, real_rows, train_rows))
        for generated in (ours.codes[:n], peer.codes[:n], train_rows[:n])
    )
    lines = [
        f"{name}: {len(train_rows):,} training rows, {len(real_rows):,} held-out rows, {n:,} generated rows",
        f"{'':46} {'Seedmint':>10} {'CTGAN':>10} {'training rows':>14}",
        f"{'CPU seconds':46} {ours.seconds:10.1f} {peer.seconds:10.1f}",
        f"{'length of the training':46} {ours.note:>10} {peer.note:>10}",
    ]
    return [*lines, *(f"{key:46} {seedmint[key]:10.3f} {ctgan[key]:10.3f} {real[key]:14.3f}" for key in seedmint)]


def main() -> None:
    """Compare all tables and write the results."""
    sys.path.append(str(ROOT / "build" / "ctgan"))
    torch.set_num_threads(1)
    ctgan = importlib.import_module("ctgan")
    lines = [machine(), f"ctgan {ctgan.__version__}; python -m benchmarks.tables {' '.join(sys.argv[1:])}".rstrip()]
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "made.csv"
        write_faulty_table(made, MADE_ROWS)
        tables = [Path(argument) for argument in sys.argv[1:]] or [made, penguins_csv()]
        for path in tables:
            lines += ["", *compare(path.stem, path)]
            print("\n".join(lines), flush=True)
            write_whole(Path(__file__).parent / "results" / "tables.txt", ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
