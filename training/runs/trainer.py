"""The trainer: iterates Algorithm 1, and calls hooks that write the outputs of the run.

A run's directory holds:

    recipe.yaml                      the recipe, with every field
    checkpoints/step-N.safetensors   the newest checkpoints
    previews/step-N.png              outputs of the first seeds, as the service would return them
    log.jsonl, tensorboard/          statistics, metrics and diagnostics
"""

import errno
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.datasets import Dataset
from seedmint.training.optimization import distributed
from seedmint.training.recipes.schema import Recipe
from seedmint.training.runs.diagnostics import Diagnostics
from seedmint.training.runs.errors import DivergenceError, TrainingError
from seedmint.training.runs.event_log import EventLog
from seedmint.training.runs.hook import Hook
from seedmint.training.runs.interruption import Interruption
from seedmint.training.runs.lock import run_lock
from seedmint.training.runs.nonfinite import find_divergence
from seedmint.training.runs.progress import ProgressEvent
from seedmint.training.runs.requirements import Requirements
from seedmint.training.runs.state import TrainerState
from seedmint.training.runs.torch_settings import torch_settings

_STOPPED = 1000  # a stop by a call instead of a signal; larger than each signal number
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Trainer:
    """One training run. `seedmint.training.runs.build.build_trainer` constructs it from a recipe.

    Args:
        directory: The run's directory.
        recipe: The run's recipe.
        dataset: The training data.
        device: Device of the training.
        requirements: Parameters and memory of the run.
        state: The state to start from.
        diagnostics: Decides whether the run is at the equilibrium.
        hooks: Called in this order after every step.

    Attributes:
        interrupted_by: The signal that ended `fit`, or None.
        log: The log of the run, in the main process during `fit`; None otherwise.
    """

    def __init__(
        self,
        directory: Path,
        recipe: Recipe,
        dataset: Dataset,
        device: torch.device,
        requirements: Requirements,
        state: TrainerState,
        diagnostics: Diagnostics,
        hooks: Sequence[Hook],
    ) -> None:
        self.directory, self.recipe, self.dataset, self.device = directory, recipe, dataset, device
        self.requirements, self.state, self.hooks = requirements, state, list(hooks)
        self.interrupted_by: signal.Signals | None = None
        self.log: EventLog | None = None
        self._diagnostics = diagnostics
        self._on_progress: Callable[[ProgressEvent], None] | None = None
        self._is_stopped = False

    @property
    def algorithm(self) -> Algorithm1:
        """The networks and their optimizers."""
        return self.state.algorithm

    @property
    def step(self) -> int:
        """Number of finished iterations."""
        return self.state.step

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or the run has stopped at the equilibrium or early, as the recipe says."""
        stopped = self.recipe.watch.stop_at_equilibrium and self._diagnostics.at_equilibrium
        return self.step >= self.recipe.steps or stopped or self.stopped_early

    @property
    def stopped_early(self) -> bool:
        """Whether `early_stop` measurements have not been better than the best."""
        best, patience = self.state.best, self.recipe.early_stop
        return patience is not None and best is not None and best.metric == self.recipe.keep_best and best.waited >= patience

    def fit(self, on_progress: Callable[[ProgressEvent], None] | None = None) -> None:
        """Iterate until the run is `finished`.

        SIGINT or SIGTERM ends the training after the current iteration, with a checkpoint and `interrupted_by` set. In
        distributed training all processes stop after the same iteration, and only the main process writes and reports.

        Args:
            on_progress: Called in the main process with each event.

        Raises:
            DivergenceError: V, a weight or an optimizer's average is not finite.
            TrainingError: Another process trains this run, or the disk is full.
        """
        self._on_progress = on_progress
        self._is_stopped = False
        with (
            run_lock(self.directory),
            torch_settings(self.recipe.num_threads, self.device),
            Interruption() as interruption,
            self._open_log(),
        ):
            self._fit(interruption)

    def _fit(self, interruption: Interruption) -> None:
        try:
            self.call_hooks("on_fit_start")
            reason = 0
            while not self.finished and not (reason := distributed.all_reduce_max(interruption.received or self._stop_reason)):
                self.state.sums += self.algorithm.iterate(self.step)
                self.state.step += 1
                self.call_hooks("on_step_end")
            if not self.finished:
                self.call_hooks("on_interrupt")
                self.interrupted_by = None if reason == _STOPPED else signal.Signals(reason)
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            message = (
                f"the disk is full: {error.filename or self.directory} cannot be written at step {self.step:,}; free some "
                f"space, then run `seedmint resume {self.directory}`, which continues from the newest checkpoint"
            )
            raise TrainingError(message, reason="disk_full") from None

    def stop(self) -> None:
        """End `fit` after the current step, with a checkpoint. In distributed training, one process is enough."""
        self._is_stopped = True

    @property
    def _stop_reason(self) -> int:
        return _STOPPED if self._is_stopped else 0

    def is_due(self, every: int) -> bool:
        """Return whether an output with this interval is due after the current step. The last step makes all outputs due.

        Args:
            every: Interval in steps.
        """
        return self.step % every == 0 or self.finished

    def call_hooks(self, event: str, *arguments: Any) -> None:
        """Call one method of every hook.

        Args:
            event: Name of a method of `Hook`.
            arguments: Arguments of the method after the trainer.
        """
        for hook in self.hooks:
            getattr(hook, event)(self, *arguments)

    def emit(self, event: ProgressEvent) -> None:
        """Pass an event to `on_progress`, in the main process.

        Args:
            event: The event.
        """
        if self._on_progress is not None and distributed.is_main_process():
            self._on_progress(event)

    def divergence(self, symptom: str) -> DivergenceError:
        """Return the error that names the step and the tensor where the run diverged.

        Args:
            symptom: The observation that showed the divergence.
        """
        return find_divergence(self.directory, self.recipe, self.dataset, self.device, self.step, symptom)

    @contextmanager
    def _open_log(self) -> Iterator[None]:
        if not distributed.is_main_process():
            yield
            return
        self.log = EventLog(self.directory, self.step)
        try:
            yield
        finally:
            self.log.close()
            self.log = None
