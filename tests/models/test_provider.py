"""Providers of ONNX Runtime: which one is chosen, and the options of sessions."""

import ctypes
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seedmint.models.installation import install_command
from seedmint.models.runtime import processors, provider
from seedmint.models.runtime.bound_session import BoundSession
from seedmint.models.runtime.processors import num_processors
from seedmint.models.runtime.provider import ProviderError, choose_provider, open_session, release_memory
from seedmint.models.runtime.session import Session
from tests.support.errors import raises

GRAPH = provider._smallest_graph()


@pytest.mark.parametrize(("obstacle", "auto"), [(None, "cuda"), ("no driver", "cpu")])
def test_auto_is_cuda_where_cuda_works(monkeypatch: pytest.MonkeyPatch, obstacle: str | None, auto: str):
    monkeypatch.setattr(provider, "_cuda_obstacle", lambda: obstacle)
    assert choose_provider("auto") == auto
    assert choose_provider("cpu") == "cpu"
    if obstacle is None:
        assert choose_provider("cuda") == "cuda"
    else:
        with raises(ProviderError, "provider_unavailable", "provider"):
            choose_provider("cuda")


class Recorder:
    """Records the arguments of `InferenceSession`, and answers as if a session of a provider had been opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: str) -> None:
        self.calls: list[dict[str, Any]] = []
        self.found = found
        monkeypatch.setattr(provider.ort, "InferenceSession", self)
        monkeypatch.setattr(provider, "max_constant_bytes", lambda nodes: 1000 // nodes)
        self.kept: list[Any] = []
        monkeypatch.setattr(provider, "keep_after_fork", self.kept.append)

    def __call__(self, graph: bytes, options: Any, providers: list[Any], enable_fallback: int) -> Any:
        names = ("session.intra_op.allow_spinning", "session.use_env_allocators")
        entries = [options.get_session_config_entry(name) for name in names]
        constants = options.get_session_config_entry("optimization.constant_folding_max_output_size_in_bytes")
        self.calls.append(
            {
                "providers": providers,
                "fallback": enable_fallback,
                "threads": (options.intra_op_num_threads, options.inter_op_num_threads),
                "deterministic": options.use_deterministic_compute,
                "severity": options.log_severity_level,
                "entries": [*entries, constants],
            }
        )
        return SimpleNamespace(get_providers=lambda: [self.found, "CPUExecutionProvider"], number=len(self.calls))


def test_sessions_are_deterministic_do_not_spin_and_share_one_arena(monkeypatch: pytest.MonkeyPatch):
    recorder = Recorder(monkeypatch, "CPUExecutionProvider")
    assert type(open_session(GRAPH, "cpu", 3, 4)) is Session
    assert recorder.calls == [
        {
            "providers": ["CPUExecutionProvider"],
            "fallback": 0,
            "threads": (3, 1),
            "deterministic": True,
            "severity": 3,
            "entries": ["0", "1", "250"],
        }
    ]


def test_sessions_on_cuda_compute_without_tf32_and_record_graphs_silently(monkeypatch: pytest.MonkeyPatch):
    recorder = Recorder(monkeypatch, "CUDAExecutionProvider")
    session = open_session(GRAPH, "cuda", 1)
    assert isinstance(session, BoundSession)
    options = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}
    assert recorder.calls[0]["providers"] == [("CUDAExecutionProvider", options), "CPUExecutionProvider"]
    assert recorder.calls[0]["severity"] == 3
    assert recorder.calls[0]["entries"][2] == "1000"
    assert session._open_graph_session is not None
    session._open_graph_session()
    assert [session.number for session in recorder.kept] == [1, 2]
    assert recorder.calls[1]["providers"][0] == ("CUDAExecutionProvider", options | {"enable_cuda_graph": "1"})
    assert recorder.calls[1]["severity"] == 5


def test_a_session_that_would_compute_on_the_cpu_instead_of_cuda_is_refused(monkeypatch: pytest.MonkeyPatch):
    Recorder(monkeypatch, "CPUExecutionProvider")
    with raises(ProviderError, "provider_unavailable", "provider"):
        open_session(GRAPH, "cuda", 1)


def test_the_smallest_graph_computes_a_root():
    (found,) = open_session(GRAPH, "cpu", 1).run(None, {"x": np.array([9], np.float32)})
    assert found.tolist() == [3]


def test_memory_is_released_with_and_without_glibc(monkeypatch: pytest.MonkeyPatch):
    runs: list[Any] = []
    entries: list[tuple[str, str]] = []
    trims: list[int] = []
    session = SimpleNamespace(run=lambda outputs, inputs, options: runs.append((outputs, inputs["x"].tolist())))
    options = SimpleNamespace(add_run_config_entry=lambda *entry: entries.append(entry))
    monkeypatch.setattr(provider.ort, "RunOptions", lambda: options)
    monkeypatch.setattr(provider, "_smallest_session", lambda: session)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(malloc_trim=trims.append))
    release_memory()
    assert trims == [0]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    release_memory()
    assert runs == [(None, [0.0])] * 2
    assert entries == [("memory.enable_memory_arena_shrinkage", "cpu:0")] * 2


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine with one CUDA device that works. Tests change the entries."""
    machine: dict[str, Any] = {"devices": 1, "error": None, "severities": []}

    def opened(graph: bytes, name: str, threads: int) -> Any:
        assert (graph, name, threads) == (GRAPH, "cuda", 1)
        if machine["error"] is not None:
            raise machine["error"]
        return SimpleNamespace(run=lambda outputs, inputs: machine["severities"].append(inputs["x"].shape))

    monkeypatch.setattr(provider.ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(provider.ort, "preload_dlls", lambda: print("a screen of messages"))
    monkeypatch.setattr(provider.ort, "set_default_logger_severity", machine["severities"].append)
    monkeypatch.setattr(provider, "_cuda_devices", lambda: machine["devices"])
    monkeypatch.setattr(provider, "open_session", opened)
    return machine


def obstacle() -> str | None:
    return provider._cuda_obstacle.__wrapped__()  # without the cache


def test_cuda_works_if_a_graph_runs_there(cuda: dict[str, Any], capfd: pytest.CaptureFixture[str]):
    assert obstacle() is None
    assert cuda["severities"] == [5, (1,), 3]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [ProviderError("no cuDNN"), RuntimeError("odd\nsecond line")])
