"""Runs a graph before the import: shape of its outputs, dependence of rows on their batch, labels, time and memory."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import ModelProto

from seedmint.models.contract import count_nodes
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise
from seedmint.models.runtime.memory import bound_memory
from seedmint.models.runtime.provider import open_session, release_memory
from seedmint.models.runtime.session import Session, TooLargeError
from seedmint.service.importer.bindings import Signature
from seedmint.service.importer.errors import GeneratorImportError, first_line
from seedmint.service.importer.options import ImportOptions, TrialSettings
from seedmint.service.importer.truncation import TRIED_SEEDS, TRIED_TRUNCATION, truncation_has_effect
from seedmint.service.importer.wrap import Execution, wrap_raw

TRIAL_SEEDS = 64
TRIAL_SECONDS = 6.0  # for the runs that compare batches
BATCH_SECONDS = 2.0  # longest run of a full batch in the service
SETTINGS_MAX_BATCH = 64  # a generator that runs this batch in time needs no limit in its card
_MEMORY_SHARE = 0.5  # of the memory of the process for runs: one full batch
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)  # fixed batch sizes to try if the graph declares no batch size


@dataclass(frozen=True)
class TrialResult:
    """Results of the trial runs.

    Attributes:
        execution: How the graph must run so that a row does not depend on its batch.
        rows: Outputs of the first seeds: [n, ...] in the type of the graph, n <= `TRIAL_SEEDS`.
        max_batch: Largest batch that keeps within time and memory; None without a limit.
        truncation_has_effect: Whether outputs change with the truncation.
        row_seconds: Time of one row in the largest batch that was tried.
    """

    execution: Execution
    rows: NDArray[Any]
    max_batch: int | None
    truncation_has_effect: bool
    row_seconds: float


@dataclass(frozen=True)
class _Rows:
    """Outputs of rows that do not depend on their batch.

    Attributes:
        rows: Outputs of the first seeds, at least two.
        max_batch: Largest batch that may run.
        seconds: Time of one row alone.
    """

    rows: NDArray[Any]
    max_batch: int
    seconds: float


class Trial:
    """Trial runs of one graph."""

    def __init__(self, model: ModelProto, signature: Signature, options: ImportOptions, settings: TrialSettings) -> None:
        """
        Args:
            model: A self-contained model.
            signature: The values of its inputs.
            options: Options of the import.
            settings: Settings of the runs.
        """
        self._model, self._signature, self._options = model, signature, options
        self._provider, self._threads = settings.provider, settings.threads
        self._max_batch = min(settings.max_batch, TRIAL_SEEDS)
        self._classes = len(options.classes or ())

    def run(self) -> TrialResult:
        """Run all trials.

        Raises:
            UserError: The graph does not run, is too slow or too large, or its rows depend on their batch even when it runs row
                by row.
        """
        execution = self._find_row_execution()
        release_memory()
        memory = psutil.Process().memory_info().rss
        session, execution, found = self._find_independent(execution)
        size = min(len(found.rows), found.max_batch)
        seconds = self._seconds(session, size) if size > 1 else found.seconds
        row_bytes = max(1, (psutil.Process().memory_info().rss - memory) // size)
        self._check_values(found.rows)
        self._check_labels(session, seconds, found.max_batch)
        truncated = self._run_rows(session, np.arange(min(TRIED_SEEDS, size)), truncation=TRIED_TRUNCATION)
        return TrialResult(
            execution=execution,
            rows=found.rows,
            max_batch=_max_batch(seconds, row_bytes, found.max_batch),
            truncation_has_effect=truncation_has_effect(found.rows, truncated),
            row_seconds=seconds,
        )

    def _open(self, execution: Execution) -> Session:
        wrapped = wrap_raw(self._model, self._signature, self._options.z_scale, self._classes, execution)
        try:
            return open_session(wrapped.SerializeToString(), self._provider, self._threads, count_nodes(wrapped))
        except UserError:
            raise
        except Exception as error:
            raise self._run_error(error) from None

    def _find_row_execution(self) -> Execution:
        """Find the batch size for a run of one row, and whether the output has a batch axis."""
        sizes = _BATCH_SIZES if self._signature.batch is None else sorted({1, self._signature.batch})
        failure: Exception | None = None
        for size in sizes:
            session = self._open(Execution(by_row=True, batch=size, has_batch_axis=False))
            try:
                raw = self._run_rows(session, np.arange(1))[0]
            except UserError:
                raise
            except Exception as error:  # ONNX Runtime raises several types
                failure = failure or error
                continue
            if raw.dtype.kind not in "fiu":
                raise GeneratorImportError(f"the output has type {raw.dtype}", field="output", reason="wrong_type")
            if raw.shape and raw.shape[0] == size:
                return Execution(by_row=True, batch=size)
            if size == 1 and self._signature.batch == 1 and raw.ndim in (2, 3):
                return Execution(by_row=True, has_batch_axis=False)
            failure = failure or ValueError(f"the output for a batch of {size} is {list(raw.shape)}")
        raise self._run_error(failure)

    def _run_error(self, failure: Exception | None) -> GeneratorImportError:
        field_values = {"z_dim": self._options.z_dim, "classes": self._options.classes, "set": self._options.constants or None}
        field = next((name for name, value in field_values.items() if value is not None), None)
        reason = first_line(failure) if failure is not None else "no output"
        return GeneratorImportError(f"ONNX Runtime cannot run the graph: {reason}", field=field, reason="does_not_run")

    def _find_independent(self, by_row: Execution) -> tuple[Session, Execution, _Rows]:
        """Return a session whose rows do not depend on their batch: one run for the batch if possible, otherwise row by row."""
        if not self._signature.needs_rows and by_row.has_batch_axis and by_row.batch == 1:
            batched = replace(by_row, by_row=False)
            session = self._open(batched)
            found = self._independent_rows(session)
            if found is not None:
                return session, batched, found
        session = self._open(by_row)
        found = self._independent_rows(session)
        if found is None:
            raise GeneratorImportError(
                "the same seed gives different outputs in repeated runs, even in batches of one: export the graph "
                "without random operators and without state",
                reason="not_reproducible",
            )
        return session, by_row, found

    def _independent_rows(self, session: Session) -> _Rows | None:
        """Return outputs of the first seeds, or None if an output depends on the other rows of its batch."""
        try:
            started = time.perf_counter()
            first = self._run_rows(session, np.arange(1))
            elapsed = time.perf_counter() - started
            # The service never puts two rows of a costly generator into one batch.
            max_batch = 1 if elapsed > BATCH_SECONDS / 2 else self._max_batch
            count = int(max(2, min(TRIAL_SEEDS, TRIAL_SECONDS / max(elapsed, 1e-6) / 6)))
            single_runs = [first, *(self._run_rows(session, np.array([seed])) for seed in range(1, count))]
            if any(rows.shape != first.shape for rows in single_runs):
                return None
            rows = np.concatenate(single_runs)
            if max_batch == 1:
                started = time.perf_counter()
                same = self._run_rows(session, np.arange(1)).tobytes() == first.tobytes()
                return _Rows(rows, 1, min(elapsed, time.perf_counter() - started)) if same else None
            fitting = self._largest_equal_batch(session, rows, min(max_batch, count))
            if fitting is None:
                return None
            return _Rows(rows, max_batch if fitting == min(max_batch, count) else fitting, elapsed)
        except UserError:
            raise
        except Exception:  # ONNX Runtime raises several types: the graph fixes its batch inside
            return None

    def _largest_equal_batch(self, session: Session, rows: NDArray[Any], largest: int) -> int | None:
        """Compare batches with rows that ran alone.

        Returns:
            `largest`, or the largest tested size that fits into the memory; None if an output depends on its batch.
        """
        fitting = 1
        for seeds, factors in _batches(largest):
            try:
                batched_rows = self._run_rows(session, seeds, scale=factors)
            except TooLargeError:
                return fitting
            if batched_rows.shape != (len(seeds), *rows.shape[1:]):
                return None
            unscaled = factors == 1
            if batched_rows[unscaled].tobytes() != rows[seeds[unscaled]].tobytes():
                return None
            fitting = len(seeds)
        return fitting

    def _run_rows(
        self,
        session: Session,
        seeds: NDArray[np.int64],
        truncation: float = 1.0,
        labels: NDArray[np.int64] | None = None,
        scale: NDArray[np.float32] | None = None,
    ) -> NDArray[Any]:
        z = noise(f"philox-{self._options.prior}-v1", self._signature.z_dim, seeds.astype(np.int64))
        if scale is not None:
            z = z * scale[:, None]
        inputs: dict[str, NDArray[Any]] = {"z": z}
        if self._signature.label is not None:
            inputs["label"] = labels_of(seeds.astype(np.int64), self._classes) if labels is None else labels
        if self._signature.has_truncation:
            inputs["truncation"] = np.full(len(z), truncation, np.float32)
        else:
            inputs["z"] = z * np.float32(truncation)
        (outputs,) = session.run(["raw"], inputs)
        return np.asarray(outputs)

    def _check_values(self, rows: NDArray[Any]) -> None:
        if rows.dtype.kind == "f" and not np.isfinite(rows).all():
            raise GeneratorImportError(
                "the output is not finite: check the prior and the scale of z",
                field="prior",
                reason="output_not_finite",
                other_fields=("z_scale",),
            )

    def _check_labels(self, session: Session, row_seconds: float, max_batch: int) -> None:
        """Run every label, or only the last label of a slow generator."""
        if self._signature.label is None:
            return
        labels = np.arange(self._classes, dtype=np.int64)
        if len(labels) * row_seconds > TRIAL_SECONDS:
            labels = labels[-1:]
        try:
            for start in range(0, len(labels), max_batch):
                part = labels[start : start + max_batch]
                rows = self._run_rows(session, np.zeros(len(part), np.int64), labels=part)
                if rows.dtype.kind == "f" and not np.isfinite(rows).all():
                    raise ValueError("the output is not finite")
        except UserError:
            raise
        except Exception as error:
            raise GeneratorImportError(
                f"the graph does not run with all {self._classes} labels: {first_line(error)}",
                field="classes",
                reason="classes_mismatch",
            ) from None

    def _seconds(self, session: Session, count: int) -> float:
        """Return the time of one row in a batch of `count`."""
        wall, processor = time.perf_counter(), time.process_time()
        self._run_rows(session, np.arange(count))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        # The processor time does not count other processes, which may occupy the machine during the import.
        return (min(wall, processor) if self._provider == "cpu" else wall) / count


def _batches(count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield seeds and factors on their z, in batches of several sizes and orders.

    The output of a row with factor 1 must be the same in every batch. Rows with other factors only fill the batch: zeros, and
    values larger than the values of any seed, which change a scale or a statistic of the batch.
    """
    random = np.random.RandomState(0)
    for size in sorted({2, min(3, count), min(7, count), count}):
        yield np.arange(size), np.ones(size, np.float32)
    yield random.permutation(count), np.ones(count, np.float32)
    for factor in (0.0, 4.0):
        seeds = random.permutation(count)
        factors = np.ones(count, np.float32)
        factors[random.permutation(count)[: max(1, count // 2)]] = factor
        yield seeds, factors


def _max_batch(row_seconds: float, row_bytes: int, largest: int) -> int | None:
    """Return the largest power of two up to `largest` within time and memory; None if `SETTINGS_MAX_BATCH` is within both."""
    size = SETTINGS_MAX_BATCH
    memory = bound_memory() * _MEMORY_SHARE
    while size > 1 and (size > largest or size * row_seconds > BATCH_SECONDS or size * row_bytes > memory):
        size //= 2
    return None if size == SETTINGS_MAX_BATCH else size
