"""The course quotes the numbers that its command finds."""

import re
from pathlib import Path

import pytest

from seedmint.training.theory import fits
from seedmint.training.theory.course import EXPERIMENTS

DOCS = Path(__file__).parents[3] / "docs"
PLAIN = str.maketrans("\N{MINUS SIGN}⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")
NUMBER = r"-?\d+(?:\.\d+)?(?:e-\d+)?"
GIVEN = {"fits": [fits.STDS[0]]}  # constants of an experiment that its numbers do not tell


def quoted(text):
    """Each number with a point or a power of ten, and half a unit of its last digit; per cents are told of the method."""
    text = text.translate(PLAIN).replace(" · 10-", "e-")
    for number in re.findall(rf"{NUMBER}(?!\d|\.\d|%)", text):
        digits, _, exponent = number.partition("e")
        decimals = len(digits.partition(".")[2])
        if decimals or exponent:
            yield float(number), 0.5 * 10.0 ** (int(exponent or 0) - decimals)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_numbers_in_the_text_are_those_found(name):
    """Rounded: each is within half a unit of its last digit of a number in the table of its own experiment."""
    course, tables = ((DOCS / file).read_text(encoding="utf-8") for file in ("theory.md", "theory/numbers.md"))
    (paragraph,) = re.findall(rf"\]\(theory/{name}\.png\)\n\n\*Numbers:\* (.+?)\n\n", course, re.DOTALL)
    (table,) = re.findall(rf"\]\({name}\.png\)\n\n(.+?)(?:\n\n|\Z)", tables, re.DOTALL)
    told = [*map(float, re.findall(NUMBER, table)), *GIVEN.get(name, [])]
    quotes = list(quoted(paragraph))
    assert len(quotes) >= 3
    for number, half in quotes:
        assert any(abs(number - found) <= half * (1 + 1e-9) for found in told), f"{number} is not in the table of {name}"
