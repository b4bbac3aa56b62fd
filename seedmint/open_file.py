"""A generator file that each process opens for itself: after a fork, the session of the parent process does not work."""

import os
import threading
from typing import TYPE_CHECKING, Literal

from seedmint.models.errors import UserError
from seedmint.models.installation import needs_extra
from seedmint.sources import read_source

if TYPE_CHECKING:
    from seedmint.service.runtime.generator import Generator as RuntimeGenerator

ProviderChoice = Literal["auto", "cpu", "cuda"]

# Outputs of one run. For fully connected networks, runs of 64 reach 0.86 of the rate of runs of 1,024; runs of 256 reach 0.98.
# The smallest networks need larger runs, which take them only milliseconds (benchmarks/python_api.py).
_BATCH = 256
_LARGE_BATCH = 1024
_LARGE_BATCH_SECONDS = 0.03


class OpenFile:
    """A generator file, opened with ONNX Runtime. Safe to use from several threads and after `os.fork`.

    Attributes:
        source: Path or URL of the file.
        provider: Provider of ONNX Runtime; "auto" is CUDA if available, otherwise the CPU.
        threads: CPU threads of one run; None for all processors that this process may use.
        digest: SHA-256 of the file: each process must find the same file.
    """

    def __init__(self, source: str, provider: ProviderChoice, threads: int | None, digest: str | None) -> None:
        """
        Args:
            source: Path or URL of the file.
            provider: Provider of ONNX Runtime.
            threads: CPU threads of one run.
            digest: Expected SHA-256 of the file, or its first digits; None accepts any file.

        Raises:
            UserError: The file is not a generator, cannot be run, or has another digest.
            OSError: The file cannot be read.
        """
        self.source = source
        self.provider: ProviderChoice = provider
        self.threads = threads
        self.digest = digest
        self._lock = threading.Lock()
        self._runtime: RuntimeGenerator | None = None
        self._pid = 0
        self.digest = self.runtime().digest

    def use_threads(self, threads: int) -> None:
        """Set the number of CPU threads of one run.

        Args:
            threads: At least 1.
        """
        if threads != self.threads:
            self.threads = threads
            if self._pid == os.getpid():  # after a fork, the lock is the parent's, and the file is opened again in any case
                with self._lock:
                    self._runtime = None

    def runtime(self) -> "RuntimeGenerator":
        """Return the open generator of this process.

        Raises:
            UserError: The file is not a generator, cannot be run, or has another digest.
            OSError: The file cannot be read.
        """
        runtime = self._runtime  # another thread may set the number of threads meanwhile
        if runtime is None or self._pid != os.getpid():
            if self._pid not in (0, os.getpid()):
                self._lock = threading.Lock()  # another thread of the parent may have held the lock
            with self._lock:
                runtime = self._runtime
                if runtime is None or self._pid != os.getpid():
                    self._runtime = runtime = self._open()
                    self._pid = os.getpid()
        return runtime

    def _open(self) -> "RuntimeGenerator":
        with needs_extra("cpu"):
            from seedmint.models.runtime.processors import num_processors
            from seedmint.models.runtime.provider import choose_provider
            from seedmint.service.runtime.generator import Generator as RuntimeGenerator

        threads = self.threads or num_processors()
        content, provider = read_source(self.source, self.digest), choose_provider(self.provider)
        runtime = RuntimeGenerator(content, provider, threads, _BATCH)
        if runtime.max_batch == _BATCH and runtime.batch_seconds * _LARGE_BATCH / _BATCH < _LARGE_BATCH_SECONDS:
            runtime = RuntimeGenerator(content, provider, threads, _LARGE_BATCH)
        if self.digest is not None and not runtime.digest.startswith(self.digest):
            raise UserError(
                f"{self.source} has the digest {runtime.digest[:12]}, not {self.digest[:12]}",
                field="digest",
                reason="wrong_digest",
            )
        return runtime
