"""Reports what makes a run slow on this machine: emulated bfloat16, and iterations without CUDA graphs."""

from collections.abc import Sequence

from seedmint.training.runs.diagnostics import Diagnostic
from seedmint.training.runs.errors import TrainingError
from seedmint.training.runs.hook import Hook, RunContext
from seedmint.training.runs.progress import ProgressEvent


class MachineHook(Hook):
    """Reports warnings at the start, and a failed recording of a CUDA graph once.

    Args:
        warnings: The warnings.

    Raises:
        TrainingError: A recording has failed, and the recipe says `cuda_graph: always`.
    """

    def __init__(self, warnings: Sequence[Diagnostic]) -> None:
        self._warnings = tuple(warnings)
        self._is_failure_reported = False

    def on_fit_start(self, trainer: RunContext) -> None:
        """Report the warnings."""
        if self._warnings:
            self._report(trainer, self._warnings)

    def on_step_end(self, trainer: RunContext) -> None:
        """Report a failed recording."""
        graphs = trainer.state.algorithm.graphs
        if graphs is None or graphs.failure is None or self._is_failure_reported:
            return
        self._is_failure_reported = True
        if trainer.recipe.cuda_graph == "always":
            message = f"the iteration cannot be recorded; set auto or never: {graphs.failure}"
            raise TrainingError(message, field="cuda_graph", reason="not_recordable")
        message = f"the recording of a CUDA graph failed, and the training goes on without: {graphs.failure}"
        self._report(trainer, (Diagnostic("not_recorded", message),))

    def _report(self, trainer: RunContext, diagnostics: tuple[Diagnostic, ...]) -> None:
        if trainer.log is not None:
            trainer.log.write_diagnostics(trainer.state.step, diagnostics)
        trainer.emit(ProgressEvent(trainer.state.step, diagnostics=diagnostics))
