"""The system clock is set back and forth by an hour: timeouts, limits and directory scans use the monotonic clock."""

import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.faults.conftest import RUN_IMAGES, Hold
from tests.support import generators
from tests.support.load import capacity, open_loop
from tests.support.servers import Server, serving, wait_until

HOUR = 3600


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("the clock is set back and forth by an hour")
def test_changes_of_the_system_clock_have_no_effect(paced: Path, tmp_path_factory: pytest.TempPathFactory, hold: Hold):
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("libfaketime is not installed (Debian: apt-get install faketime)")
    clock = tmp_path_factory.mktemp("clock") / "shift"
    clock.write_text("+0", encoding="ascii")
    variables = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    with serving(paced, variables=variables, max_batch=RUN_IMAGES, timeout_seconds=5, requests_per_second=10_000) as server:
        path = f"{server.url}{server.pinned('paced')}"
        rate = capacity(lambda n: f"{path}/{n}.png", 2 * RUN_IMAGES) / 4
        furthest = 0.0
        with open_loop(lambda n: f"{path}/{n}.png", rate) as load:
            for version, shift in enumerate((-HOUR, HOUR, 0), 1):
                clock.write_text(f"{shift:+d}", encoding="ascii")
                wait_until(lambda shift=shift: abs(_ahead(server) - shift) < 60)
                furthest = max(furthest, abs(_ahead(server)))
                generators.write(paced, "later", version)  # the scans continue
                wait_until(lambda version=version: sum("later@" in line for line in server.log) == version)
        hold("largest difference from the system time", furthest, HOUR + 60, "s")
        assert furthest > HOUR - 60
        hold("requests that failed", len(load.answers) - load.statuses()[200], 0, exactly=True)
        hold("longest latency", load.quantile(1.0), 5, "s")
        assert not [line for line in server.log if "Traceback" in line or "ERROR" in line]


def _ahead(server: Server) -> float:
    """Return the seconds that the clock of the server is ahead."""
    return parsedate_to_datetime(server.client.get("/livez").headers["date"]).timestamp() - time.time()
