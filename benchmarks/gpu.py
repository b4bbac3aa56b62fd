"""All checks and measurements of a machine with a GPU, in under eight minutes: writes benchmarks/results/gpu.txt as it goes.

    python -m benchmarks.gpu                      # all parts
    python -m benchmarks.gpu --parts speed,paper  # some parts
    python -m benchmarks.gpu --tiny               # without a GPU: all parts at a tiny size, which shows only that they run

The parts need MNIST in $SEEDMINT_DATA/mnist, and `serving` needs onnxruntime-gpu.

Each part has its own process and its own time. A part that fails or takes too long does not stop the others; the report
contains its error. benchmarks/README.md explains the report.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from seedmint.models.files import write_whole

RESULT = Path(__file__).parent / "results" / "gpu.txt"

TOTAL_SECONDS = 470.0
SECONDS = {"equality": 50, "speed": 60, "paper": 140, "serving": 50, "determinism": 30, "memory": 25, "stacked": 100}
"""Time of each part, in seconds, with the start of its process."""

_START_SECONDS = 15.0  # of a process, until its measurements begin
_MEASURE_SECONDS = {"paper": 20.0, "stacked": 35.0}  # after a training, for the metric
_LAST_ERROR_LINES = 3


def run_part(name: str, is_tiny: bool, seconds: float, on_line: Callable[[str], None]) -> str | None:
    """Run one part in a process, which is killed after its time.

    Args:
        name: Name of the part.
        is_tiny: Whether the part runs at the tiny size, on the CPU.
        seconds: Time of the part.
        on_line: Called with each line of the part when the part writes it.

    Returns:
        Why the part failed, in one line; None if it succeeded.
    """
    budget = max(1.0, seconds - _START_SECONDS - _MEASURE_SECONDS.get(name, 0.0))
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", name, "--seconds", f"{budget:g}"]
    process = subprocess.Popen(
        [*command, *(["--tiny"] if is_tiny else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reader.start()
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    began = time.monotonic()
    for line in process.stdout:
        on_line(line.rstrip())
    status = process.wait()
    timer.cancel()
    reader.join()
    if status == 0:
        return None
    if status < 0 and time.monotonic() - began >= seconds:
        return f"stopped after {seconds:.0f} s"
    return f"status {status}: " + " | ".join(line.strip() for line in errors[-_LAST_ERROR_LINES:])


def write_report(parts: list[str], is_tiny: bool, result: Path | None, total_seconds: float = TOTAL_SECONDS) -> list[str]:
    """Run the parts, and write the report after each line.

    Args:
        parts: Names of the parts.
        is_tiny: Whether the parts run at the tiny size, on the CPU.
        result: The file of the report; None prints only.
        total_seconds: Time of all parts. Parts that begin later are left out, and the report says so.

    Returns:
        The names of the parts that failed.
    """
    from benchmarks.training import machine

    began, failed = time.monotonic(), []
    lines: list[str] = []

    def add(line: str) -> None:
        lines.append(line)
        print(line, flush=True)
        if result is not None:
            write_whole(result, ("\n".join(lines) + "\n").encode())

    add(machine() + (", tiny size on the CPU: the figures mean nothing" if is_tiny else ""))
    for name in parts:
        left = total_seconds - (time.monotonic() - began)
        seconds = min(float(SECONDS[name]), left)
        add("")
        if seconds <= _START_SECONDS:
            failed.append(name)
            add(f"{name}: not run, the time was over")
            continue
        start = time.monotonic()
        if (error := run_part(name, is_tiny, seconds, lambda line: add(f"  {line}"))) is not None:
            failed.append(name)
            add(f"  failed: {error}")
        add(f"{name}: {time.monotonic() - start:.0f} s")
    add("")
    add(f"{time.monotonic() - began:.0f} s in total; failed: {', '.join(failed) or 'none'}")
    return failed


def _run_here(name: str, is_tiny: bool, seconds: float) -> None:
    import torch

    from benchmarks.gpu_parts import PARTS, Size

    size = Size(torch.device("cpu" if is_tiny else "cuda"), "cpu" if is_tiny else "cuda", is_tiny, seconds)
    for line in PARTS[name](size):
        print(line, flush=True)


def main() -> None:
    """Run one part in this process, or all parts in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(SECONDS), help=f"any of {','.join(SECONDS)} (default: all)")
    parser.add_argument("--tiny", action="store_true", help="run at a tiny size on the CPU, as a test")
    parser.add_argument(
        "--out", type=Path, help=f"file of the report (default: {RESULT.relative_to(Path(__file__).parents[1])})"
    )
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        _run_here(options.part, options.tiny, options.seconds)
        return
    parts = options.parts.split(",")
    if unknown := set(parts) - set(SECONDS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}")
    if not options.tiny and not _has_gpu():
        sys.exit("torch finds no CUDA device: use --tiny, which runs all parts on the CPU")
    result = options.out or (None if options.tiny else RESULT)
    sys.exit(1 if write_report(parts, options.tiny, result) else os.EX_OK)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    main()
