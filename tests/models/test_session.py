"""Sessions of ONNX Runtime: the time limit, the memory limit and the options of each run."""

import time
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from seedmint.models.runtime import session as module
from seedmint.models.runtime.session import Session, TooLargeError, TooSlowError
from tests.support import generators
from tests.support.errors import raises

INPUTS = {"z": np.zeros((3, 20), np.float32)}


class Stub:
    """Stands in for a session of ONNX Runtime."""

    def __init__(self, error: Exception | None = None, is_endless: bool = False) -> None:
        self.error = error
        self.is_endless = is_endless
        self.calls: list[tuple[Any, ...]] = []
        self.deadlines: list[float] = []

    def run(self, outputs: Any, inputs: Any, options: ort.RunOptions) -> list[Any]:
        self.calls.append((outputs, inputs, options.log_severity_level))
        self.deadlines.append(module._WATCHDOG.deadlines[options])
        while self.is_endless:
            time.sleep(0.001)
            if options.terminate:
                raise RuntimeError("Exiting due to terminate flag being set to true.")
        if self.error is not None:
            raise self.error
        return [1]


def session(stub: Stub) -> Session:
    return Session(stub)  # type: ignore[arg-type]


def test_a_run_returns_the_outputs_and_logs_only_fatal_errors():
    stub = Stub()
    before = time.monotonic()
    assert session(stub).run(["image"], INPUTS) == [1]
    assert stub.calls == [(["image"], INPUTS, 4)]
    assert before + 30 <= stub.deadlines[0] <= time.monotonic() + 30
    assert module._WATCHDOG.deadlines == {}
    assert session(stub).num_graphs == 0


def test_a_run_may_have_options_of_its_own():
    options = ort.RunOptions()
    stub = Stub()
    session(stub).run(None, INPUTS, options)
    assert options.log_severity_level == 4


def test_a_run_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "RUN_SECONDS", -1.0)
    with raises(TooSlowError, "too_slow"):
        session(Stub(is_endless=True)).run(None, INPUTS)
    assert module._WATCHDOG.deadlines == {}


def test_a_run_within_the_time_limit_is_not_stopped():
    options = ort.RunOptions()
    module._WATCHDOG.deadlines[options] = time.monotonic() + 30
    stopped = ort.RunOptions()
    module._WATCHDOG.deadlines[stopped] = time.monotonic()
    session(Stub())
    while not stopped.terminate:
        time.sleep(0.01)
    assert not options.terminate
    for each in (options, stopped):
        del module._WATCHDOG.deadlines[each]


def test_a_full_arena_is_an_error_of_the_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "bound_memory", lambda: 1 << 30)
    with raises(TooLargeError, "too_large"):
        session(Stub(RuntimeError("onnxruntime::BFCArena::AllocateRawInternal: Available memory is smaller"))).run(None, INPUTS)
    assert module._WATCHDOG.deadlines == {}


def test_other_errors_are_those_of_onnx_runtime():
    error = RuntimeError("odd")
    with pytest.raises(RuntimeError) as caught:
        session(Stub(error)).run(None, INPUTS)
    assert caught.value is error
    assert module._WATCHDOG.deadlines == {}


def test_one_thread_watches_all_runs():
    session(Stub())
    thread = module._WATCHDOG._thread
    session(Stub())
    assert thread is not None
    assert module._WATCHDOG._thread is thread
    assert thread.daemon


def test_a_session_of_onnx_runtime_is_run():
    content = generators.content("one")
    found = Session(ort.InferenceSession(content, providers=["CPUExecutionProvider"])).run(["image"], INPUTS)
    assert found[0].shape == (3, 8, 8, 1)
