"""Enables or disables the jobs API. The modules of a disabled jobs API are not imported."""

from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.problems import Problem
from seedmint.service.settings import Settings


class Jobs(Protocol):
    """The interface of the jobs API for the application."""

    def start(self) -> None:
        """Start the background task."""
        ...

    async def close(self) -> None:
        """Stop the background task and all processes."""
        ...


class DisabledJobs:
    """Answers every path of the jobs API with 404. These routes are not in the OpenAPI document."""

    async def not_found(self, request: Request) -> Response:
        """Answer a request.

        Args:
            request: The request.

        Raises:
            Problem: Always, with status 404.
        """
        request.scope.pop("route", None)  # the metrics count it like any unknown path
        raise Problem(404, "the jobs API is disabled: the setting SEEDMINT_JOBS_URL of the server is not set")

    def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


def create_jobs(models: ModelRepository, settings: Settings, is_draining: Callable[[], bool]) -> Jobs:
    """Return the jobs API, enabled or disabled by the settings.

    Args:
        models: The generators that jobs may use.
        settings: The settings of the service.
        is_draining: Whether the server shuts down, so that no request waits.

    Raises:
        UserError: The kind of URL of `settings.jobs_url` is unknown.
    """
    if settings.jobs_url is None:
        return DisabledJobs()
    from seedmint.service.api.jobs.handlers import JobHandlers

    return JobHandlers(models, settings, is_draining)
