"""Seed syntax: texts and lists of seeds."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.models.seeds import (
    SeedCountError,
    SeedRangeError,
    Seeds,
    SeedSyntaxError,
    parse_seed,
    parse_seeds,
    quoted,
    seeds_from_list,
)

SEED = st.integers(0, 2**63 - 1)
SMALL_RANGE = st.builds(lambda first, length: (first, min(first + length, 2**63 - 1)), SEED, st.integers(0, 50))


@given(st.lists(SMALL_RANGE, min_size=1, max_size=8), st.integers(1, 70))
def test_text_gives_the_seeds_in_order(ranges, size):
    text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
    expected = [seed for a, b in ranges for seed in range(a, b + 1)]
    seeds = parse_seeds(text)
    assert seeds.count == len(expected)
    assert seeds.array().tolist() == expected
    chunks = list(seeds.chunks(size))
    assert [seed for chunk in chunks for seed in chunk.tolist()] == expected
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert parse_seeds(str(seeds)) == seeds


@given(st.lists(SEED, min_size=1, max_size=30))
def test_list_keeps_its_order(values):
    assert seeds_from_list(values).array().tolist() == values


def test_consecutive_seeds_of_a_list_become_one_range():
    assert seeds_from_list([5, 6, 7, 9]) == Seeds((range(5, 8), range(9, 10)))


def test_only_the_last_range_is_extended():
    assert seeds_from_list([5, 9, 10, 6]) == Seeds((range(5, 6), range(9, 11), range(6, 7)))


def test_single_seed_is_written_without_a_range():
    assert str(parse_seeds("5-5,7-9")) == "5,7-9"


def test_huge_range_needs_no_memory():
    seeds = parse_seeds("0-9223372036854775807")
    assert seeds.count == 2**63
    assert next(seeds.chunks(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "text", ["", " ", ",", "1,", "a", "1-", "-1", "3-1", "1.0", "1e3", "0x1", "01", "+1", "1_0", "٣", "1-2-3", "1;2", "nan"]
)
def test_malformed_text_is_refused(text):
    with pytest.raises(SeedSyntaxError) as raised:
        parse_seeds(text)
    assert (raised.value.field, raised.value.reason) == ("seeds", "malformed_seeds")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["9223372036854775808", "0-9223372036854775808", "9" * 5000])
def test_seeds_out_of_range_are_refused(text):
    with pytest.raises(SeedRangeError) as raised:
        parse_seeds(text)
    assert (raised.value.field, raised.value.reason) == ("seeds", "out_of_range")
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("text", ["007", "", " 1", "1 ", "-0", "1.0", "٣"])
def test_seed_with_another_spelling_is_refused(text):
    with pytest.raises(SeedSyntaxError) as raised:
        parse_seed(text, "from")
    assert raised.value.field == "from"


@pytest.mark.parametrize("values", [[], [1.0], [True], ["1"], [None]])
def test_list_of_other_values_is_refused(values):
    with pytest.raises(SeedSyntaxError):
        seeds_from_list(values)


@pytest.mark.parametrize("values", [[-1], [2**63]])
def test_list_with_seeds_out_of_range_is_refused(values):
    with pytest.raises(SeedRangeError):
        seeds_from_list(values)


@pytest.mark.parametrize("text", ["0-9", "0,1,2,3,4,5,6,7,8,9", "1,1,1,1,1,1,1,1,1,1", "5-5,0-8", "0-10,nonsense"])
def test_text_beyond_the_limit_is_not_parsed(text):
    if "nonsense" not in text:
        assert parse_seeds(text, 10).count == 10
    with pytest.raises(SeedCountError):
        parse_seeds(text, 9)


def test_items_beyond_the_limit_are_not_read():
    assert seeds_from_list([3, 1, 2], 3).count == 3
    with pytest.raises(SeedCountError):
        seeds_from_list([3, 1, 2, 0, "never read"], 3)


def test_list_longer_than_the_limit_by_one_is_refused():
    with pytest.raises(SeedCountError):
        seeds_from_list([1, 2, 3, 4], 3)


def test_long_text_is_shortened_in_messages():
    assert quoted("x" * 40) == repr("x" * 40)
    assert quoted("x" * 41) == repr("x" * 37 + "...")


def test_no_seeds_are_an_empty_array():
    assert Seeds(()).array().shape == (0,)


def test_seeds_do_not_change():
    seeds = parse_seeds("0-3")
    with pytest.raises(dataclasses.FrozenInstanceError):
        seeds.ranges = ()  # type: ignore[misc]
    assert hash(seeds) == hash(parse_seeds("0,1,2,3"))
