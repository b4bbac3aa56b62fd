"""Whether this machine computes what every other does, and what it gives the service."""

import contextlib
from pathlib import Path

from models.errors import UserError
from models.noise import table

# Of the second and of the first version of control groups; in a container, that of the container.
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_NO_LIMIT = 1 << 60  # the first version writes "none" as nearly 2**63


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


def memory_limit(files: tuple[Path, ...] = _MEMORY_LIMITS) -> int | None:
    """Bytes that the control group of this process, or its container, may use; None without a limit."""
    for file in files:
        with contextlib.suppress(OSError, ValueError):  # another version of control groups, or "max"
            limit = int(file.read_text())
            return limit if limit < _NO_LIMIT else None
    return None
