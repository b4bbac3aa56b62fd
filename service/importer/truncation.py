"""Whether a factor on z changes the outputs of a generator. StyleGAN normalizes z, so that only rounding changes."""

import numpy as np
from numpy.typing import NDArray

TRIED_TRUNCATION = 0.1
TRIED_SEEDS = 4
_MIN_CHANGE = 0.01  # of the range of the outputs: more than two gray levels, which rounding does not reach


def truncation_has_effect(outputs: NDArray[np.generic], truncated: NDArray[np.generic]) -> bool:
    """Return whether the outputs with truncation differ by more than rounding.

    Args:
        outputs: Outputs of some seeds with truncation 1: pixels, raw values or samples.
        truncated: Outputs of the same seeds with `TRIED_TRUNCATION`, or the first of them.
    """
    whole, small = (np.asarray(values, np.float64) for values in (outputs[: len(truncated)], truncated))
    return bool(np.abs(whole - small).max() > _MIN_CHANGE * (whole.max() - whole.min()))
