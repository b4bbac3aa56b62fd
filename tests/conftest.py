import os
import uuid
from pathlib import Path

import pytest
from hypothesis import settings

# One thread for NumPy, SciPy and torch, before their import, and in all processes that tests start. On a busy machine, threads
# of linear algebra wait for each other without sleeping, and use many times the CPU time.
os.environ["OMP_NUM_THREADS"] = "1"

if os.environ.get("LINE_COVERAGE"):
    from tests.support import line_coverage  # before the first import of Seedmint

from tests.support.fixtures import grey, home, models, point, rgb, sample_home, sample_models, sample_server, server, wave  # noqa: F401

settings.register_profile("seedmint", deadline=None)  # how long an example takes is the machine's matter
settings.load_profile("seedmint")
_DATA = Path(os.environ.get("SEEDMINT_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_configure(config):
    if os.environ.get("LINE_COVERAGE"):
        config.pluginmanager.register(line_coverage.LineCoverage())


@pytest.fixture
def mnist(monkeypatch):
    """The directory of the real data sets; skips where MNIST is not to be found."""
    if not (_DATA / "mnist" / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"MNIST is not in {_DATA}: set SEEDMINT_DATA")
    monkeypatch.setenv("SEEDMINT_DATA", str(_DATA))
    return _DATA


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory, monkeypatch):
    """No test reads the settings of the user, or reads or fills the user's cache."""
    for name in [name for name in os.environ if name.startswith("SEEDMINT_")]:
        monkeypatch.delenv(name)
    # A numbered directory would take milliseconds: pytest lists all others for the next number.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "caches" / uuid.uuid4().hex))


# Files whose slow tests take more than a minute on an idle machine, the longest first.
_LONG = [
    "batch/test_reproducibility.py",
    "project/test_platforms.py",
    "http/test_schemathesis.py",
    "runs/test_exact_resume.py",
    "runs/test_table_quality.py",
    "http/test_jobs.py",
    "faults/test_models.py",
    "faults/test_clients.py",
    "faults/test_soak.py",
    "importer/test_costly_generators.py",
    "project/test_silence.py",
    "project/test_installation.py",
    "http/test_reference_in_browser.py",
]


def pytest_collection_modifyitems(items):
    """Begin with the files that take the longest: at the end, they would keep one process busy and the others idle."""
    misplaced = [item.nodeid for item in items if item.get_closest_marker("alone") and "faults" not in item.path.parts]
    if misplaced:
        raise pytest.UsageError(f".ci/run looks for the mark `alone` in tests/faults only: {misplaced}")
    hidden = {item.path for item in items if item.get_closest_marker("slow") and "mark.slow" not in item.path.read_text()}
    if hidden:
        raise pytest.UsageError(f".ci/run looks for slow tests in files with the text mark.slow only: {sorted(hidden)}")
    rank = {name: index for index, name in enumerate(_LONG)}
    items.sort(key=lambda item: (rank.get("/".join(item.path.parts[-2:]), len(rank)), "training" not in item.path.parts))
