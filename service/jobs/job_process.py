"""Controls the process of a job, from the service."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from seedmint.service.batch.plan import Plan
from seedmint.service.jobs.progress import JobProgress, write_progress

_ROOT = Path(__file__).parents[3]
_STOP_SECONDS = 5.0  # for the process to stop its workers and exit


class JobProcess:
    """The process of one job. It ends when its standard input closes.

    Attributes:
        plan: The plan of the job.
        images: Images or samples of each generator that the metrics have counted.
        progress: The progress file.
    """

    def __init__(
        self, plan: Plan, images: Sequence[int], generators: Sequence[Path], url: str, workers: int, progress: Path
    ) -> None:
        """Start the process.

        Args:
            plan: The plan of the job.
            images: Images or samples of each generator in finished shards.
            generators: The generator files, in the order of the plan.
            url: The output of the job.
            workers: Number of worker processes.
            progress: The progress file.
        """
        self.plan = plan
        self.images = images
        self.progress = progress
        self._kill_time: float | None = None
        write_progress(progress, JobProgress())
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "seedmint.service.jobs.process", url, str(workers), str(progress)),
                *map(str, generators),
            ],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask the process to end. A second call kills the process if five seconds have passed since the first call."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._kill_time = self._kill_time or time.monotonic() + _STOP_SECONDS
        if time.monotonic() > self._kill_time:
            self._process.kill()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._kill_time is not None

    def wait(self) -> None:
        """Wait until a stopped process has ended. Kills it after five seconds."""
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def read_output(self) -> str:
        """Return the standard output of a process that has ended."""
        assert self._process.stdout is not None
        with self._process.stdout as out:
            return out.read().strip()
