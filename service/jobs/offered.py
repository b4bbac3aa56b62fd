"""Whether there are jobs: what they need is loaded only then."""

from typing import Protocol

from starlette.routing import Route

from service.jobs.off import NoJobs
from service.library import Library
from service.settings import Settings


class Jobs(Protocol):
    """What the application needs of them."""

    def routes(self) -> list[Route]: ...

    def start(self) -> None: ...

    async def close(self) -> None: ...


def jobs_of(library: Library, settings: Settings) -> Jobs:
    """The jobs that the settings ask for, or none.

    Raises:
        UserError: no such kind of place as `settings.jobs` is known.
    """
    if settings.jobs is None:
        return NoJobs()
    from service.jobs.routes import JobRoutes

    return JobRoutes(library, settings)
