"""A soak test of one minute."""

import pytest

from tests.faults.conftest import Hold
from tests.faults.soak import MAX_GROWTH_MIB, soak


@pytest.mark.slow
@pytest.mark.fault("soak test")
def test_memory_does_not_grow(hold: Hold):
    memory, requests, unexpected = soak(minutes=1)
    assert requests > 500
    hold("responses with an unexpected status", unexpected, 0, exactly=True)
    hold("memory grown by, in the last 42 s", memory.grown(), MAX_GROWTH_MIB, "MiB")
