"""Slots of bulk requests: how many requests generate at the same time, and what slow readers may hold."""

from contextlib import ExitStack

import pytest

from seedmint.service.batching.bulk_slots import BulkSlots
from seedmint.service.batching.errors import Overloaded

MIB = 1 << 20


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limit_for(slots: BulkSlots, client: str = "new") -> str:
    """Return the limit that refuses a slot to a client."""
    with pytest.raises(Overloaded) as raised, slots.acquire(client):
        pass
    assert (raised.value.retry_after or 0) >= 1
    return raised.value.limit


def test_slot_is_held_until_the_request_ends():
    slots = BulkSlots(2, MIB, Clock())
    with slots.acquire("one"), slots.acquire("one"):
        assert limit_for(slots) == "slots"
    with slots.acquire("one"), slots.acquire("one"):
        assert len(slots) == slots.active == 2
    assert len(slots) == 0


def test_slot_is_released_after_an_error():
    slots = BulkSlots(1, MIB, Clock())
    with pytest.raises(RuntimeError), slots.acquire("one"):
        raise RuntimeError
    assert len(slots) == 0
    with slots.acquire("one"):
        assert len(slots) == 1


def test_one_client_gets_three_quarters_of_the_slots():
    slots = BulkSlots(16, MIB, Clock())
    with ExitStack() as held:
        for _ in range(12):
            held.enter_context(slots.acquire("greedy"))
        assert limit_for(slots, "greedy") == "slots_of_client"
        for name in "abcd":
            held.enter_context(slots.acquire(name))
        assert limit_for(slots) == "slots"


@pytest.mark.parametrize(("max_slots", "per_client"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4)])
def test_share_of_one_client_is_rounded_up(max_slots: int, per_client: int):
    slots = BulkSlots(max_slots, MIB, Clock())
    with ExitStack() as held:
        for _ in range(per_client):
            held.enter_context(slots.acquire("greedy"))
        limit = limit_for(slots, "greedy")
    assert limit == ("slots" if per_client == max_slots else "slots_of_client")


def test_stalled_request_frees_its_slot_until_its_client_reads_on():
    clock = Clock()
    slots = BulkSlots(1, MIB, clock)
    with slots.acquire("slow") as slow:
        with slow.sending():
            assert limit_for(slots) == "slots"
            clock.now += 0.25
            assert limit_for(slots) == "slots"  # not stalled yet
            clock.now += 0.05
            with slots.acquire("new"):
                assert (len(slots), slots.active) == (2, 1)
                assert limit_for(slots) == "slots"
        assert limit_for(slots) == "slots"


@pytest.mark.parametrize(
    ("max_slots", "request_bytes", "responses"),
    [(2, MIB, 16), (2, 32 * MIB, 8), (2, 256 * MIB // 9 + 1, 8), (2, 1024 * MIB, 2)],
)
def test_stalled_responses_are_limited_in_number_and_bytes_and_half_for_one_client(
    max_slots: int, request_bytes: int, responses: int
):
    clock = Clock()
    slots = BulkSlots(max_slots, request_bytes, clock)
    with ExitStack() as held:

        def stall(client: str, count: int) -> None:
            for _ in range(count):
                held.enter_context(held.enter_context(slots.acquire(client)).sending())
                if slots.active == max_slots:
                    clock.now += 0.3

        stall("greedy", responses // 2)
        clock.now += 0.3
        assert limit_for(slots, "greedy") == "responses_of_client"
        assert retry_after(slots, "greedy") == 5
        stall("other", responses - responses // 2)
        clock.now += 0.3
        assert limit_for(slots) == "responses"
        assert retry_after(slots) == 5
        assert len(slots) == responses
    assert len(slots) == 0


def retry_after(slots: BulkSlots, client: str = "new") -> int | None:
    with pytest.raises(Overloaded) as raised, slots.acquire(client):
        pass
    return raised.value.retry_after


def test_retry_after_excludes_the_time_in_which_clients_read():
    clock = Clock()
    slots = BulkSlots(1, MIB, clock)
    with slots.acquire("slow") as slow, slow.sending():
        clock.now += 1.2
        # The client is stalled now. A second request takes the slot.
        with slots.acquire("new"):
            assert retry_after(slots) == 1
    with slots.acquire("slow") as slow:
        with slow.sending():
            clock.now += 1.2
        assert retry_after(slots) == 1


def test_retry_after_is_at_least_the_age_of_the_oldest_request_divided_by_the_slots():
    clock = Clock()
    slots = BulkSlots(2, MIB, clock)
    with slots.acquire("a"), slots.acquire("b"):
        clock.now += 9.0
        assert retry_after(slots) == 5  # 9 s / 2 slots, rounded up


def test_retry_after_follows_the_average_duration():
    clock = Clock()
    slots = BulkSlots(1, MIB, clock)
    with slots.acquire("a"):
        clock.now += 15.0
    with slots.acquire("b"):
        assert retry_after(slots) == 4  # 1 s + 0.2 * (15 s - 1 s)


def test_average_duration_excludes_the_time_in_which_clients_read():
    clock = Clock()
    slots = BulkSlots(1, MIB, clock)
    with slots.acquire("a") as slot, slot.sending():
        clock.now += 100.0
    with slots.acquire("b"):
        clock.now += 16.0
    with slots.acquire("c"):
        assert retry_after(slots) == 4  # 0.8 s + 0.2 * (16 s - 0.8 s)


def test_duration_excludes_the_piece_that_is_being_read():
    clock = Clock()
    slots = BulkSlots(1, MIB, clock)
    with slots.acquire("a") as slot:
        clock.now += 0.9
        with slot.sending():
            clock.now += 0.2
            assert retry_after(slots) == 1


def test_client_gets_a_slot_even_if_only_one_response_fits():
    slots = BulkSlots(1, 1024 * MIB, Clock())
    with slots.acquire("one"):
        assert len(slots) == 1
