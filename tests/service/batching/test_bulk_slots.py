"""BulkSlots of bulk requests: how many are made at the same time, and what readers who are slow may hold."""

from contextlib import ExitStack

import pytest

from seedmint.service.batching.bulk_slots import BulkSlots
from seedmint.service.batching.errors import Overloaded

MIB = 1 << 20


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refusal(places: BulkSlots, client: str = "new") -> str:
    """Why a client gets no place."""
    with pytest.raises(Overloaded) as refused, places.hold(client):
        pass
    assert (refused.value.retry_after or 0) >= 1
    return str(refused.value)


def test_a_place_is_held_until_the_end():
    clock = Clock()
    places = BulkSlots(2, MIB, clock)
    with places.hold("one"), places.hold("one"):
        assert refusal(places) == "2 bulk requests are under way"
    with places.hold("one"), places.hold("one"):
        assert len(places) == places.active == 2
    assert len(places) == 0


def test_one_client_leaves_a_quarter_to_others():
    places = BulkSlots(16, MIB, Clock())
    with ExitStack() as held:
        for _ in range(12):
            held.enter_context(places.hold("greedy"))
        assert refusal(places, "greedy") == "12 of your bulk requests are under way, and others need room, too"
        for name in "abcd":
            held.enter_context(places.hold(name))
        assert refusal(places) == "16 bulk requests are under way"


def test_who_waits_for_its_reader_gives_the_place_back_until_the_reader_goes_on():
    clock = Clock()
    places = BulkSlots(1, MIB, clock)
    with places.hold("slow") as slow:
        with slow.sending():
            assert refusal(places) == "1 bulk requests are under way"  # a reader may take a moment
            clock.now += 0.3
            with places.hold("new"):
                assert (len(places), places.active) == (2, 1)
                assert refusal(places) == "1 bulk requests are under way"
        assert refusal(places) == "1 bulk requests are under way"


@pytest.mark.parametrize(("most", "bytes_each", "answers"), [(2, MIB, 16), (2, 32 * MIB, 8), (2, 1024 * MIB, 2)])
def test_answers_that_wait_are_bounded_in_number_and_bytes_and_half_of_them_for_one_client(
    most: int, bytes_each: int, answers: int
):
    clock = Clock()
    places = BulkSlots(most, bytes_each, clock)
    with ExitStack() as held:

        def stall(client: str, count: int) -> None:
            for _ in range(count):
                held.enter_context(held.enter_context(places.hold(client)).sending())
                if places.active == most:
                    clock.now += 0.3

        stall("greedy", answers // 2)
        clock.now += 0.3
        assert refusal(places, "greedy") == f"{answers // 2} of your bulk answers are under way: read them first"
        stall("other", answers - answers // 2)
        clock.now += 0.3
        assert refusal(places) == f"{answers} bulk answers wait for their readers"
        assert len(places) == answers
    assert len(places) == 0


def test_it_says_when_to_come_again_by_how_long_others_took_without_their_readers():
    clock = Clock()
    places = BulkSlots(1, MIB, clock)
    with places.hold("slow") as slow:
        with slow.sending():
            clock.now += 1.2
        with pytest.raises(Overloaded) as refused, places.hold("new"):
            pass
        assert refused.value.retry_after == 1
