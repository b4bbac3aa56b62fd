"""Seed syntax: parses texts such as "0-63,100" to seeds. Ranges are inclusive, and the order is kept."""

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
SEEDS_PATTERN = f"^{_ITEM}(,{_ITEM})*$"  # for JSON schemas; a schema cannot exclude ranges that run backwards
_MAX_DIGITS = 20  # keeps int() fast on hostile text
LONGEST_QUOTE = 40  # most characters of a user's text in a message
_MAX_ARRAY = 1 << 32
_FIELD = "seeds"
_EXAMPLE = 'write seeds like "0-63,100" (ranges are inclusive)'


class SeedSyntaxError(UserError):
    """The text violates the seed syntax."""

    reason = "malformed_seeds"


class SeedRangeError(UserError):
    """A seed is not in 0 <= seed < 2**63."""

    reason = "out_of_range"


class SeedCountError(UserError):
    """There are more seeds than the limit."""

    reason = "too_many_seeds"


@dataclass(frozen=True, slots=True)
class Seeds:
    """Seeds in the requested order, stored as ranges, so that a million consecutive seeds need little memory.

    Attributes:
        ranges: Non-empty ranges with step 1.
    """

    ranges: tuple[range, ...]

    @property
    def count(self) -> int:
        """Number of seeds. A property, because `len()` cannot return 2**63."""
        return sum(r.stop - r.start for r in self.ranges)

    def chunks(self, size: int) -> Iterator[NDArray[np.int64]]:
        """Yield the seeds in order.

        Args:
            size: Seeds in each array.

        Yields:
            int64[size]; the last array can be shorter.
        """
        parts: list[NDArray[np.int64]] = []
        remaining = size
        for r in self.ranges:
            start = r.start
            while start < r.stop:
                stop = min(r.stop, start + remaining)
                parts.append(np.arange(stop - start, dtype=np.int64) + np.int64(start))
                remaining -= stop - start
                start = stop
                if remaining == 0:
                    yield np.concatenate(parts)
                    parts, remaining = [], size
        if parts:
            yield np.concatenate(parts)

    def array(self) -> NDArray[np.int64]:
        """Return all seeds as int64[count]. Check `count` first: the array needs eight bytes for each seed.

        Raises:
            SeedCountError: There are more than 2**32 seeds.
        """
        check_array_count(self.count)
        return next(self.chunks(max(1, self.count)), np.empty(0, dtype=np.int64))

    def __str__(self) -> str:
        return ",".join(str(r.start) if r.stop - r.start == 1 else f"{r.start}-{r.stop - 1}" for r in self.ranges)


def check_array_count(count: int) -> None:
    """Check that seeds fit in an array. NumPy makes an empty array of 2**63 numbers, without an error.

    Args:
        count: Number of seeds.

    Raises:
        SeedCountError: There are more than 2**32 seeds, 32 GiB.
    """
    _check_count(count, _MAX_ARRAY)


def parse_seed(text: str, field: str = "seed") -> int:
    """Parse one seed: decimal digits without sign, spaces or leading zeros, so that each seed has one spelling.

    Args:
        text: The text.
        field: The parameter that an error names.

    Raises:
        SeedSyntaxError: The text is not such a number.
        SeedRangeError: The number is 2**63 or more.
    """
    if not _NUMBER.fullmatch(text):
        raise SeedSyntaxError(f"{quoted(text)} is not a whole number from 0 to 2^63 - 1 without leading zeros", field=field)
    if len(text) > _MAX_DIGITS or (seed := int(text)) >= SEED_LIMIT:
        raise SeedRangeError(f"{quoted(text)} is out of range: 0 <= seed < 2^63 = {SEED_LIMIT}", field=field)
    return seed


def parse_seeds(text: str, limit: int | None = None) -> Seeds:
    """Parse seeds by the syntax `item ("," item)*`, where an item is a seed or an inclusive range `first-last`.

    Consecutive seeds are joined to one range, so that equal sequences of seeds have equal `Seeds` and equal texts.

    Args:
        text: The text.
        limit: Most seeds. Text after the first seed beyond the limit is not parsed.

    Raises:
        SeedSyntaxError: The text is empty or malformed, or a range runs backwards.
        SeedRangeError: A seed is 2**63 or more.
        SeedCountError: There are more than `limit` seeds.
    """
    if not text.strip():
        raise SeedSyntaxError(f"no seeds: {_EXAMPLE}", field=_FIELD)
    ranges: list[range] = []
    count = 0
    for item in text.split(","):
        item = item.strip()
        if not item:
            raise SeedSyntaxError(f"{quoted(text)} has an empty item between commas: {_EXAMPLE}", field=_FIELD)
        if match := _RANGE.fullmatch(item):
            first, last = parse_seed(match[1], _FIELD), parse_seed(match[2], _FIELD)
            if last < first:
                raise SeedSyntaxError(f"the range {quoted(item)} runs backwards: write {last}-{first}", field=_FIELD)
        elif _NUMBER.fullmatch(item):
            first = last = parse_seed(item, _FIELD)
        else:
            raise SeedSyntaxError(f"{quoted(item)} is neither a seed nor a range: {_EXAMPLE}", field=_FIELD)
        _append(ranges, range(first, last + 1))
        count += last + 1 - first
        _check_count(count, limit)
    return Seeds(tuple(ranges))


def seeds_from_list(values: Iterable[object], limit: int | None = None) -> Seeds:
    """Convert whole numbers, as from a JSON list, to seeds. Consecutive seeds are joined to one range.

    Args:
        values: The numbers.
        limit: Most seeds. Values after the first seed beyond the limit are not read.

    Raises:
        SeedSyntaxError: A value is not a whole number, or there are no values.
        SeedRangeError: A seed is negative, or 2**63 or more.
        SeedCountError: There are more than `limit` seeds.
    """
    ranges: list[range] = []
    for position, value in enumerate(values):
        _check_count(position + 1, limit)
        if not isinstance(value, int) or isinstance(value, bool):
            raise SeedSyntaxError(f"item {position} of the list is {quoted(str(value))}, not a whole number", field=_FIELD)
        if not 0 <= value < SEED_LIMIT:
            raise SeedRangeError(f"{quoted(str(value))} is out of range: 0 <= seed < 2^63 = {SEED_LIMIT}", field=_FIELD)
        _append(ranges, range(value, value + 1))
    if not ranges:
        raise SeedSyntaxError("the list of seeds is empty", field=_FIELD)
    return Seeds(tuple(ranges))


def quoted(text: str) -> str:
    """Return a text in quotes for a message, shortened to `LONGEST_QUOTE` characters.

    Args:
        text: The text of a user.
    """
    return repr(text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "...")


def _append(ranges: list[range], new_range: range) -> None:
    if ranges and ranges[-1].stop == new_range.start:
        ranges[-1] = range(ranges[-1].start, new_range.stop)
    else:
        ranges.append(new_range)


def _check_count(count: int, limit: int | None) -> None:
    if limit is not None and count > limit:
        raise SeedCountError(f"there are more than {limit} seeds, the limit", field=_FIELD)
