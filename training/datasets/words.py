"""The words of the system's English word list, such as Debian's package wamerican (SCOWL, K. Atkinson)."""

import re
from pathlib import Path

from seedmint.training.datasets.dataset import DataError

LICENCE = "SCOWL"
LENGTH = 12
"""Most letters of a word."""

_LISTS = (Path("/usr/share/dict/american-english"), Path("/usr/share/dict/words"))
_WORD = re.compile(rf"[a-z]{{3,{LENGTH}}}")


def read_words(path: str | None) -> list[str]:
    """Return the words of 3 to 12 lower-case letters, without names and possessives, in alphabetical order.

    Args:
        path: A file with one word a line; None for the list of the system.

    Raises:
        DataError: There is no list, or no word in it.
    """
    found = Path(path) if path is not None else next((each for each in _LISTS if each.is_file()), None)
    if found is None:
        message = (
            "the system has no list of English words: install one (Debian and Ubuntu: apt-get install wamerican), or name a "
            "file with one word a line"
        )
        raise DataError(message, field="data.path", reason="no_word_list")
    try:
        lines = found.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{found} is not readable: {error.strerror}", field="data.path", reason="unreadable") from None
    words = sorted({line for line in lines if _WORD.fullmatch(line)})
    if not words:
        message = f"{found} has no word of 3 to {LENGTH} lower-case letters"
        raise DataError(message, field="data.path", reason="no_words")
    return words
