"""Reports when the iterations of a run on a GPU cannot be recorded as CUDA graphs."""

from seedmint.training.runs.diagnostics import Diagnostic
from seedmint.training.runs.errors import TrainingError
from seedmint.training.runs.hook import Hook, RunContext
from seedmint.training.runs.progress import ProgressEvent


class GraphHook(Hook):
    """Reports an obstacle at the start, and a failed recording once.

    Args:
        obstacle: Why the iterations cannot be recorded; None if they can, or if the recipe wants no recordings.

    Raises:
        TrainingError: A recording has failed, and the recipe says `cuda_graph: always`.
    """

    def __init__(self, obstacle: str | None) -> None:
        self._obstacle = obstacle
        self._is_reported = False

    def on_fit_start(self, trainer: RunContext) -> None:
        """Report the obstacle."""
        if self._obstacle is not None:
            self._report(trainer, f"the training runs without a CUDA graph, which is slower: {self._obstacle}")

    def on_step_end(self, trainer: RunContext) -> None:
        """Report a failed recording."""
        graphs = trainer.state.algorithm.graphs
        if graphs is None or graphs.failure is None or self._is_reported:
            return
        if trainer.recipe.cuda_graph == "always":
            message = f"the iteration cannot be recorded; set auto or never: {graphs.failure}"
            raise TrainingError(message, field="cuda_graph", reason="not_recordable")
        self._report(trainer, f"the recording of a CUDA graph failed, and the training goes on without: {graphs.failure}")

    def _report(self, trainer: RunContext, message: str) -> None:
        self._is_reported = True
        diagnostic = Diagnostic("not_recorded", message)
        if trainer.log is not None:
            trainer.log.write_diagnostics(trainer.state.step, (diagnostic,))
        trainer.emit(ProgressEvent(trainer.state.step, diagnostics=(diagnostic,)))
