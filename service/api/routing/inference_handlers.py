"""Request handlers of the Open Inference Protocol."""

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from seedmint.service.api import inference
from seedmint.service.api.inference_documents import Live, Ready
from seedmint.service.api.inference_tensors import HEADER_LENGTH
from seedmint.service.api.query import parse_reference
from seedmint.service.api.request_body import read_body
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.problems import Problem
from seedmint.service.settings import Settings

_BODY_TYPES = ("application/json", "application/octet-stream", "application/vnd.sagemaker-triton.binary+json")


class InferenceHandlers:
    """Request handlers of the routes in `inference_endpoints.ENDPOINTS`. Lives on one event loop."""

    def __init__(self, repository: ModelRepository, settings: Settings) -> None:
        """
        Args:
            repository: The generators.
            settings: The settings of the service.
        """
        self._repository = repository
        self._settings = settings

    async def live(self, _: Request) -> Response:
        """Answer `GET /v2/health/live`.

        Args:
            _: The request.
        """
        return _json(Live(live=True))

    async def ready(self, _: Request) -> Response:
        """Answer `GET /v2/health/ready`.

        Args:
            _: The request.
        """

        async def answer() -> Response:
            if not self._repository.is_ready():
                raise Problem(503, "the server is not ready", headers={"Retry-After": "1"})
            return _json(Ready(ready=True))

        return await inference.with_error_member(answer)

    async def server(self, _: Request) -> Response:
        """Answer `GET /v2`.

        Args:
            _: The request.
        """
        return _json(inference.server_metadata())

    async def metadata(self, request: Request) -> Response:
        """Answer `GET /v2/models/{model}` and `GET /v2/models/{model}/versions/{version}`.

        Args:
            request: The request.
        """

        async def answer() -> Response:
            return _json(inference.model_metadata(self._repository.find(*_reference(request)).generator))

        return await inference.with_error_member(answer)

    async def model_ready(self, request: Request) -> Response:
        """Answer the same paths with `/ready`.

        Args:
            request: The request.
        """

        async def answer() -> Response:
            generator = self._repository.find(*_reference(request)).generator
            return _json(Ready(ready=True, name=generator.name))

        return await inference.with_error_member(answer)

    async def infer(self, request: Request) -> Response:
        """Answer `POST` of the same paths with `/infer`.

        Args:
            request: The request.
        """

        async def answer() -> Response:
            body = await read_body(request, self._settings, _BODY_TYPES)
            length = request.headers.get(HEADER_LENGTH)
            return await inference.infer(self._repository, self._settings, _reference(request), length, body)

        return await inference.with_error_member(answer)


def _reference(request: Request) -> tuple[str, str | None]:
    """Return the name and the digest in the path of a request."""
    model, version = request.path_params["model"], request.path_params.get("version")
    return parse_reference(model if version is None else f"{model}@{version}")


def _json(document: BaseModel) -> Response:
    text = document.model_dump_json(exclude_none=True)
    return Response(text + "\n", 200, {"Cache-Control": "no-cache"}, "application/json")
