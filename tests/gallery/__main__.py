"""Runs the tests of the gallery, with one line for each file: python -m tests.gallery"""

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-vv", "-rs", "-n", "0", str(Path(__file__).parent), *sys.argv[1:]]))
