"""The section `series` of a card, and the lengths of series in arrays."""

import numpy as np
import pytest
from pydantic import ValidationError

from seedmint.models.card import SampleOutput, SeriesOutput
from seedmint.models.series import cut_series, is_valid, series_lengths


def output_of(series, shape=(4, 2)):
    names = tuple("abc"[: shape[-1]])
    return SampleOutput(kind="sample", shape=shape, names=names, series=series)


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"units": ("m",)}, (4, 2)),
        ({"lengths": (4, 4)}, (4, 2)),
        ({"lengths": (2, 3)}, (4, 2)),
        ({"lengths": (0, 4)}, (4, 2)),
        ({"step": ""}, (4, 2)),
        ({"step": "1 hour"}, (2,)),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(fields, shape):
    with pytest.raises(ValidationError):
        output_of(SeriesOutput(**fields), shape)


def test_titles_have_units():
    assert output_of(SeriesOutput(units=("m", None))).titles == ("a (m)", "b")
    assert output_of(None).titles == ("a", "b")
    assert "series" not in output_of(None).model_dump(mode="json")


def ended(*lengths):
    samples = np.zeros((len(lengths), 4, 2), np.float32)
    for row, length in zip(samples, lengths, strict=True):
        row[length:] = np.nan
    return samples


def test_series_end_at_their_length():
    output, samples = output_of(SeriesOutput(lengths=(2, 4))), ended(4, 2, 3)
    assert series_lengths(samples).tolist() == [4, 2, 3]
    assert [part.shape for part in cut_series(output, samples)] == [(4, 2), (2, 2), (3, 2)]
    assert [part.shape for part in cut_series(output_of(None), np.zeros((1, 4, 2), np.float32))] == [(4, 2)]


def test_only_values_after_the_end_may_be_missing():
    output, samples = output_of(SeriesOutput(lengths=(2, 4))), ended(4, 2, 3)
    assert is_valid(output, samples)
    assert not is_valid(output_of(None), samples)
    assert not is_valid(output, ended(1))
    for place in ((0, 1), (2, 1, 0), (2, 0)):
        wrong = samples.copy()
        wrong[place] = np.nan
        assert not is_valid(output, wrong)
    samples[1, 0, 0] = np.inf
    assert not is_valid(output, samples)
