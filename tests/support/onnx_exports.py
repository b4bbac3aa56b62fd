"""Faster exports with torch."""

import functools
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def exporter_operators() -> Iterator[None]:
    """Load the exporter's table of operators once per process.

    For this table, torch parses the source of about 500 functions in each export: half the time of the export of a small
    network. The table is the same each time, unless an export adds operators of its own.
    """
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(ONNXRegistry, "from_torchlib", staticmethod(functools.cache(ONNXRegistry.from_torchlib)))
        yield
