"""Character n-grams of strings: their divergence, and a model that draws strings from them."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_START, _END = "\x02", "\x03"  # no characters of strings
_KEY = 11  # of Philox
_BITS = 53  # of a uniform number


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

        Args:
            count: Number of strings.
        """
        found: list[str] = []
        stream = np.random.Philox(key=_KEY)
        numbers: list[float] = []
        while len(found) < count:
            text = ""
            context = _START * (self._n - 1)
            while len(text) <= self._length:
                if not numbers:
                    numbers = _uniform(stream, 4096).tolist()
                characters, shares = self._following[context]
                character = characters[min(int(np.searchsorted(shares, numbers.pop(), side="right")), len(characters) - 1)]
                if character == _END:
                    break
                text += character
                context = (context + character)[1:] if self._n > 1 else ""
            if self._shortest <= len(text) <= self._length:
                found.append(text)
        return found


def _uniform(stream: np.random.Philox, count: int) -> NDArray[np.float64]:
    words = stream.random_raw(count) >> np.uint64(64 - _BITS)
    numbers: NDArray[np.float64] = words.astype(np.float64) * 2.0**-_BITS
    return numbers
