"""API keys, signed URLs and rate limits, and their ASGI middleware. The service uses them only if the settings say so."""

import time
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seedmint.service.problems import Problem
from seedmint.service.server.api_keys import Keyring, key_from_headers
from seedmint.service.server.rate_limiter import RateLimiter
from seedmint.service.server.url_signatures import SignatureError, SignedUrl, verify
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

PROBES = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})  # need no key and have no limit
# Pages and their files need no key, because browsers cannot send one with a link. Pages contain no data; their scripts send
# the key.
PAGES = frozenset({"/", "/docs"})
_FILES = "/static/"

_NO_KEY = "no_key"
_SIGNATURE = "signature"  # reason of the metric of rejected requests
_SIGNED = b"signature="
_REALM = 'Bearer realm="seedmint"'


class AccessControl:
    """Rejects requests without a valid API key, and requests beyond the rate limit.

    Attributes:
        keyring: The API keys, which may be replaced at any time; None if requests need no key.
    """

    def __init__(self, keyring: Keyring | None, limiter: RateLimiter | None, max_signed_seconds: int = 0) -> None:
        """
        Args:
            keyring: The API keys; None if requests need no key.
            limiter: The rate limits; None without limits.
            max_signed_seconds: Maximum time until a signed URL expires.
        """
        self._max_signed_seconds = max_signed_seconds
        self.keyring = keyring
        self._limiter = limiter

    def check(self, headers: Sequence[tuple[bytes, bytes]], context: RequestContext, needs_key: bool = True) -> None:
        """Check the key and the rate limit of a request, and add the key and the quota to its context.

        Args:
            headers: Request headers; names in lower case.
            context: Context of the request, which is the current context.
            needs_key: Whether the request needs a key if there are keys.

        Raises:
            Problem: 401 or 429.
        """
        if self.keyring is not None and needs_key:
            key = key_from_headers(headers)
            if key is None:
                context.rejected = _NO_KEY
                detail = "send an API key: Authorization: Bearer KEY, or X-API-Key: KEY"
                raise Problem(401, detail, "Authorization", {"WWW-Authenticate": _REALM}, reason=_NO_KEY)
            context.key = self.keyring.name_of(key)
            if context.key is None:
                context.rejected = _NO_KEY
                challenge = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
                raise Problem(401, "this API key is unknown", "Authorization", challenge, reason=_NO_KEY)
        self._count(context)

    def check_signed(self, scope: Scope, context: RequestContext) -> SignedUrl:
        """Check the signature and the rate limit of a request for a signed URL, and add the key and the quota to its context.

        Args:
            scope: The ASGI scope of the request.
            context: Context of the request, which is the current context.

        Raises:
            Problem: 403 or 429.
        """
        assert self.keyring is not None
        try:
            if scope["method"] not in ("GET", "HEAD"):
                raise SignatureError("a signed URL allows GET and HEAD", "signed_method")
            path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
            signed = verify(path, query, self.keyring.signing_keys, self._max_signed_seconds, time.time())
        except SignatureError as error:
            context.rejected = _SIGNATURE
            raise Problem(403, str(error), _SIGNATURE, reason=error.reason) from None
        context.key = signed.key[0]
        self._count(context)
        return signed

    def _count(self, context: RequestContext) -> None:
        if self._limiter is not None:
            client = self._limiter.client(context.client)
            context.quota = client
            client.count_request()


class AuthMiddleware:
    """Checks the access of each request except probes. Runs inside the request middleware."""

    def __init__(self, app: ASGIApp, access: AccessControl) -> None:
        """
        Args:
            app: The application.
            access: The API keys and rate limits.
        """
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBES:
            try:
                send = self._admit(scope, send)
            except Problem as problem:  # answered inside the CORS middleware, so that the response has CORS headers
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope, send: Send) -> Send:
        """Check the access of a request, and return the `send` for its response.

        Raises:
            Problem: 401, 403 or 429.
        """
        context = REQUEST_CONTEXT.get()
        is_page = scope["path"] in PAGES or scope["path"].startswith(_FILES)
        if is_page or self._access.keyring is None or _SIGNED not in scope["query_string"]:
            self._access.check(scope["headers"], context, needs_key=not is_page)
            return send
        signed = self._access.check_signed(scope, context)
        # In place, because the middleware outside reads the route from the same scope.
        scope["query_string"] = signed.query.encode("latin-1")
        return _signed_send(send, signed)


def _signed_send(send: Send, signed: SignedUrl) -> Send:
    """Return an ASGI `send` for the response to a signed URL: caches may share it until the URL expires."""

    async def send_signed(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < 400:
            headers = MutableHeaders(raw=list(message["headers"]))
            location = headers.get("location", "")
            if location.startswith("/"):  # a redirect to the canonical URL, which needs a signature of its own
                headers["location"] = signed.sign_again(location)
            if "immutable" in headers.get("cache-control", ""):
                headers["cache-control"] = f"public, max-age={max(0, int(signed.expires - time.time()))}"
            elif headers.get("cache-control", "").startswith("private"):
                headers["cache-control"] = headers["cache-control"].replace("private", "public", 1)
            message = {**message, "headers": headers.raw}
        await send(message)

    return send_signed
