"""Whether there are jobs: what they need is loaded only then."""

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.problems import Problem
from seedmint.service.settings import Settings

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Jobs(Protocol):
    """What the application needs of them."""

    def routes(self) -> list[Route]: ...

    def start(self) -> None: ...

    async def close(self) -> None: ...


class NoJobs:
    """Stands where `JobRoutes` would."""

    def routes(self) -> list[Route]:
        """Not in the specification, which tells of what there is."""
        paths = ("/v1/jobs", "/v1/jobs/{rest:path}")
        return [Route(path, self.off, methods=_METHODS, include_in_schema=False) for path in paths]

    async def off(self, request: Request) -> Response:
        request.scope.pop("route", None)  # counted as any address that is not there
        raise Problem(404, "there are no jobs here: the server's setting SEEDMINT_JOBS_URL, a place for them, is not set")

    def start(self) -> None:
        """There is nothing to look after."""

    async def close(self) -> None:
        """There is nothing to end."""


def jobs_of(library: ModelRepository, settings: Settings) -> Jobs:
    """The jobs that the settings ask for, or none.

    Raises:
        UserError: no such kind of place as `settings.jobs_url` is known.
    """
    if settings.jobs_url is None:
        return NoJobs()
    from seedmint.service.api.jobs.routes import JobRoutes

    return JobRoutes(library, settings)
