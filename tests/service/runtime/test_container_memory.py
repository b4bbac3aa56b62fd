"""Memory limits and memory use of containers, from control groups."""

from pathlib import Path

import pytest

from seedmint.models.runtime.memory import Memory, container_memory

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
