"""Seed syntax: which seeds a text such as "0-63,100" names. Ranges are inclusive; order is kept."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import UserError

SEED_LIMIT = 1 << 63

_NUMBER = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_RANGE = re.compile(r"(0|[1-9][0-9]*)\s*-\s*(0|[1-9][0-9]*)", re.ASCII)
_ITEM = rf"\s*({_RANGE.pattern}|{_NUMBER.pattern})\s*"
SEEDS_PATTERN = f"^{_ITEM}(,{_ITEM})*$"  # for schemas, which cannot say that a range must not run backwards
_LONGEST_NUMBER = 20  # digits; keeps int() cheap on hostile text
LONGEST_QUOTE = 40  # characters of a text that a message repeats
_EXAMPLE = 'write seeds like "0-63,100" (ranges are inclusive)'


class SeedSyntaxError(UserError):
    """The text does not name seeds."""


class SeedRangeError(UserError):
    """A seed is not in 0 <= seed < 2**63."""


class SeedCountError(UserError):
    """More seeds than the limit that was given."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """Seeds in the order they were asked for, held as ranges, so that a million take no memory."""

    ranges: tuple[range, ...]

    @property
    def count(self) -> int:
        """Number of seeds; not `len()`, which cannot hold 2**63."""
        return sum(r.stop - r.start for r in self.ranges)

    def chunks(self, size: int) -> Iterator[NDArray[np.int64]]:
        """The seeds in order, as int64 arrays of `size` (the last one shorter)."""
        parts: list[NDArray[np.int64]] = []
        room = size
        for r in self.ranges:
            start = r.start
            while start < r.stop:
                stop = min(r.stop, start + room)
                parts.append(np.arange(stop - start, dtype=np.int64) + np.int64(start))
                room -= stop - start
                start = stop
                if room == 0:
                    yield np.concatenate(parts)
                    parts, room = [], size
        if parts:
            yield np.concatenate(parts)

    def array(self) -> NDArray[np.int64]:
        """All seeds as int64[count]. Check `count` first: this takes eight bytes a seed."""
        return next(self.chunks(max(1, self.count)), np.empty(0, dtype=np.int64))

    def __str__(self) -> str:
        return ",".join(str(r.start) if r.stop - r.start == 1 else f"{r.start}-{r.stop - 1}" for r in self.ranges)


def parse_seed(text: str) -> int:
    """One seed in decimal, without sign, spaces or leading zeros, so that a seed has one spelling.

    Raises:
        SeedSyntaxError: the text is not such a number.
        SeedRangeError: the number is 2**63 or more.
    """
    if not _NUMBER.fullmatch(text):
        raise SeedSyntaxError(f"seed {quoted(text)} is not a whole number from 0 to 2^63 - 1 without leading zeros")
    if len(text) > _LONGEST_NUMBER or (seed := int(text)) >= SEED_LIMIT:
        raise SeedRangeError(f"seed {quoted(text)} is out of range: 0 <= seed < 2^63 = {SEED_LIMIT}")
    return seed


def parse_seeds(text: str, limit: int | None = None) -> Seeds:
    """Seeds by the syntax `item ("," item)*`, where an item is a seed or `first-last`, both included.

    Those that follow each other are joined, so that the same seeds in the same order are the same `Seeds` and the same text.

    Args:
        limit: most seeds; what follows the first seed beyond it is not read.

    Raises:
        SeedSyntaxError: the text is empty, malformed, or holds a range that runs backwards.
        SeedRangeError: a seed is 2**63 or more.
        SeedCountError: there are more than `limit` seeds.
    """
    if not text.strip():
        raise SeedSyntaxError(f"no seeds: {_EXAMPLE}")
    ranges: list[range] = []
    count = 0
    for item in text.split(","):
        item = item.strip()
        if not item:
            raise SeedSyntaxError(f"an empty item between commas in {quoted(text)}: {_EXAMPLE}")
        if match := _RANGE.fullmatch(item):
            first, last = parse_seed(match[1]), parse_seed(match[2])
            if last < first:
                raise SeedSyntaxError(f"range {quoted(item)} runs backwards: write {last}-{first}")
        elif _NUMBER.fullmatch(item):
            first = last = parse_seed(item)
        else:
            raise SeedSyntaxError(f"{quoted(item)} is neither a seed nor a range: {_EXAMPLE}")
        _append(ranges, range(first, last + 1))
        count += last + 1 - first
        _check_count(count, limit)
    return Seeds(tuple(ranges))


def seeds_from_list(values: Iterable[object], limit: int | None = None) -> Seeds:
    """Seeds from whole numbers, as JSON carries them. Neighbours that follow each other are joined.

    Args:
        limit: most seeds; what follows the first seed beyond it is not read.

    Raises:
        SeedSyntaxError: a value is not a whole number, or there is none.
        SeedRangeError: a seed is negative, or 2**63 or more.
        SeedCountError: there are more than `limit` seeds.
    """
    ranges: list[range] = []
    for position, value in enumerate(values):
        _check_count(position + 1, limit)
        if not isinstance(value, int) or isinstance(value, bool):
            raise SeedSyntaxError(f"item {position} of the list is {quoted(str(value))}, not a whole number")
        if not 0 <= value < SEED_LIMIT:
            raise SeedRangeError(f"seed {quoted(str(value))} is out of range: 0 <= seed < 2^63 = {SEED_LIMIT}")
        _append(ranges, range(value, value + 1))
    if not ranges:
        raise SeedSyntaxError("the list of seeds is empty")
    return Seeds(tuple(ranges))


def quoted(text: str) -> str:
    """A text as a message repeats it: in quotes, and cut short if it is long."""
    return repr(text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "...")


def _append(ranges: list[range], more: range) -> None:
    if ranges and ranges[-1].stop == more.start:
        ranges[-1] = range(ranges[-1].start, more.stop)
    else:
        ranges.append(more)


def _check_count(count: int, limit: int | None) -> None:
    if limit is not None and count > limit:
        raise SeedCountError(f"more than {limit} seeds, which is the limit")
