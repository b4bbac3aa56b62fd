"""ASGI middleware that answers the canonical URLs of single images and samples before BentoML's application and the router.

Most requests are for these URLs. BentoML's application and the router take several times as long as the rest of such a
request. The fast path and the router both use `PinnedResources`, so that their responses are equal.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from seedmint.service.api.pinned import PinnedResources, complete
from seedmint.service.api.problem_mapping import CORE_ERRORS, to_problem
from seedmint.service.api.urls import IMAGES, SAMPLES


class _Route:
    """Replaces a route of Starlette, so that the request middleware finds the route template."""

    def __init__(self, path: str) -> None:
        self.path = path


_ROUTES = {path: _Route(path) for path in (IMAGES, SAMPLES)}


class FastPath:
    """Answers the requests that `PinnedResources.match` answers, and passes all others on."""

    def __init__(self, app: ASGIApp, resources: PinnedResources) -> None:
        """
        Args:
            app: The application that answers all other requests.
            resources: The immutable resources.
        """
        self._app = app
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        match = self._resources.match(scope["method"], scope["raw_path"], scope["query_string"], scope["headers"])
        if match is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = _ROUTES[match.template]
        try:
            reply = await complete(match.result)
        except CORE_ERRORS as error:  # answered inside the CORS middleware, so that the response has CORS headers
            await to_problem(error).response()(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})
