"""Errors as clients and the log may have them."""

from seedmint.models.errors import one_line


def without_place(error: Exception, url: str, name: str) -> str:
    """An error in one line, which names a place and does not tell where it is."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error) or type(error).__name__
    return one_line(text.replace(f"--out {url}", name).replace(url, name))
