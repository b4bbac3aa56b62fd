"""CORS: lets pages of other web origins read the responses. The service uses it only if the settings contain origins."""

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUEST_HEADERS = ("Authorization", "Content-Type", "If-None-Match", "X-API-Key", "X-Request-Id", "traceparent", "tracestate")
_EXPOSED_HEADERS = ("Content-Disposition", "ETag", "Retry-After", "WWW-Authenticate", "X-Request-Id")
_PREFLIGHT_SECONDS = 86400


def headers_for(origins: tuple[str, ...], origin: str | None = None) -> dict[str, str]:
    """Return the CORS headers of a response that does not pass through `CorsMiddleware`. They are the same headers.

    Args:
        origins: Allowed origins; "*" allows all.
        origin: Origin of the request; None if the request has no origin, or if the origin is unknown.
    """
    if not origins:
        return {}
    headers = {"Vary": "Origin"}
    if "*" in origins:
        headers["Access-Control-Allow-Origin"] = "*"
    elif origin is None:
        return headers
    elif origin in origins:
        headers["Access-Control-Allow-Origin"] = origin
    return headers | {"Access-Control-Expose-Headers": ", ".join(_EXPOSED_HEADERS)}


class CorsMiddleware(CORSMiddleware):
    """Starlette's CORS middleware, made safe for shared caches.

    Caches keep images for a year. Therefore the CORS headers of a response do not depend on the first client that requested it:
    every response has `Vary: Origin`, or allows all origins.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        """
        Args:
            app: The application.
            origins: Allowed origins; "*" allows all.
        """
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
            max_age=_PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_for_all_origins(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                if self.allow_all_origins:
                    headers.update(self.simple_headers)
                elif "Origin" not in headers.get("vary", ""):
                    headers.add_vary_header("Origin")
                message = {**message, "headers": headers.raw}
            await send(message)

        await super().__call__(scope, receive, send_for_all_origins)
