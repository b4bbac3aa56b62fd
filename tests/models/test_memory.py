"""Memory limits and memory use of containers, from control groups, and the memory of ONNX Runtime."""

from pathlib import Path

import psutil
import pytest

from seedmint.models.runtime import memory
from seedmint.models.runtime.memory import Memory, bound_memory, container_memory, machine_memory, max_constant_bytes

MIB = 1 << 20


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def second(limit: str) -> dict[str, str]:
    stat = f"anon {200 * MIB}\nfile {300 * MIB}\nshmem {20 * MIB}\ninactive_file {250 * MIB}\nactive_file {30 * MIB}\n"
    return {"memory.max": limit, "memory.current": f"{520 * MIB}\n", "memory.stat": stat}


def first(limit: str) -> dict[str, str]:
    # Lines without "total_" exclude child groups.
    stat = f"cache {1 * MIB}\ninactive_file {1 * MIB}\ntotal_cache {300 * MIB}\ntotal_inactive_file {250 * MIB}\n"
    files = {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": f"{520 * MIB}\n", "memory.stat": stat}
    return {f"memory/{name}": text for name, text in files.items()}


@pytest.mark.parametrize("files", [second("1073741824\n"), first("1073741824\n")])
def test_working_set_excludes_inactive_cache(tmp_path: Path, files: dict[str, str]):
    write(tmp_path, files)
    assert container_memory(tmp_path) == Memory(limit=1 << 30, working_set=270 * MIB)


@pytest.mark.parametrize("files", [second("max\n"), first("9223372036854771712\n"), {}])
def test_container_without_limit_has_no_memory_figures(tmp_path: Path, files: dict[str, str]):
    write(tmp_path, files)
    assert container_memory(tmp_path) is None


def test_working_set_is_never_negative(tmp_path: Path):
    write(tmp_path, second("1073741824\n") | {"memory.current": f"{100 * MIB}\n"})
    assert container_memory(tmp_path) == Memory(limit=1 << 30, working_set=0)


@pytest.mark.parametrize("files", [second("1048576\n"), first("1048576\n")])
def test_the_limit_of_a_container_is_its_memory(tmp_path: Path, files: dict[str, str]):
    write(tmp_path, files)
    assert machine_memory(tmp_path) == 1 << 20


@pytest.mark.parametrize("files", [second("max\n"), second(f"{1 << 59}\n"), first(f"{1 << 60}\n"), {}])
def test_a_limit_above_the_memory_of_the_machine_does_not_count(tmp_path: Path, files: dict[str, str]):
    write(tmp_path, files)
    assert machine_memory(tmp_path) == psutil.virtual_memory().total


def test_a_limit_is_a_number_below_2_to_the_60(tmp_path: Path):
    write(tmp_path, second(f"{(1 << 60) - 1}\n"))
    assert container_memory(tmp_path) == Memory(limit=(1 << 60) - 1, working_set=270 * MIB)
    write(tmp_path, second(f"{1 << 60}\n"))
    assert container_memory(tmp_path) is None


def test_files_of_a_version_that_are_missing_leave_no_figures(tmp_path: Path):
    write(tmp_path, {"memory.max": "1048576\n"})
    assert container_memory(tmp_path) is None


@pytest.fixture
def arena(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of arenas that are created, on a machine with 1,000 bytes; none is created in this process."""
    sizes: list[int] = []
    monkeypatch.setattr(memory, "_arena_bytes", [])
    monkeypatch.setattr(memory, "machine_memory", lambda: 1000)
    monkeypatch.setattr(memory.ort, "OrtArenaCfg", lambda settings: settings["max_mem"])
    monkeypatch.setattr(memory.ort, "create_and_register_allocator", lambda _, size: sizes.append(size))
    return sizes


def test_the_arenas_of_all_processes_have_half_of_the_memory(arena: list[int]):
    assert [bound_memory(2), bound_memory(5), bound_memory()] == [250, 250, 250]
    assert arena == [250]  # created once


def test_a_single_process_has_one_arena_of_half_of_the_memory(arena: list[int]):
    assert bound_memory() == 500
    assert arena == [500]


@pytest.mark.parametrize(("nodes", "size"), [(0, 125), (1, 125), (2, 62), (5, 25)])
def test_the_nodes_of_a_graph_share_a_quarter_of_an_arena_for_constants(arena: list[int], nodes: int, size: int):
    assert max_constant_bytes(nodes) == size
