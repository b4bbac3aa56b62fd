"""Whether this machine computes what every other does, and what it gives the service."""

import contextlib
from pathlib import Path
from typing import NamedTuple

from models.errors import UserError
from models.noise import table

_CGROUPS = Path("/sys/fs/cgroup")  # in a container, that of the container
# Of the second and of the first version of control groups: limit, use, and which line of memory.stat is cache that the kernel
# takes back before it ends a process.
_MEMORY = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
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


class Memory(NamedTuple):
    """Of a container, in bytes.

    Attributes:
        limit: what its processes may use together; beyond it the kernel ends one.
        working_set: what they use, files on tmpfs and the kernel's own records among it, but no cache that can be taken
            back: as Kubernetes reckons it.
    """

    limit: int
    working_set: int


def container_memory(cgroups: Path = _CGROUPS) -> Memory | None:
    """The memory of the container around this process, or None where it has no limit."""
    for limit, used, stat, cache in _MEMORY:
        with contextlib.suppress(OSError, ValueError, KeyError):  # another version of control groups, or "max"
            most = int((cgroups / limit).read_text(encoding="ascii"))
            if most >= _NO_LIMIT:
                return None
            counts = dict(line.split() for line in (cgroups / stat).read_text(encoding="ascii").splitlines())
            return Memory(most, max(0, int((cgroups / used).read_text(encoding="ascii")) - int(counts[cache])))
    return None
