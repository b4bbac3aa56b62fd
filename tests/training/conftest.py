"""Seeds torch before each test, and uses one thread: more threads would compete with parallel tests."""

import multiprocessing

import pytest
import torch

from tests.support.onnx_exports import exporter_operators  # noqa: F401

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def processes():
    """Starts processes that have imported torch, which takes seconds, and share no state with this process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seedmint.training.runs.directory", "torch._dynamo", "torch._inductor", "sklearn.datasets"])
    return context


@pytest.fixture(autouse=True)
def _seeded():
    torch.default_generator.manual_seed(0)  # torch.manual_seed takes milliseconds: it formats the stack for each kind of device
