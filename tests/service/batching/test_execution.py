"""One batch without threads: results of the entries, inputs of the run, failures and metrics."""

import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seedmint.models.runtime.session import TooSlowError
from seedmint.service.batching import execution
from seedmint.service.batching.errors import GeneratorFailed
from seedmint.service.batching.execution import Entry, keep_arrays, run_batch

Z_DIM = 2


class RecordingGenerator:
    """Returns z, times the truncation. The noise of a seed is the seed, in all places of z."""

    name = "recording"
    id = ("recording", "0")

    def __init__(self, default_labels: bool = False, failing_seed: int | None = None, error: Exception | None = None) -> None:
        self.events: list[Any] = []  # calls, in order
        self.inputs: list[tuple[Any, Any]] = []  # labels and truncation of each run
        self._default_labels = default_labels
        self._failing_seed = failing_seed
        self._error = error or RuntimeError("the generator fails")

    def labels(self, seeds: np.ndarray) -> np.ndarray | None:
        self.events.append(("labels", seeds.tolist()))
        return seeds % 10 if self._default_labels else None

    def noise(self, seeds: np.ndarray) -> np.ndarray:
        self.events.append(("noise", seeds.tolist()))
        return np.repeat(seeds.astype(np.float32)[:, None], Z_DIM, axis=1)

    def generate_from(self, z: np.ndarray, labels: Any, truncation: Any) -> np.ndarray:
        self.events.append(("run", z[:, 0].tolist()))
        self.inputs.append((labels, truncation))
        if self._failing_seed in z:
            raise self._error
        return z * np.reshape(truncation, (-1, 1))

    def runs(self) -> list[list[float]]:
        return [event[1] for event in self.events if event[0] == "run"]


