"""The addresses of jobs where there are none: what is missing is told."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.problems import Problem

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class NoJobs:
    """Stands where `JobRoutes` would."""

    def routes(self) -> list[Route]:
        """Not in the specification, which tells of what there is."""
        paths = ("/v1/jobs", "/v1/jobs/{rest:path}")
        return [Route(path, self.off, methods=_METHODS, include_in_schema=False) for path in paths]

    async def off(self, request: Request) -> Response:
        request.scope.pop("route", None)  # counted as any address that is not there
        raise Problem(404, "there are no jobs here: the server's setting SEEDMINT_JOBS, a place for them, is not set")

    def start(self) -> None:
        """There is nothing to look after."""

    async def close(self) -> None:
        """There is nothing to end."""
