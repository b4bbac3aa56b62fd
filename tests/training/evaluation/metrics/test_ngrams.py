"""n-grams, their divergence and their model; edit distances. Compared with SciPy and with the definition."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from seedmint.training.evaluation.metrics.edit_distance import closest_strings
from seedmint.training.evaluation.metrics.ngrams import NgramModel, count_ngrams, jensen_shannon

WORDS = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=5)


def test_ngrams_have_starts_and_one_end():
    assert count_ngrams(["ab"], 1) == Counter({"a": 1, "b": 1, "\x03": 1})
    assert count_ngrams(["ab"], 3) == Counter({"\x02\x02a": 1, "\x02ab": 1, "ab\x03": 1})


@given(WORDS, WORDS)
def test_divergence_agrees_with_scipy(first, second):
    a, b = count_ngrams(first, 2), count_ngrams(second, 2)
    keys = sorted(a.keys() | b.keys())
    expected = jensenshannon([a[key] for key in keys], [b[key] for key in keys], base=2) ** 2
    assert jensen_shannon(a, b) == pytest.approx(expected, abs=1e-9)


def test_the_model_draws_the_ngrams_of_the_strings():
    model = NgramModel(["ab"] * 3 + ["cd"], 2)
    drawn = model.draw(4000)
    assert {*drawn} == {"ab", "cd"}
    assert drawn.count("ab") / 4000 == pytest.approx(0.75, abs=0.03)
    assert model.draw(10) == drawn[:10]


def test_the_model_draws_long_strings_of_one_length():
    """A chain with the ends of the data seldom draws a string of exactly this length."""
    random = np.random.default_rng(0)
    strings = ["".join(row) for row in random.choice(list("ACGT"), size=(100, 256))]
    assert {len(text) for text in NgramModel(strings, 4).draw(10)} == {256}


def levenshtein(a: str, b: str) -> int:
    row = np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        previous, row[0] = row.copy(), i
        for j, y in enumerate(b, 1):
            row[j] = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x != y))
    return int(row[-1])


@given(WORDS, WORDS)
def test_the_closest_strings_are_those_of_the_definition(strings, others):
    distances, rows = closest_strings(strings, others)
    for text, distance, row in zip(strings, distances, rows, strict=True):
        found = [levenshtein(text, other) for other in others]
        assert (distance, row) == (min(found), int(np.argmin(found)))
