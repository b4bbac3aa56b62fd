"""The interface between the trainer and its hooks."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets import Dataset
from seedmint.training.recipes.schema import Recipe
from seedmint.training.runs.errors import DivergenceError
from seedmint.training.runs.event_log import EventLog
from seedmint.training.runs.progress import ProgressEvent
from seedmint.training.runs.state import TrainerState


class RunContext(Protocol):
    """The part of a trainer that hooks use."""

    @property
    def directory(self) -> Path:
        """The run's directory."""

    @property
    def recipe(self) -> Recipe:
        """The run's recipe."""

    @property
    def dataset(self) -> Dataset:
        """The training data."""

    @property
    def state(self) -> TrainerState:
        """The state after the current step."""

    @property
    def log(self) -> EventLog | None:
        """The log of the run, in the main process; None in other processes."""

    def is_due(self, every: int) -> bool:
        """Return whether an output with this interval in steps is due after the current step."""

    def call_hooks(self, event: str, *arguments: Any) -> None:
        """Call one method of every hook."""

    def emit(self, event: ProgressEvent) -> None:
        """Pass an event to the program that started the run, in the main process."""

    def stop(self) -> None:
        """End the training after the current step, with a checkpoint."""

    def divergence(self, symptom: str) -> DivergenceError:
        """Return the error that names the step and the tensor where the run diverged."""


class Hook:
    """Base class of all hooks. Each method does nothing by default."""

    def on_fit_start(self, trainer: RunContext) -> None:
        """Called before the first step of `Trainer.fit`."""

    def on_weights_loaded(self, trainer: RunContext) -> None:
        """Called in every process when a new run has the weights of another run, before `Trainer.fit`."""

    def on_step_end(self, trainer: RunContext) -> None:
        """Called after every step."""

    def on_statistics(self, trainer: RunContext, statistics: dict[str, float]) -> None:
        """Called in every process when the means of the statistics are known."""

    def on_preview(self, trainer: RunContext, outputs: NDArray[Any], labels: NDArray[np.int64] | None) -> None:
        """Called in the main process with the outputs of a preview and their labels."""

    def on_checkpoint(self, trainer: RunContext, path: Path) -> None:
        """Called in the main process after a checkpoint is written."""

    def on_interrupt(self, trainer: RunContext) -> None:
        """Called in every process when a signal or a call of `stop` ends `Trainer.fit`."""
