"""The route table: the path template, the handler and the OpenAPI operation of each route; and the application of them all."""

from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seedmint.service.api.jobs.feature import DisabledJobs, Jobs
from seedmint.service.api.openapi.operations import Operation
from seedmint.service.api.pinned import PinnedResources
from seedmint.service.api.problem_mapping import CORE_ERRORS, handle_error
from seedmint.service.api.routing.endpoint import Endpoint, Handler
from seedmint.service.api.routing.handlers import Handlers
from seedmint.service.api.routing.inference_endpoints import ENDPOINTS as INFERENCE_ENDPOINTS
from seedmint.service.api.routing.inference_handlers import InferenceHandlers
from seedmint.service.api.routing.resource_endpoints import ENDPOINTS as RESOURCE_ENDPOINTS
from seedmint.service.api.routing.service_endpoints import ENDPOINTS as SERVICE_ENDPOINTS
from seedmint.service.api.static_files import ASSET_PATH, asset
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.settings import Settings

ENDPOINTS = (*RESOURCE_ENDPOINTS, *SERVICE_ENDPOINTS)
_ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_JOB_PATHS = ("/v1/jobs", "/v1/jobs/{rest:path}")


def operations(settings: Settings) -> list[tuple[str, Operation]]:
    """Return the path template and the operation of each route.

    A path template with two methods occurs twice.

    Args:
        settings: The settings of the service. The routes of jobs exist only where jobs are enabled.
    """
    return [(endpoint.path, endpoint.operation) for endpoint in (*ENDPOINTS, *INFERENCE_ENDPOINTS, *_job_endpoints(settings))]


def create_app(repository: ModelRepository, resources: PinnedResources, settings: Settings, jobs: Jobs) -> Starlette:
    """Create the application.

    Args:
        repository: The generators.
        resources: The immutable resources of the generators.
        settings: The settings of the service.
        jobs: The jobs API.
    """
    handlers = Handlers(repository, resources, settings, operations(settings))
    static = Route(ASSET_PATH, asset, methods=["GET"], include_in_schema=False)  # files of a page, no part of the API
    inference = _routes(InferenceHandlers(repository, settings), INFERENCE_ENDPOINTS, settings)
    routes = [*_routes(handlers, ENDPOINTS, settings), static, *inference, *_routes(jobs, _job_endpoints(settings), settings)]
    if isinstance(jobs, DisabledJobs):
        routes += [Route(path, jobs.not_found, methods=_ALL_METHODS, include_in_schema=False) for path in _JOB_PATHS]
    return Starlette(routes=routes, exception_handlers=dict.fromkeys(CORE_ERRORS, handle_error))


def _job_endpoints(settings: Settings) -> Sequence[Endpoint]:
    if settings.jobs_url is None:
        return ()
    from seedmint.service.api.routing.job_endpoints import ENDPOINTS as JOB_ENDPOINTS

    return JOB_ENDPOINTS


def _routes(handlers: Any, endpoints: Sequence[Endpoint], settings: Settings) -> list[Route]:
    """Return one route for each path, which answers all methods of the path."""
    by_path: dict[str, dict[str, Handler]] = {}
    max_bytes: dict[str, int] = {}
    for endpoint in endpoints:
        if endpoint.handler is not None:
            by_path.setdefault(endpoint.path, {})[endpoint.operation.method.upper()] = endpoint.handler
            if endpoint.operation.method == "post":
                max_bytes[endpoint.path] = endpoint.max_body_bytes(settings)
    return [_route(handlers, path, by_method, max_bytes.get(path)) for path, by_method in by_path.items()]


def _route(handlers: Any, path: str, by_method: dict[str, Handler], max_body_size: int | None) -> Route:
    async def handle(request: Request) -> Response:
        return await by_method["GET" if request.method == "HEAD" else request.method](handlers, request)

    return Route(path, handle, methods=list(by_method), max_body_size=max_body_size)
