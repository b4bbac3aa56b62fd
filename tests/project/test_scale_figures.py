"""docs/scale.md matches the results of the benchmarks."""

from dataclasses import replace

import pytest

from benchmarks.scale import PAGE, RESULTS, UploadCost, filled, formats, limits, tables, totals


def test_the_page_contains_the_tables_of_the_results():
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, tables()) == page


def test_the_figures_equal_a_manual_calculation():
    """10**9 images of 360 microseconds take 100 core-hours; with 1,000 bytes per image, they have a terabyte."""
    line = "npz  13,640/s  27,280/s  2.00x  12,381/s  0.91x  19,080/s  1.40x  61  360  1,000\n"
    (npz,) = formats(f"mnist\n\n{line}")
    assert totals([npz], UploadCost(3.6, 0)).splitlines()[-1] == "| npz | 100 | 1.0 | 100,000 | 1.00 | 61 |"
    # Generation takes 360 microseconds and the upload of a kilobyte takes 40: 2,500 images per second.
    cost = UploadCost(40, 0)
    assert npz.rate(cost) == pytest.approx(2500)
    # A shard needs two requests: 3,500 requests per second are 1,750 shards of 10,000 images. 1.25e9 bytes hold 1.25e6 images.
    assert limits([npz], cost).splitlines()[-1] == "| npz | 7,000 | 500 |"
    # A shard of 20,000,000 bytes needs six requests: three parts, the begin and the end of the upload, and the record.
    assert replace(npz, size=2000).puts == pytest.approx(6e-4)
    assert replace(npz, name="png").upload_time(UploadCost(0, 2)) == pytest.approx(2000)
    assert [form.name for form in formats((RESULTS / "batch.txt").read_text())] == [
        "webdataset",
        "parquet",
        "png",
        "npz",
        "npy",
    ]
