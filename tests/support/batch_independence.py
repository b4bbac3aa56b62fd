"""Asserts that an output of a generator depends only on its seed, label and truncation, not on its batch."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seedmint.service.runtime.generator import Generator

_SEEDS = st.lists(st.integers(0, 40) | st.integers(0, 2**63 - 1), min_size=1, max_size=24)


def assert_rows_are_independent(content: bytes, examples: int = 8) -> None:
    """Generate random batches, and compare each row with the output of a batch of one.

    Args:
        content: A generator file.
        examples: Number of batches.
    """
    generator = Generator(content, "cpu", 1, 64)
    assert generator.determinism == "exact"
    alone: dict[tuple[int, float], bytes] = {}

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(seeds=_SEEDS, truncations=st.lists(st.sampled_from([1.0, 1.0, 0.5, 0.001]), min_size=24, max_size=24))
    def check(seeds: list[int], truncations: list[float]) -> None:
        factors = np.array(truncations[: len(seeds)], np.float32)
        rows = generator.generate(np.array(seeds, np.int64), truncation=factors)
        for seed, factor, row in zip(seeds, factors.tolist(), rows, strict=True):
            if (seed, factor) not in alone:
                alone[seed, factor] = generator.generate(np.array([seed], np.int64), truncation=factor).tobytes()
            assert row.tobytes() == alone[seed, factor]

    check()
