"""The cache of training: packed images, classifiers and downloads."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_directory() -> Path:
    """Return `$SEEDMINT_CACHE`, or the platform's cache directory of Seedmint."""
    root = os.environ.get("SEEDMINT_CACHE")
    return Path(root) if root else user_cache_path("seedmint")
