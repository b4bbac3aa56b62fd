"""The memory that generators may take, so that a hostile file fails by itself and not the machine.

A file of a kilobyte may ask for a tensor of a terabyte. ONNX Runtime takes what runs need from one arena for all sessions of a
process, which is told here how far it may grow; and what it computes once, when a session is made, is bounded too.
"""

import contextlib
from pathlib import Path

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
