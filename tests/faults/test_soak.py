"""The soak, for as long as a build server has time for."""

import pytest

from tests.faults.conftest import Hold
from tests.faults.soak import MOST_MIB, soak


@pytest.mark.slow
@pytest.mark.fault("a soak: everything, again and again")
def test_memory_stays_flat(hold: Hold):
    memory, asked, wrong = soak(minutes=1)
    assert asked > 500
    hold("answers that were not as they must be, of all", wrong, 0, exactly=True)
    hold("memory grown by, in the last 42 s", memory.grown(), MOST_MIB, "MiB")
