"""The header X-Forwarded-Prefix: the path prefix that a proxy has removed from the URL."""

from collections.abc import Iterable

from seedmint.service.setting_types import PATH_PREFIX

HEADER = b"x-forwarded-prefix"


def forwarded_prefix(headers: Iterable[tuple[bytes, bytes]], root_path: str) -> str:
    """Return the path prefix of the URLs that a client sees.

    The protocol class removes the header of clients that are not trusted proxies.

    Args:
        headers: Request headers; names in lower case.
        root_path: The prefix without a valid header.
    """
    for name, value in headers:
        if name == HEADER:
            text = value.decode("latin-1").partition(",")[0].strip().rstrip("/")
            return text if PATH_PREFIX.fullmatch(text) else root_path
    return root_path
