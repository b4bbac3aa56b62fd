"""Whether truncation changes a generator: differences of rounding do not count."""

import numpy as np
import pytest

from seedmint.service.importer.truncation import truncation_has_effect


@pytest.mark.parametrize("values", [np.uint8, np.float32])
def test_only_differences_beyond_rounding_count(values: type):
    outputs = np.linspace(0, 255, 4 * 64).reshape(4, 64).astype(values)
    rounded = outputs.copy()
    rounded[:, 5] += values(1)
    changed = outputs.copy()
    changed[1, 5] += values(9)
    assert not truncation_has_effect(outputs, outputs)
    assert not truncation_has_effect(outputs, rounded)
    assert not truncation_has_effect(outputs, rounded[:2])
    assert truncation_has_effect(outputs, changed[:2])


def test_constant_outputs_have_no_effect():
    assert not truncation_has_effect(np.full((2, 3), 7.0), np.full((2, 3), 7.0))
