"""The parts of the GPU benchmark run at the tiny size on a CPU, and a part that fails does not stop the others."""

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_parts import PARTS, Size


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_part_runs(name):
    lines = list(PARTS[name](Size(torch.device("cpu"), "cpu", True, 0.2)))
    assert lines
    assert not [line for line in lines if "greatest difference" in line]


def test_each_part_has_a_time_within_the_total():
    assert set(gpu.SECONDS) == set(PARTS)
    assert sum(gpu.SECONDS.values()) <= gpu.TOTAL_SECONDS < 8 * 60


def test_a_failed_part_does_not_lose_the_others(tmp_path, monkeypatch):
    def run_part(name, is_tiny, seconds, on_line):
        on_line(f"a figure of {name}")
        return "status 1: RuntimeError: no cuDNN" if name == "speed" else None

    monkeypatch.setattr(gpu, "run_part", run_part)
    failed = gpu.write_report(["equality", "speed", "memory"], True, tmp_path / "gpu.txt")
    report = (tmp_path / "gpu.txt").read_text()
    assert failed == ["speed"]
    assert all(f"a figure of {name}" in report for name in ("equality", "speed", "memory"))
    assert "no cuDNN" in report


@pytest.mark.slow
def test_a_process_reports_its_lines_and_its_error():
    lines = []
    assert gpu.run_part("memory", True, 300, lines.append) is None
    assert lines
    error = gpu.run_part("no such part", True, 300, lines.append)
    assert error is not None
    assert "KeyError" in error
