"""Opens ONNX Runtime sessions, on CUDA where CUDA works and on the CPU elsewhere. Prints nothing."""

import contextlib
import ctypes
import io
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from seedmint.models.errors import UserError
from seedmint.models.installation import install_command
from seedmint.models.runtime.bound_session import BoundSession
from seedmint.models.runtime.forks import keep_after_fork
from seedmint.models.runtime.memory import max_constant_bytes
from seedmint.models.runtime.session import Session

Provider = Literal["cpu", "cuda"]
ProviderChoice = Literal["auto", "cpu", "cuda"]

_LOG_ERRORS = 3
_LOG_NOTHING = 5  # above "fatal"
ort.set_default_logger_severity(_LOG_ERRORS)

# Without TF32, and without a search for the fastest convolution algorithm, so that equal seeds give equal images.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}


class ProviderError(UserError):
    """The requested provider does not work here."""

    reason = "provider_unavailable"


def choose_provider(choice: ProviderChoice) -> Provider:
    """Return the provider to use.

    Args:
        choice: "cpu", "cuda", or "auto" for CUDA if CUDA works.

    Raises:
        ProviderError: `choice` is "cuda" and CUDA does not work here. The message says what is missing.
    """
    if choice == "cpu":
        return "cpu"
    obstacle = _cuda_obstacle()
    if obstacle is None:
        return "cuda"
    if choice == "cuda":
        raise ProviderError(f"CUDA is not available: {obstacle}", field="provider")
    return "cpu"


def open_session(graph: bytes, provider: Provider, threads: int, nodes: int = 1) -> Session:
    """Open an ONNX Runtime session with deterministic results and bounded memory that logs nothing but errors.

    Args:
        graph: A serialized ONNX model.
        provider: "cpu" or "cuda".
        threads: CPU threads for one run.
        nodes: Number of nodes in the graph. They share the memory for constants.

    Raises:
        ProviderError: ONNX Runtime would use another provider.
        Exception: Any error of ONNX Runtime for a graph that it cannot load.
    """
    session = _open(graph, provider, threads, nodes, {})
    if session.get_providers()[0] != f"{provider.upper()}ExecutionProvider":
        raise ProviderError(
            "the CUDA libraries cannot be loaded: install the CUDA runtime and cuDNN for onnxruntime-gpu", field="provider"
        )
    if provider == "cpu":
        return Session(session)
    return BoundSession(session, partial(_open, graph, provider, threads, nodes, {"enable_cuda_graph": "1"}))


def _open(graph: bytes, provider: Provider, threads: int, nodes: int, cuda_options: dict[str, str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = _LOG_ERRORS if not cuda_options else _LOG_NOTHING
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # Idle threads that spin would take CPU time from other generators and from the server.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")  # the arena of memory.py
    max_bytes = str(max_constant_bytes(nodes))
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", max_bytes)
    providers: list[Any] = ["CPUExecutionProvider"]
    if provider == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", {**_CUDA_OPTIONS, **cuda_options}))
    # With the fallback, ONNX Runtime prints a banner when CUDA fails, and silently computes on the CPU.
    session = ort.InferenceSession(graph, options, providers=providers, enable_fallback=0)
    keep_after_fork(session)
    return session


def release_memory() -> None:
    """Return unused memory to the operating system. Otherwise the arena and the C library keep it."""
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _smallest_session().run(None, {"x": np.zeros(1, np.float32)}, options)
    with contextlib.suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


@cache
def _smallest_session() -> Session:
    return open_session(_smallest_graph(), "cpu", 1)


@cache
def _cuda_obstacle() -> str | None:
    """Return why CUDA cannot be used, or None if CUDA works.

    ONNX Runtime prints a screen of messages if CUDA fails. Therefore ask the driver first, then try a small graph.
    """
    if _cuda_devices() == 0:
        return "no CUDA device is visible to this process"
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return _no_cuda_text()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ort.preload_dlls()
    ort.set_default_logger_severity(_LOG_NOTHING)
    try:
        session = open_session(_smallest_graph(), "cuda", 1)
        session.run(None, {"x": np.zeros(1, np.float32)})
    except ProviderError as error:
        return str(error)
    except Exception as error:
        return f"the device does not run a graph: {str(error).splitlines()[0]}"
    finally:
        ort.set_default_logger_severity(_LOG_ERRORS)
    return None


def _cuda_devices() -> int:
    """Return the number of devices that the CUDA driver offers to this process; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _smallest_graph() -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Sqrt", ["x"], ["y"])], "smallest", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _no_cuda_text() -> str:
    remove = "onnxruntime"
    with contextlib.suppress(PackageNotFoundError):
        distribution("onnxruntime-gpu")  # its files were overwritten
        remove = "onnxruntime and onnxruntime-gpu"
    return f"this ONNX Runtime is built without CUDA: uninstall {remove}, then {install_command('gpu')}"
