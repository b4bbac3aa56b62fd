"""CORS: the pages of other origins that may read answers. An ASGI layer, there only where origins are allowed."""

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SENT = ("Authorization", "Content-Type", "If-None-Match", "X-API-Key", "X-Request-Id")
_EXPOSED = ("Content-Disposition", "ETag", "Retry-After", "WWW-Authenticate", "X-Request-Id")
_PREFLIGHT_SECONDS = 86400


def headers_for(origins: tuple[str, ...], origin: str | None) -> dict[str, str]:
    """What an answer needs that goes through no application. `origin` is None where it is not known."""
    if not origins:
        return {}
    if "*" in origins:
        allowed = {"Access-Control-Allow-Origin": "*"}
    else:
        allowed = {"Vary": "Origin"} | ({"Access-Control-Allow-Origin": origin} if origin in origins and origin else {})
    return allowed | {"Access-Control-Expose-Headers": ", ".join(_EXPOSED)}


class CorsMiddleware(CORSMiddleware):
    """Starlette's, and right for caches: images are kept for a year, so what goes out must not depend on who asked first."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=_SENT,
            expose_headers=_EXPOSED,
            max_age=_PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def for_all(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                if self.allow_all_origins:
                    headers.update(self.simple_headers)
                elif "Origin" not in headers.get("vary", ""):
                    headers.add_vary_header("Origin")
                message = {**message, "headers": headers.raw}
            await send(message)

        await super().__call__(scope, receive, for_all)
