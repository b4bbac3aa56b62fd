"""Whether this machine computes what every other does, and what it gives the service."""

from seedmint.models.errors import UserError
from seedmint.models.noise import table


class MachineError(UserError):
    """This machine would make other images of the same seeds."""


def check_tables(*rules: str) -> None:
    """Compute the quantile tables of noise rules, which are kept, and hold them against the published ones.

    Raises:
        MachineError: one differs.
    """
    try:
        for rule in rules:
            table(rule)
    except RuntimeError as error:
        raise MachineError(f"{error}: its images would be others, too") from None
