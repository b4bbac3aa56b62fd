"""What runs a generator: CUDA where it really works, else the CPU. Found out in silence, once a process."""

import contextlib
import ctypes
import io
from functools import cache
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from seedmint.models.errors import UserError
from seedmint.models.runtime.memory import most_folded
from seedmint.models.runtime.session import Session, watched

Provider = Literal["cpu", "cuda"]

_ERRORS_ONLY = 3
_NOTHING = 5  # above "fatal"
ort.set_default_logger_severity(_ERRORS_ONLY)

# No TF32, and no convolution algorithm that a stopwatch chooses: the same seed must give the same image.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}


class ProviderError(UserError):
    """The provider asked for cannot be had."""


def choose_provider(asked: Literal["auto", "cpu", "cuda"]) -> Provider:
    """The provider to use.

    Raises:
        ProviderError: "cuda" was asked for and does not work here. The message says what is missing.
    """
    if asked == "cpu":
        return "cpu"
    obstacle = _cuda_obstacle()
    if obstacle is None:
        return "cuda"
    if asked == "cuda":
        raise ProviderError(f"SEEDMINT_PROVIDER is 'cuda', but {obstacle}")
    return "cpu"


def open_session(graph: bytes, provider: Provider, threads: int, nodes: int = 1) -> Session:
    """An ONNX Runtime session that says nothing but errors, computes the same for the same input, and keeps within bounds.

    Args:
        graph: a serialised ONNX model.
        threads: threads of the processor for one run.
        nodes: how many the graph has, which share the memory for constants computed ahead.

    Raises:
        ProviderError: ONNX Runtime would use another provider.
        Exception: whatever ONNX Runtime raises for a graph it cannot run.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # Threads that spin while idle would take the processor from the other generators and from the server itself.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")  # the arena of models/runtime/memory.py
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(most_folded(nodes)))
    providers: list[Any] = ["CPUExecutionProvider"]
    if provider == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", _CUDA_OPTIONS))
    # Without enable_fallback=0 a failing CUDA prints a banner, and the CPU computes in its place.
    session = ort.InferenceSession(graph, options, providers=providers, enable_fallback=0)
    if session.get_providers()[0] != f"{provider.upper()}ExecutionProvider":
        raise ProviderError("its CUDA libraries cannot be loaded: onnxruntime-gpu needs the CUDA runtime and cuDNN")
    return watched(session)


def give_memory_back() -> None:
    """Let the system have what no session needs any more: the arena keeps it otherwise, and so does the C library."""
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
    """Why CUDA cannot be used, or None where it works.

    ONNX Runtime fills a screen when asked for CUDA in vain. So the driver is asked first, and then one small graph is tried.
    """
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this onnxruntime is built without CUDA: install onnxruntime-gpu"
    if _cuda_devices() == 0:
        return "no CUDA device is visible to this process"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ort.preload_dlls()
    ort.set_default_logger_severity(_NOTHING)
    try:
        session = open_session(_smallest_graph(), "cuda", 1)
        session.run(None, {"x": np.zeros(1, np.float32)})
    except ProviderError as error:
        return str(error)
    except Exception as error:
        return f"the device does not run a graph: {str(error).splitlines()[0]}"
    finally:
        ort.set_default_logger_severity(_ERRORS_ONLY)
    return None


def _cuda_devices() -> int:
    """Number of devices the CUDA driver offers this process; 0 without a driver."""
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
