"""Checks that the disk has space for an output, before hours of work."""

import shutil
from pathlib import Path

from seedmint.models.errors import UserError


def check_free_space(out: Path, required: int) -> None:
    """Check the free space of the file system of `out`.

    Args:
        out: File or directory to write; it need not exist.
        required: Estimated size in bytes.

    Raises:
        UserError: "no_space": The file system has less free space.
    """
    directory = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(directory).free
    if required > free:
        message = f"{out} needs about {required / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free"
        raise UserError(message, field="out", reason="no_space")
