"""Error texts for clients and the log, without paths of the server."""

from seedmint.models.errors import one_line


def public_text(error: Exception, url: str, name: str) -> str:
    """Return an error as one line, in which a name replaces the path or URL of a folder.

    Args:
        error: The error.
        url: The path or URL.
        name: The name of the folder for clients.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line((str(error) or type(error).__name__).replace(url, name))
