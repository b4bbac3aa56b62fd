"""Checks that this machine computes the published noise tables."""

from seedmint.models.errors import UserError
from seedmint.models.noise import table


class MachineError(UserError):
    """This machine would generate other images from the same seeds."""

    reason = "noise_table_differs"


def check_tables(*rules: str) -> None:
    """Compute the quantile tables of noise rules, and compare them with the published ones. The tables are cached.

    Args:
        rules: Noise rules of `seedmint.models.noise`.

    Raises:
        MachineError: A table differs.
    """
    try:
        for rule in rules:
            table(rule)
    except RuntimeError as error:
        raise MachineError(f"{error}: this machine would generate other images from the same seeds") from None
