"""The shipped generators on emulated processors: with AVX2 as on the card, and without it."""

import json
import platform
import shutil
import subprocess
import sys
from typing import Any

import pytest

from seedmint.models.directory import SHIPPED

EMULATOR = "qemu-x86_64"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(EMULATOR) is None, reason="needs qemu-user"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="runs this Python interpreter on an emulated x86-64 processor"),
]


def verified_on(processor: str, *names: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit status and the outcomes of `models verify` on an emulated processor, for all generators or some."""
    command = [EMULATOR, "-cpu", processor, sys.executable, "-m", "seedmint", "models", "verify", *names, "--json"]
    result = subprocess.run([*command, "--models", str(SHIPPED)], capture_output=True, text=True, timeout=1200)
    return result.returncode, {outcome["name"]: outcome for outcome in json.loads(result.stdout)}


@pytest.mark.timeout(1300)
def test_a_processor_with_avx2_computes_the_references():
    status, outcomes = verified_on("Haswell")
    assert len(outcomes) == len(list(SHIPPED.glob("*.onnx"))) > 0
    assert {outcome["determinism"] for outcome in outcomes.values()} == {"exact"}
    assert all(outcome["outputs"] == outcome["expected"] and outcome["difference"] == 0 for outcome in outcomes.values())
    assert status == 0


@pytest.mark.timeout(1300)
def test_a_processor_without_fma_is_found_out_and_its_difference_is_measured():
    """Nehalem has SSE4.2. Its kernels add products in another order, so single values are rounded to a neighbor."""
    # The resolution on the card; unknown, because only outputs differ that the card does not have.
    differences = {"sines": pytest.approx(2**-14, rel=1e-3), "fashion-mnist": None}
    status, outcomes = verified_on("Nehalem", *differences)
    for name, difference in differences.items():
        outcome = outcomes[name]
        assert outcome["determinism"] == "approximate"
        assert outcome["outputs"] != outcome["expected"]
        assert outcome["is_batch_independent"]
        assert outcome["difference"] == difference
    assert status == 1
