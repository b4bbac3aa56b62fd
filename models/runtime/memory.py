"""The memory that generators may take, so that a hostile file fails by itself and not the machine.

A file of a kilobyte may ask for a tensor of a terabyte. ONNX Runtime takes what runs need from one arena for all sessions of a
process, which is told here how far it may grow; and what it computes once, when a session is made, is bounded too.
"""

import contextlib
from pathlib import Path
from typing import NamedTuple

import onnxruntime as ort
import psutil  # type: ignore[import-untyped]

_SHARE = 0.5  # of the machine's memory, for the arenas of all processes together
_FOLDED_SHARE = 0.25  # of an arena: the constants of one generator
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # version 2, version 1

_arena: list[int] = []  # the bytes of this process's, once it is made


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container around this process if that is less."""
    sizes = [int(psutil.virtual_memory().total)]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # there is none; or "max"
            sizes.append(int(Path(path).read_text(encoding="ascii")))
    return min(sizes)


def bound_memory(processes: int = 1) -> int:
    """The most bytes that the arena of this process takes. The first call makes it.

    Args:
        processes: how many share the machine.
    """
    if not _arena:
        most = int(machine_memory() * _SHARE) // processes
        memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"max_mem": most}))
        _arena.append(most)
    return _arena[0]


def most_folded(nodes: int) -> int:
    """The most bytes of a constant that a session may compute ahead for one node, if its graph has so many of them."""
    return int(bound_memory() * _FOLDED_SHARE) // max(1, nodes)


_CGROUPS = Path("/sys/fs/cgroup")  # in a container, that of the container


# Of the second and of the first version of control groups: limit, use, and which line of memory.stat is cache that the kernel
# takes back before it ends a process.
_MEMORY = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


_NO_LIMIT = 1 << 60  # the first version writes "none" as nearly 2**63


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