class Metrics:
    """Records the observations of each histogram."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(observe=self.seen.setdefault(name, []).append)


def entry(seeds: Sequence[int], is_done: bool = False, **changes: Any) -> Entry:
    fields = {"labels": None, "truncation": 1.0, "finish": None, "is_disconnected": None, "z": None} | changes
    loop: Any = SimpleNamespace(get_debug=lambda: False)  # for a future without callbacks
    created = Entry(loop, np.array(seeds), on_cancel=lambda _: None, **fields)
    if is_done:
        created.cancel()
    return created


def run(generator: RecordingGenerator, *batch: Entry, metrics: Metrics | None = None, **options: Any) -> list[Any]:
    return run_batch(generator, list(batch), metrics or Metrics(), **options)  # type: ignore[arg-type]


def test_each_entry_gets_its_own_rows():
    labels_and_values = lambda outputs, labels: (labels.tolist(), outputs[:, 0].tolist())  # noqa: E731
    batch = [entry([11]), entry([12, 13], finish=labels_and_values), entry([14, 15, 16], finish=labels_and_values)]
    first, *others = run(RecordingGenerator(default_labels=True), *batch)
    np.testing.assert_array_equal(first, np.full((1, Z_DIM), 11))
    assert others == [([2, 3], [12, 13]), ([4, 5, 6], [14, 15, 16])]


def test_unconditional_generator_has_no_labels():
    assert run(RecordingGenerator(), entry([1], finish=lambda outputs, labels: labels)) == [None]


def test_default_labels_replace_missing_labels():
    generator = RecordingGenerator(default_labels=True)
    run(generator, entry([21, 22], labels=np.array([7, 8])), entry([23, 24]), entry([25], labels=np.array([9])))
    assert generator.inputs[0][0].tolist() == [7, 8, 3, 4, 9]


def test_default_labels_are_not_computed_if_all_entries_have_labels():
    generator = RecordingGenerator(default_labels=True)
    run(generator, entry([21, 22], labels=np.array([7, 8])), entry([23], labels=np.array([9])))
    assert generator.inputs[0][0].tolist() == [7, 8, 9]
    assert [event[0] for event in generator.events] == ["noise", "run"]


def test_truncation_is_one_number_without_truncation_and_one_number_for_each_seed_with_it():
    generator = RecordingGenerator()
    run(generator, entry([1]), entry([2, 3]))
    run(generator, entry([1]), entry([2, 3], truncation=0.5))
    assert generator.inputs[0][1] == 1.0
    assert generator.inputs[1][1].dtype == np.float32
    assert generator.inputs[1][1].tolist() == [1, 0.5, 0.5]


def test_latent_vectors_replace_the_noise_of_their_entry_only():
    generator = RecordingGenerator()
    z = np.full((2, Z_DIM), 70, np.float32)
    results = run(generator, entry([1]), entry([2, 3], z=z), entry([4]))
    assert [result[:, 0].tolist() for result in results] == [[1], [70, 70], [4]]
    assert [event for event in generator.events if event[0] == "noise"] == [("noise", [1]), ("noise", [4])]


def test_noise_of_all_seeds_is_computed_at_once():
    generator = RecordingGenerator()
    run(generator, entry([1]), entry([2, 3]))
    assert [event for event in generator.events if event[0] == "noise"] == [("noise", [1, 2, 3])]


def test_inputs_are_ready_before_the_call_and_the_run_follows():
    generator = RecordingGenerator()
    run(generator, entry([1]), on_prepared=lambda: generator.events.append(("prepared",)))
    assert [event[0] for event in generator.events] == ["labels", "noise", "prepared", "run"]


def test_entries_whose_future_is_done_are_not_finished():
    def fail(outputs: Any, labels: Any) -> None:
        raise AssertionError

    results = run(RecordingGenerator(), entry([1], is_done=True, finish=fail), entry([2], finish=lambda outputs, labels: 2))
    assert results[1] == 2
    assert not isinstance(results[0], Exception)


def test_error_of_finish_is_the_result_of_its_entry():
    first, second = run(
        RecordingGenerator(), entry([1], finish=lambda outputs, labels: 1 // 0), entry([2], finish=lambda outputs, labels: 2)
    )
    assert isinstance(first, ZeroDivisionError)
    assert second == 2


def test_entries_run_separately_after_a_failed_run_unless_their_future_is_done():
    generator = RecordingGenerator(failing_seed=3)
    results = run(generator, entry([1, 2]), entry([3]), entry([4], is_done=True), entry([5]))
    assert generator.runs() == [[1, 2, 3, 4, 5], [1, 2], [3], [5]]
    assert results[0][:, 0].tolist() == [1, 2]
    assert isinstance(results[1], GeneratorFailed)
    assert results[2] is None
    assert results[3][:, 0].tolist() == [5]


def test_two_entries_run_separately_after_a_failed_run():
    generator = RecordingGenerator(failing_seed=3)
    run(generator, entry([1]), entry([3]))
    assert generator.runs() == [[1, 3], [1], [3]]


@pytest.mark.parametrize("size", [1, 3])
def test_no_entry_runs_again_after_a_run_that_was_too_slow(size: int, caplog: pytest.LogCaptureFixture):
    generator = RecordingGenerator(failing_seed=11, error=TooSlowError("too slow"))
    results = run(generator, *(entry([seed, seed + 10]) for seed in range(1, size + 1)))
    assert [type(result) for result in results] == [GeneratorFailed] * size
    assert len(generator.runs()) == 1
    (record,) = caplog.records
    assert isinstance(record.args, tuple)
    assert record.args[:2] == ("recording", 1)  # the name and the first seed


def test_single_entry_runs_once_if_it_fails():
    generator = RecordingGenerator(failing_seed=1)
    assert [type(result) for result in run(generator, entry([1, 2]))] == [GeneratorFailed]
    assert len(generator.runs()) == 1


def test_metrics_have_the_size_and_the_durations_of_each_batch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(execution.time, "perf_counter", map(float, itertools.count()).__next__)  # a second for each call
    metrics = Metrics()
    batch = [entry([1]), entry([2, 3])]
    assert [each.queued_at for each in batch] == [0, 1]
    run(RecordingGenerator(), *batch, metrics=metrics)
    assert metrics.seen == {"inference": [1], "batch": [3]}
    run(RecordingGenerator(), entry([1]), entry([2], finish=lambda outputs, labels: 2), metrics=metrics)
    assert metrics.seen == {"inference": [1, 1], "batch": [3, 2], "encoding": [1]}


def test_a_cancelled_entry_is_withdrawn_once():
    withdrawn: list[Entry] = []
    loop: Any = SimpleNamespace(get_debug=lambda: False)
    cancelled = Entry(loop, (1,), None, 1.0, None, None, None, withdrawn.append)
    assert [cancelled.cancel(), cancelled.cancel()] == [True, False]
    assert withdrawn == [cancelled]


@pytest.mark.parametrize("labels", [None, (5,)])
def test_tuples_of_seeds_and_labels_are_the_same_as_arrays(labels: tuple[int, ...] | None):
    generators = RecordingGenerator(default_labels=True), RecordingGenerator(default_labels=True)
    arrays = None if labels is None else np.array(labels)
    run(generators[0], entry([1], labels=arrays), entry([2]), entry([3, 4]))
    tuples = [entry([1], labels=labels), entry([2]), entry([3, 4])]
    tuples[0].seeds, tuples[1].seeds = (1,), (2,)
    run(generators[1], *tuples)
    assert generators[0].events == generators[1].events
    assert generators[0].inputs[0][0].tolist() == generators[1].inputs[0][0].tolist()


def test_arrays_that_are_encoded_later_are_not_timed():
    metrics = Metrics()
    ((outputs, labels),) = run(RecordingGenerator(True), entry([12], finish=keep_arrays), metrics=metrics)
    np.testing.assert_array_equal(outputs, np.full((1, Z_DIM), 12))
    assert labels.tolist() == [2]
    assert "encoding" not in metrics.seen


def test_entry_is_pending_until_its_future_is_done_or_its_client_has_disconnected():
    assert entry([1]).is_pending
    assert entry([1], is_disconnected=lambda: False).is_pending
    assert not entry([1], is_done=True).is_pending
    gone = entry([1], is_disconnected=lambda: True)
    assert gone.is_disconnected
    assert not gone.is_pending
    assert not entry([1]).is_disconnected
    assert not entry([1]).is_counted
