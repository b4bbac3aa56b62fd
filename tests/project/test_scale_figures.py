"""The page about very large jobs holds what its script makes of the results."""

from dataclasses import replace

import pytest

from benchmarks.scale import PAGE, RESULTS, Sending, filled, formats, limits, tables, whole


def test_the_page_is_what_the_results_make_of_it():
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, tables()) == page


def test_the_figures_follow_from_the_results():
    """By hand: 10**9 images of 360 microseconds are 100 core-hours; of 1,000 bytes, a terabyte."""
    line = "npz  13,640/s  27,280/s  2.00x  12,381/s  0.91x  19,080/s  1.40x  61  360  1,000\n"
    (one,) = formats(f"mnist\n\n{line}")
    assert whole([one], Sending(3.6, 0)).splitlines()[-1] == "| npz | 100 | 1.0 | 100,000 | 1.00 | 61 |"
    # 40 microseconds to send a kilobyte: 2,500 images a second.
    cost = Sending(40, 0)
    assert one.rate(cost) == pytest.approx(2500)
    # A shard is two requests: 3,500 a second are 1,750 shards of 10,000 images. 1.25e9 bytes are 1.25e6 images.
    assert limits([one], cost).splitlines()[-1] == "| npz | 7,000 | 500 |"
    # Of 20,000,000 bytes it is three parts, their beginning and their end, and the record.
    assert replace(one, size=2000).puts == pytest.approx(6e-4)
    assert replace(one, name="png").sending(Sending(0, 2)) == pytest.approx(2000)
    assert [one.name for one in formats((RESULTS / "batch.txt").read_text())] == ["webdataset", "parquet", "png", "npz", "npy"]
