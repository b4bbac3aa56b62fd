"""An ONNX Runtime session for a GPU, whose inputs and outputs keep their memory on the device.

Batches have few sizes, because `GeneratorSession` pads them. Each size has its own memory. A size uses a CUDA graph if the
graph gives the same bytes and is faster.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from seedmint.models.runtime.session import Session

_MAX_SIZES = 8  # sizes with memory of their own; the size that was bound first makes place for another
_MEASURED_RUNS = 10

Arrays = dict[str, NDArray[Any]]
Key = tuple[tuple[str, tuple[int, ...], str], ...]


class BoundSession(Session):
    """Runs one graph with inputs and outputs on a device. Safe to use from several threads, one run at a time.

    Args:
        session: An ONNX Runtime session.
        open_graph_session: Opens a session for the same file that records CUDA graphs; raises any exception if the file does
            not permit this. None uses no CUDA graphs.
        device: Device of ONNX Runtime for the memory.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        open_graph_session: Callable[[], ort.InferenceSession] | None = None,
        device: str = "cuda",
    ) -> None:
        super().__init__(session)
        self._device = device
        self._open_graph_session = open_graph_session
        self._graph_session: ort.InferenceSession | None = None
        self._sizes: dict[Key, _Size] = {}
        self._num_graphs = 0
        self._lock = threading.Lock()

    @property
    def num_graphs(self) -> int:
        """Number of batch sizes that use a CUDA graph."""
        return sum(size.graph_id is not None for size in self._sizes.values())

    def _execute(self, outputs: list[str] | None, inputs: Arrays, options: ort.RunOptions) -> list[Any]:
        names = outputs or [output.name for output in self._session.get_outputs()]
        key = tuple((name, array.shape, array.dtype.str) for name, array in inputs.items())
        with self._lock:
            size = self._sizes.get(key)
            if size is None:
                size = self._bind(names, inputs, options)
                while len(self._sizes) >= _MAX_SIZES:
                    del self._sizes[next(iter(self._sizes))]
                self._sizes[key] = size
            return size.run(inputs, options)

    def _bind(self, names: list[str], inputs: Arrays, options: ort.RunOptions) -> "_Size":
        """Return the memory of a new size: for the outputs, as much as one run needs."""
        results = self._session.run(names, inputs, options)
        plain = _Size(self._session, self._device, inputs, dict(zip(names, results, strict=True)), None)
        recorded = self._record(plain, inputs, results, options)
        return plain if recorded is None else recorded

    def _record(self, plain: "_Size", inputs: Arrays, expected: list[Any], options: ort.RunOptions) -> "_Size | None":
        """Return the same size with a CUDA graph, or None if the graph is not faster, differs, or is not possible."""
        if self._open_graph_session is None:
            return None
        try:
            if self._graph_session is None:
                self._graph_session = self._open_graph_session()
            self._num_graphs += 1
            names = dict(zip(plain.output_names, expected, strict=True))
            recorded = _Size(self._graph_session, self._device, inputs, names, str(self._num_graphs))
            for _ in range(2):  # ONNX Runtime records in the first runs
                results = recorded.run(inputs, options)
        except Exception:  # the exceptions of ONNX Runtime have no common base class
            self._open_graph_session = self._graph_session = None
            return None
        is_equal = all(a.tobytes() == b.tobytes() for a, b in zip(results, expected, strict=True))
        return recorded if is_equal and _seconds(recorded, inputs, options) < _seconds(plain, inputs, options) else None


class _Size:
    """The memory for one size of batches."""

    def __init__(
        self, session: ort.InferenceSession, device: str, inputs: Arrays, outputs: Arrays, graph_id: str | None
    ) -> None:
        self.graph_id, self.output_names = graph_id, list(outputs)
        self._session, self._binding = session, session.io_binding()
        self._inputs = {name: _on_device(array, device) for name, array in inputs.items()}
        self._outputs = [_on_device(array, device) for array in outputs.values()]
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in zip(outputs, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)

    def run(self, inputs: Arrays, options: ort.RunOptions) -> list[NDArray[Any]]:
        for name, array in inputs.items():
            self._inputs[name].update_inplace(np.ascontiguousarray(array))
        if self.graph_id is not None:
            options.add_run_config_entry("gpu_graph_id", self.graph_id)
        self._session.run_with_iobinding(self._binding, options)
        return [np.array(value.numpy()) for value in self._outputs]


def _on_device(array: NDArray[Any], device: str) -> ort.OrtValue:
    # A copy, because on the CPU the value shares the memory of the array, and runs write to it.
    return ort.OrtValue.ortvalue_from_numpy(np.array(array, order="C"), device, 0)


def _seconds(size: _Size, inputs: Arrays, options: ort.RunOptions) -> float:
    """Return the shortest time of some runs."""
    times = []
    for _ in range(_MEASURED_RUNS):
        began = time.perf_counter()
        size.run(inputs, options)
        times.append(time.perf_counter() - began)
    return min(times)
