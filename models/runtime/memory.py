"""Memory limits for ONNX Runtime, so that a hostile generator file fails and does not exhaust the machine.

A file of one kilobyte can request a tensor of one terabyte. All sessions of a process allocate from one
arena of bounded size. The memory for constants, which a session computes while it is created, is bounded as well.
"""

import contextlib
from pathlib import Path
from typing import NamedTuple

import onnxruntime as ort
import psutil  # type: ignore[import-untyped]

_ARENA_SHARE = 0.5  # of the machine's memory, for the arenas of all processes together
_CONSTANTS_SHARE = 0.25  # of one arena, for the computed constants of one generator
_CGROUPS = Path("/sys/fs/cgroup")  # inside a container: the control group of the container
_NO_LIMIT = 1 << 60  # cgroup version 1 writes "no limit" as a number near 2**63

_arena_bytes: list[int] = []  # size of this process's arena; empty until the arena is created


class _CgroupFiles(NamedTuple):
    """Memory files of one cgroup version. `cache` is the line of `stat` with the page cache that the kernel can reclaim."""

    limit: str
    usage: str
    stat: str
    cache: str


_CGROUP_VERSIONS = (
    _CgroupFiles("memory.max", "memory.current", "memory.stat", "inactive_file"),
    _CgroupFiles("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


class Memory(NamedTuple):
    """Memory of a container, in bytes.

    Attributes:
        limit: Maximum memory of all processes of the container. Above the limit, the kernel kills a process.
        working_set: Bytes in use without the page cache that the kernel can reclaim, as Kubernetes computes it. Includes
            files on tmpfs and memory of the kernel.
    """

    limit: int
    working_set: int


def machine_memory(cgroups: Path = _CGROUPS) -> int:
    """Return the memory of this machine in bytes, or the limit of the container around this process if that is smaller.

    Args:
        cgroups: Directory where the control groups are mounted.
    """
    limits = [limit for files in _CGROUP_VERSIONS if (limit := _limit(cgroups, files)) is not None]
    return min([int(psutil.virtual_memory().total), *limits])


def container_memory(cgroups: Path = _CGROUPS) -> Memory | None:
    """Return the memory of the container around this process, or None if the container has no limit.

    Args:
        cgroups: Directory where the control groups are mounted.
    """
    for files in _CGROUP_VERSIONS:
        if (limit := _limit(cgroups, files)) is None:
            continue
        with contextlib.suppress(OSError, ValueError, KeyError):
            counts = dict(line.split() for line in (cgroups / files.stat).read_text(encoding="ascii").splitlines())
            usage = int((cgroups / files.usage).read_text(encoding="ascii"))
            return Memory(limit, max(0, usage - int(counts[files.cache])))
    return None


def bound_memory(processes: int = 1) -> int:
    """Create the arena of this process, unless it exists, and return its maximum size in bytes.

    Args:
        processes: Number of processes that share the machine. Ignored once the arena exists.
    """
    if not _arena_bytes:
        size = int(machine_memory() * _ARENA_SHARE) // processes
        memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"max_mem": size}))
        _arena_bytes.append(size)
    return _arena_bytes[0]


def max_constant_bytes(nodes: int) -> int:
    """Return the maximum size in bytes of a constant that a session computes ahead for one node.

    Args:
        nodes: Number of nodes in the graph. They share the memory for constants.
    """
    return int(bound_memory() * _CONSTANTS_SHARE) // max(1, nodes)


def _limit(cgroups: Path, files: _CgroupFiles) -> int | None:
    """Return the memory limit in bytes, or None if this cgroup version is absent or sets no limit."""
    with contextlib.suppress(OSError, ValueError):  # no such file, or the word "max"
        limit = int((cgroups / files.limit).read_text(encoding="ascii"))
        if limit < _NO_LIMIT:
            return limit
    return None
