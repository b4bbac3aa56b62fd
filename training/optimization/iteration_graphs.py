"""Runs iterations as CUDA graphs: the kernels of an iteration are recorded once, and then started together.

Small networks wait for the host more than for the GPU: each of some hundred kernels of an iteration takes longer to start than
to run.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Protocol

import torch
from torch import Tensor

_WARM_UPS = 2  # iterations before the recording; libraries allocate memory and load kernels in them
_MAX_GRAPHS = 16  # recorded kinds of iterations; further kinds run without a graph

Body = Callable[[], Tensor]
"""Computes an iteration. Reads and writes only tensors that keep their addresses; returns new ones."""


class Recorder(Protocol):
    """Runs and records iterations on one device."""

    def run(self, body: Body) -> Tensor:
        """Compute an iteration without recording."""

    def record(self, body: Body) -> Callable[[], Tensor]:
        """Record an iteration without computing the iteration. The result computes an iteration with the present inputs."""


class CudaRecorder:
    """Records on a CUDA device. All graphs share their memory, because only one runs at a time.

    Args:
        device: The device.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, body: Body) -> Tensor:
        """Compute an iteration on the stream of the recordings, as CUDA requires before a recording."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = body().clone()
        torch.cuda.current_stream().wait_stream(self._stream)
        result.record_stream(torch.cuda.current_stream())
        return result

    def record(self, body: Body) -> Callable[[], Tensor]:
        """Record an iteration."""
        graph = torch.cuda.CUDAGraph()
        # thread_local: threads that write logs or previews may use CUDA meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            result = body()

        def replay() -> Tensor:
            graph.replay()
            return result.clone()  # the next graph uses the memory of the result

        return replay


class IterationGraphs:
    """Runs each iteration from a recording of an iteration of the same kind.

    The first iterations of each kind run without a recording. They are iterations of the training like all others: a recording
    gives the same bits.

    Args:
        recorder: Runs and records iterations.

    Attributes:
        failure: Why a recording failed, in one line; None if all succeeded. After a failure, no further kind is recorded.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.failure: str | None = None
        self._recorder = recorder
        self._replays: dict[Hashable, Callable[[], Tensor]] = {}
        self._warm_ups: Counter[Hashable] = Counter()

    def run(self, kind: Hashable, body: Body) -> Tensor:
        """Compute one iteration.

        Args:
            kind: Iterations of one kind run the same kernels.
            body: Computes the iteration.

        Returns:
            The result of the body.
        """
        replay = self._replays.get(kind)
        if replay is None and self._can_record(kind):
            replay = self._record(kind, body)
        if replay is not None:
            return replay()
        self._warm_ups[kind] += 1
        return self._recorder.run(body)

    def _can_record(self, kind: Hashable) -> bool:
        return self.failure is None and self._warm_ups[kind] >= _WARM_UPS and len(self._replays) < _MAX_GRAPHS

    def _record(self, kind: Hashable, body: Body) -> Callable[[], Tensor] | None:
        try:
            replay = self._recorder.record(body)
        except RuntimeError as error:
            # A kernel cannot be recorded. No kernel has run: the weights are unchanged, and so is the state of the random
            # generator, because PyTorch counts the numbers of a recording apart.
            self.failure = str(error).splitlines()[0]
            return None
        self._replays[kind] = replay
        return replay