def test_a_device_that_runs_no_graph_is_an_obstacle(cuda: dict[str, Any], error: Exception):
    cuda["error"] = error
    found = obstacle()
    assert found is not None
    assert found.endswith(str(error).splitlines()[0])
    assert cuda["severities"] == [5, 3]


def test_a_machine_without_device_is_not_tried(cuda: dict[str, Any]):
    cuda["devices"] = 0
    assert obstacle()
    assert cuda["severities"] == []


@pytest.mark.parametrize("is_overwritten", [True, False])
def test_a_build_without_cuda_names_what_to_uninstall(monkeypatch: pytest.MonkeyPatch, is_overwritten: bool):
    def distribution(name: str) -> None:
        assert name == "onnxruntime-gpu"
        if not is_overwritten:
            raise PackageNotFoundError(name)

    monkeypatch.setattr(provider.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(provider, "distribution", distribution)
    monkeypatch.setattr(provider, "_cuda_devices", lambda: 1)
    found = obstacle()
    assert found is not None
    assert ("onnxruntime-gpu," in found) == is_overwritten
    assert install_command("gpu") in found


def test_a_machine_without_device_needs_no_other_build(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(provider.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(provider, "_cuda_devices", lambda: 0)
    found = obstacle()
    assert found is not None
    assert install_command("gpu") not in found


@pytest.mark.parametrize(("code", "devices"), [((0, 0), 2), ((1, 0), 0), ((0, 1), 0)])
def test_devices_are_counted_by_the_driver(monkeypatch: pytest.MonkeyPatch, code: tuple[int, int], devices: int):
    def count(found: Any) -> int:
        found._obj.value = 2
        return code[1]

    driver = SimpleNamespace(cuInit=lambda flags: code[0] if flags == 0 else 1, cuDeviceGetCount=count)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert provider._cuda_devices() == devices


def test_a_machine_without_driver_has_no_device(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert provider._cuda_devices() == 0


def test_the_processors_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda pid: {3, 4, 5} if pid == 0 else set(), raising=False)
    assert num_processors() == 3
    monkeypatch.delattr(processors.os, "sched_getaffinity")
    monkeypatch.setattr(processors.os, "cpu_count", lambda: 7)
    assert num_processors() == 7
    monkeypatch.setattr(processors.os, "cpu_count", lambda: None)
    assert num_processors() == 1
