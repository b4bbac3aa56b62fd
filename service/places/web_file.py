"""One generator file on a web server, followed with conditional requests."""

import contextlib
import shutil
import urllib.request
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from typing import IO
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit

from seedmint.models.version import __version__
from seedmint.service.places.store import RemoteFile, RemoteListing, StoreError

_TIMEOUT_SECONDS = 30.0  # without any data
_GONE = (404, 410)
_CHUNK_BYTES = 1 << 20


class WebFile:
    """The file of a URL that ends with /NAME.onnx. The file is gone when the server answers 404 or 410."""

    def __init__(self, url: str) -> None:
        """
        Args:
            url: URL of the file.
        """
        self._url = url
        self._stem = unquote(urlsplit(url).path).rpartition("/")[2].removesuffix(".onnx")
        self._known: RemoteFile | None = None
        self._response: HTTPResponse | None = None  # to the last request of `list`, with the body of a new version

    def list(self) -> RemoteListing:
        """Implement `Store`: ask for the file unless it is the version of the last call."""
        self._close()
        try:
            response = self._open(self._known)
        except HTTPError as error:
            with error:
                if error.code == 304 and self._known is not None:
                    return RemoteListing((self._known,))
                if error.code in _GONE:
                    self._known = None
                    return RemoteListing(())
                raise StoreError(f"the server answers with status {error.code}") from None
        self._known = self._file_of(response)
        self._response = response
        return RemoteListing((self._known,))

    def fetch(self, file: RemoteFile, target: IO[bytes]) -> None:
        """Implement `Store`."""
        response, self._response = self._response, None
        if response is None:  # an earlier call failed
            response = self._open(None)
        with response:
            if self._file_of(response).version != file.version:
                raise StoreError("the file has changed since it was listed")
            shutil.copyfileobj(response, target, _CHUNK_BYTES)

    def read_aliases(self) -> bytes:
        """Implement `Store`: there is no such file."""
        raise StoreError("a single file has no aliases")

    def _open(self, known: RemoteFile | None) -> HTTPResponse:
        request = urllib.request.Request(self._url, headers={"User-Agent": f"seedmint/{__version__}"})
        if known is not None:
            kind, value = known.version.split(" ", 1)
            request.add_header("If-None-Match" if kind == "ETag" else "If-Modified-Since", value)
        response: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
        return response

    def _file_of(self, response: HTTPResponse) -> RemoteFile:
        etag, modified, size = (response.headers.get(name) for name in ("ETag", "Last-Modified", "Content-Length"))
        if etag is None and modified is None:
            response.close()
            raise StoreError("the server sends neither ETag nor Last-Modified, so that changes cannot be followed")
        time = None
        if modified is not None:
            with contextlib.suppress(ValueError):
                time = parsedate_to_datetime(modified).timestamp()
        version = f"Last-Modified {modified}" if etag is None else f"ETag {etag}"
        return RemoteFile(self._stem, version, None if size is None else int(size), time)

    def _close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
