"""API keys and rate limits, and their ASGI middleware. The service uses both only if the settings contain keys or limits."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from seedmint.service.problems import Problem
from seedmint.service.server.api_keys import Keyring, key_from_headers
from seedmint.service.server.rate_limiter import RateLimiter
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, RequestContext

PROBES = frozenset({"/livez", "/readyz"})  # need no key and have no limit
# Pages and their files need no key, because browsers cannot send one with a link. Pages contain no data; their scripts send
# the key.
PAGES = frozenset({"/", "/docs"})
_FILES = "/static/"

_NO_KEY = "no_key"
_REALM = 'Bearer realm="seedmint"'


class AccessControl:
    """Rejects requests without a valid API key, and requests beyond the rate limit.

    Attributes:
        keyring: The API keys, which may be replaced at any time; None if requests need no key.
    """

    def __init__(self, keyring: Keyring | None, limiter: RateLimiter | None) -> None:
        """
        Args:
            keyring: The API keys; None if requests need no key.
            limiter: The rate limits; None without limits.
        """
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
                is_page = scope["path"] in PAGES or scope["path"].startswith(_FILES)
                self._access.check(scope["headers"], REQUEST_CONTEXT.get(), needs_key=not is_page)
            except Problem as problem:  # answered inside the CORS middleware, so that the response has CORS headers
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)
