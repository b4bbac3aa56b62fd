"""Where a run that is no longer finite ceased to be."""

import math

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.optimization import distributed
from seedmint.training.runs.state import nonfinite


def first_nonfinite(algorithm: Algorithm1, begin: int, end: int) -> tuple[int, str] | None:
    """Go through iterations again, looking at V and at every tensor after each.

    Training never waits for such looks; since every iteration can be repeated, one that went wrong can be found afterwards.

    Args:
        algorithm: as it was after `begin` iterations; moved on.
        begin, end: iterations done.

    Returns:
        the first step after which something is not finite, from 1, and what: V, or the tensor updated first. None if all is.
    """
    for iteration in range(begin, end):
        statistics = algorithm.iterate(iteration)
        distributed.average([statistics])
        value = float(statistics[0])
        if not math.isfinite(value):
            return iteration + 1, f"V is {value}"
        if (name := nonfinite(algorithm)) is not None:
            return iteration + 1, f"{name} is not finite"
    return None
