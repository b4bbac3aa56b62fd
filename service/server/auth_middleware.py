"""The doors: who may come in, and how often. An ASGI layer, there only where keys or limits are set."""

from starlette.types import ASGIApp, Receive, Scope, Send

from seedmint.service.problems import Problem
from seedmint.service.server.api_keys import Keyring, presented
from seedmint.service.server.rate_limiter import Limits
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

PROBES = frozenset({"/livez", "/readyz"})  # always open

_NO_KEY = "no_key"
_REALM = 'Bearer realm="seedmint"'


class AuthMiddleware:
    """Lets in who shows a key, where keys are asked for, as often as its limit says. Stands inside the edge."""

    def __init__(self, app: ASGIApp, keyring: Keyring | None, limits: Limits | None) -> None:
        self._app = app
        self._keyring = keyring
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBES:
            try:
                self._admit(scope)
            except Problem as problem:  # answered here and not by the edge, so that CORS headers go with it
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        """
        Raises:
            Problem: 401 or 429.
        """
        visit = REQUEST_CONTEXT.get()
        if self._keyring is not None:
            key = presented(scope["headers"])
            if key is None:
                visit.rejected = _NO_KEY
                detail = "an API key is needed: send it as Authorization: Bearer KEY, or as X-API-Key: KEY"
                raise Problem(401, detail, "Authorization", {"WWW-Authenticate": _REALM})
            visit.key = self._keyring.name_of(key)
            if visit.key is None:
                visit.rejected = _NO_KEY
                refusal = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
                raise Problem(401, "this API key is not known here", "Authorization", refusal)
        if self._limits is not None:
            client = self._limits.of(visit.client)
            visit.allowance = client
            client.enter()
