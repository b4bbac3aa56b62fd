"""Character n-grams of strings: their divergence, and a model that draws strings from them."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

_START, _END = "\x02", "\x03"  # no characters of strings
_KEY = 11  # of Philox
_BITS = 53  # of a uniform number
_BLOCK = 4096  # uniform numbers that are drawn together
_MAX_TRIES = 20  # for each string


def count_ngrams(strings: Iterable[str], n: int) -> Counter[str]:
    """Return how often each n-gram occurs, with n - 1 start symbols before each string and one end symbol after it.

    Args:
        strings: The strings.
        n: Number of characters of an n-gram.
    """
    found: Counter[str] = Counter()
    for string in strings:
        text = _START * (n - 1) + string + _END
        found.update(text[i : i + n] for i in range(len(text) - n + 1))
    return found


def jensen_shannon(a: Counter[str], b: Counter[str]) -> float:
    """Return the Jensen-Shannon divergence of two distributions in bits: 0 for equal ones, 1 without common values.

    Args:
        a: Counts of the first distribution.
        b: Counts of the second distribution.
    """
    sums = a.total(), b.total()
    total = 0.0
    for value in sorted(a.keys() | b.keys()):
        p, q = a[value] / sums[0], b[value] / sums[1]
        total += sum(part * math.log2(2 * part / (p + q)) / 2 for part in (p, q) if part)
    return total


class NgramModel:
    """A Markov chain: each character depends on the n - 1 characters before it, as in the training strings.

    Args:
        strings: The training strings.
        n: Length of the n-grams.
    """

    def __init__(self, strings: Sequence[str], n: int) -> None:
        self._n = n
        following: dict[str, dict[str, int]] = {}
        for ngram, count in sorted(count_ngrams(strings, n).items()):
            following.setdefault(ngram[:-1], {})[ngram[-1]] = count
        self._following = {
            before: ("".join(counts), np.cumsum(list(counts.values())) / sum(counts.values()))
            for before, counts in following.items()
        }
        self._length = max(len(string) for string in strings)
        self._shortest = min(len(string) for string in strings)

    def draw(self, count: int) -> list[str]:
        """Return strings that are as long as the training strings can be. The same model draws the same strings.

        The chain draws until a length fits. If too few lengths fit, as with strings of one length, the chain chooses no early
        end for the rest.

        Args:
            count: Number of strings.
        """
        found: list[str] = []
        numbers = _uniform(np.random.Philox(key=_KEY))
        tries = 0
        while len(found) < count:
            tries += 1
            is_free = tries <= _MAX_TRIES * count
            text = self._draw_one(numbers, 0 if is_free else self._shortest)
            if not is_free:
                found.append(text[: self._length])
            elif self._shortest <= len(text) <= self._length:
                found.append(text)
        return found

    def _draw_one(self, numbers: Iterator[float], shortest: int) -> str:
        """Return one string. Before `shortest` characters, the end is chosen only if nothing else can follow."""
        text = ""
        context = _START * (self._n - 1)
        while len(text) <= self._length:
            characters, shares = self._following[context]
            number = next(numbers)
            if len(text) < shortest and len(characters) > 1 and characters[0] == _END:
                number = float(shares[0]) + number * (1 - float(shares[0]))
            character = characters[min(int(np.searchsorted(shares, number, side="right")), len(characters) - 1)]
            if character == _END:
                break
            text += character
            context = (context + character)[1:] if self._n > 1 else ""
        return text


def _uniform(stream: np.random.Philox) -> Iterator[float]:
    """Yield uniform numbers in [0, 1)."""
    while True:
        words = stream.random_raw(_BLOCK) >> np.uint64(64 - _BITS)
        block: list[float] = (words.astype(np.float64) * 2.0**-_BITS).tolist()
        yield from reversed(block)
