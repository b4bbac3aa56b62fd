"""The queues without threads: composition of batches, dropped entries, and the number of waiting images."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from seedmint.service.batching.execution import Entry
from seedmint.service.batching.queues import BULK, SINGLE, QueueKind, Queues

LOOP: Any = SimpleNamespace(get_debug=lambda: False)  # for futures without callbacks


def entry(*seeds: int) -> Entry:
    return Entry(LOOP, np.array(seeds), None, 1.0, None, None, None, lambda _: None)


def end(*ended: Entry) -> None:
    """Make entries whose clients no longer wait."""
    for each in ended:
        each.cancel()


def filled(singles: list[Entry], pieces: list[Entry]) -> Queues:
    queues = Queues()
    kinds: list[tuple[QueueKind, list[Entry]]] = [(SINGLE, singles), (BULK, pieces)]
    for kind, entries in kinds:
        for each in entries:
            queues.put(kind, each)
    return queues


def test_only_the_first_entry_after_an_empty_batch_starts_a_thread():
    queues = Queues()
    assert not queues.is_busy
    assert [queues.put(SINGLE, entry(1)), queues.put(BULK, entry(2)), queues.put(SINGLE, entry(3))] == [True, False, False]
    assert len(queues.get_batch(8)[0]) == 3
    assert queues.is_busy
    assert not queues.put(SINGLE, entry(4))
    queues.get_batch(8)
    assert queues.get_batch(8) == ([], [])
    assert not queues.is_busy
    assert queues.put(BULK, entry(5))
    assert queues.is_busy


def test_queues_are_first_alternately_and_the_other_queue_fills_the_batch():
    singles, pieces = [entry(n) for n in range(10)], [entry(*range(100, 103)), entry(*range(200, 203)), entry(300)]
    queues = filled(singles, pieces)
    assert queues.entries() == [*singles, *pieces]
    assert queues.get_batch(4) == (singles[:4], [])
    assert queues.get_batch(4) == ([pieces[0], singles[4]], [])
    assert queues.get_batch(3) == (singles[5:8], [])
    assert queues.get_batch(4) == ([pieces[1], pieces[2]], [])
    assert queues.entries() == singles[8:]
    assert queues.get_batch(4) == (singles[8:], [])


def test_queue_is_first_in_the_next_batch_if_it_gave_only_the_rest_of_this_batch():
    queues = filled([], [entry(1, 2), entry(3, 4)])
    assert len(queues.get_batch(2)[0]) == 1  # from the queue of pieces, because no single image waits
    single = entry(5)
    queues.put(SINGLE, single)
    assert queues.get_batch(1) == ([single], [])
    other_single = entry(6)
    queues.put(SINGLE, other_single)
    assert [len(each.seeds) for each in queues.get_batch(2)[0]] == [2]
    assert queues.get_batch(2) == ([other_single], [])


def test_entry_that_does_not_fit_waits_and_keeps_its_place():
    large, small = entry(1, 2, 3), entry(4)
    queues = filled([entry(0)], [large, small])
    assert len(queues.get_batch(3)[0]) == 1
    assert queues.entries() == [large, small]
    assert queues.get_batch(3) == ([large], [])
    assert queues.get_batch(3) == ([small], [])


def test_ended_entries_are_dropped_also_from_a_full_batch_and_do_not_count():
    singles, pieces = [entry(n) for n in range(4)], [entry(10, 11, 12), entry(13)]
    queues = filled(singles, pieces)
    end(singles[0], singles[2], pieces[0])
    assert queues.get_batch(1) == ([singles[1]], [singles[0], singles[2], pieces[0]])
    assert queues.singles == 1
    assert queues.entries() == [singles[3], pieces[1]]


def test_ended_entry_behind_an_entry_that_does_not_fit_stays():
    single, large, ended = entry(0), entry(1, 2), entry(3)
    queues = filled([single], [large, ended])
    end(ended)
    assert queues.get_batch(2) == ([single], [])
    assert queues.get_batch(2) == ([large], [ended])


def test_thread_continues_after_a_batch_of_only_ended_entries():
    only = entry(1)
    queues = filled([only], [])
    end(only)
    assert queues.get_batch(8) == ([], [only])
    assert queues.is_busy
    assert queues.get_batch(8) == ([], [])
    assert not queues.is_busy


def test_each_single_image_counts_until_it_is_taken_or_withdrawn():
    singles, pieces = [entry(n) for n in range(3)], [entry(10)]
    queues = filled(singles, pieces)
    assert queues.singles == 3
    end(singles[0])
    queues.withdraw(singles[0])
    queues.withdraw(singles[0])
    queues.withdraw(pieces[0])
    assert queues.singles == 2
    queues.get_batch(2)
    assert queues.singles == 0


def test_a_thread_that_found_the_queues_empty_waits_until_it_is_woken():
    queues = Queues()
    assert not queues.wake()  # no thread waits
    assert queues.get_batch(8) == ([], [])
    assert queues.put(SINGLE, entry(1))
    assert queues.wake()
    assert not queues.wake()
    assert queues.wait(0)
    assert len(queues.get_batch(8)[0]) == 1


def test_a_thread_ends_after_it_has_waited_for_nothing():
    queues = Queues()
    assert queues.get_batch(8) == ([], [])
    assert not queues.wait(0.01)
    assert queues.put(SINGLE, entry(1))
    assert not queues.wake()  # the caller must start a thread
