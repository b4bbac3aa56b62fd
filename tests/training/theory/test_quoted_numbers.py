"""The numbers in docs/theory.md match those in docs/theory/numbers.md."""

import re
from pathlib import Path

import pytest

from seedmint.training.theory import fits
from seedmint.training.theory.experiments import EXPERIMENTS

DOCS = Path(__file__).parents[3] / "docs"
PLAIN_DIGITS = str.maketrans("\N{MINUS SIGN}⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")
NUMBER = r"-?\d+(?:\.\d+)?(?:e-\d+)?"
CONSTANTS = {"fits": [fits.STDS[0]]}  # constants of an experiment that its table does not contain


def quoted_numbers(text):
    """Yield each number with a decimal point or a power of ten, and half a unit of its last digit. Skips percentages."""
    text = text.translate(PLAIN_DIGITS).replace(" · 10-", "e-")
    for number in re.findall(rf"{NUMBER}(?!\d|\.\d|%)", text):
        digits, _, exponent = number.partition("e")
        decimals = len(digits.partition(".")[2])
        if decimals or exponent:
            yield float(number), 0.5 * 10.0 ** (int(exponent or 0) - decimals)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_quoted_numbers_are_in_the_table(name):
    """Each quoted number is a rounded number of the table of its experiment."""
    page, tables = ((DOCS / file).read_text(encoding="utf-8") for file in ("theory.md", "theory/numbers.md"))
    (paragraph,) = re.findall(rf"\]\(theory/{name}\.png\)\n\n\*Numbers:\* (.+?)\n\n", page, re.DOTALL)
    (table,) = re.findall(rf"\]\({name}\.png\)\n\n(.+?)(?:\n\n|\Z)", tables, re.DOTALL)
    numbers = [*map(float, re.findall(NUMBER, table)), *CONSTANTS.get(name, [])]
    quotes = list(quoted_numbers(paragraph))
    assert len(quotes) >= 3
    for number, half in quotes:
        assert any(abs(number - found) <= half * (1 + 1e-9) for found in numbers), f"{number} is not in the table of {name}"
