"""Errors of a training run."""

from seedmint.models.errors import UserError


class TrainingError(UserError):
    """A run that cannot start or continue. Earlier checkpoints are kept."""

    reason = "training"


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged or of another format."""

    reason = "checkpoint"


class DivergenceError(TrainingError):
    """V, a weight or an optimizer's average is not finite.

    Attributes:
        step: The first step after which a value is not finite, from 1.
        name: `V`, or the name of the tensor; None if a repetition of the steps stays finite.
        checkpoint_step: Step of the newest checkpoint; None without one.
    """

    reason = "diverged"

    def __init__(self, message: str, step: int, name: str | None, checkpoint_step: int | None) -> None:
        """
        Args:
            message: One line.
            step: See the class.
            name: See the class.
            checkpoint_step: See the class.
        """
        super().__init__(message, reason="diverged" if name is not None else "diverged_once")
        self.step, self.name, self.checkpoint_step = step, name, checkpoint_step
