"""The route table: path template, handler and OpenAPI operation of each route, and the application made from the table."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seedmint.service.api.bulk_latents import NPY_MEDIA_TYPES, max_latents_bytes
from seedmint.service.api.jobs.feature import DisabledJobs, Jobs
from seedmint.service.api.openapi.operations import HTML, JSON, NPY, Answer, Operation, media_types
from seedmint.service.api.pinned import PinnedResources
from seedmint.service.api.problem_mapping import CORE_ERRORS, handle_error
from seedmint.service.api.query import parse_image, parse_latent, parse_sample, parse_sheet, parse_walk
from seedmint.service.api.routing.endpoint import Endpoint, Handler
from seedmint.service.api.routing.handlers import Handlers
from seedmint.service.api.routing.inference_endpoints import ENDPOINTS as INFERENCE_ENDPOINTS
from seedmint.service.api.routing.inference_handlers import InferenceHandlers
from seedmint.service.api.static_files import ASSET_PATH, asset
from seedmint.service.api.urls import IMAGES, SAMPLES
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.encoders.animation import ANIMATION_MEDIA_TYPES
from seedmint.service.encoders.archives import ARCHIVE_MEDIA_TYPES
from seedmint.service.encoders.images import MEDIA_TYPES
from seedmint.service.encoders.tabular import SAMPLE_FORMATS, SAMPLE_MEDIA_TYPES
from seedmint.service.settings import Settings
from seedmint.service.specs.latent import LATENT_MEDIA_TYPES
from seedmint.service.specs.sheet import SHEET_FORMATS
from seedmint.service.specs.walk import WALK_MEDIA_TYPES
from seedmint.service.telemetry import metrics

_ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_JOB_PATHS = ("/v1/jobs", "/v1/jobs/{rest:path}")
_IMMUTABLE_HEADERS = ("ETag", "Cache-Control", "Accept-Ranges", "X-Content-Type-Options")
_LATENT_HEADERS = ("ETag", "Cache-Control", "X-Content-Type-Options")
_DOCUMENT_NOT_MODIFIED = Answer("The copy of the client is current.", {}, ("ETag", "Cache-Control"))
_CANONICAL = Answer("Permanent redirect to the canonical URL.", {}, ("Location", "Cache-Control"))
_CURRENT = Answer("Redirect to the pinned URL of the current version.", {}, ("Location", "Cache-Control"))
_NEGOTIATED = Answer("Redirect to the URL with the format.", {}, ("Location", "Cache-Control", "Vary"))
# Smallest first, among the formats that a client names. Without a quality, all formats but jpg and avif are lossless.
_NEGOTIATED_IMAGES: dict[str, str] = {form: MEDIA_TYPES[form] for form in ("avif", "webp", "png", "jpg", "npy")}
_NEGOTIATED_SAMPLES: dict[str, str] = {form: SAMPLE_MEDIA_TYPES[form] for form in SAMPLE_FORMATS}
_INVALID = (400, 404, 422)  # an invalid URL
_UNAVAILABLE = (429, 503, 504)  # the generator is overloaded, not ready or too slow
_INVALID_BODY = (400, 404, 408, 413, 415, 422)
_PROBE = {200: Answer("Success.", {"text/plain": None}, ())}
_HTML_HEADERS = ("Cache-Control", "Content-Security-Policy")
_IMAGE_PARAMETERS = ("ImageLabel", "Quality", "Scale", "Truncation")
_SHEET_PARAMETERS = ("Columns", "ImageLabel", "Scale", "Seeds", "Truncation")
_WALK_PARAMETERS = ("Duration", "Frames", "From", "ImageLabel", "Loop", "Scale", "To", "Truncation")
_ARCHIVE = Answer(
    "The file, streamed. Images: zip, npz, npy; samples: npz, npy, csv, jsonl.",
    media_types(ARCHIVE_MEDIA_TYPES),
    ("Content-Disposition", "Cache-Control"),
)
_LATENTS_ANSWER = Answer(
    f"{_ARCHIVE.description} Animations: webp, gif.",
    media_types(ARCHIVE_MEDIA_TYPES) | media_types(ANIMATION_MEDIA_TYPES),
    ("Content-Disposition", "Cache-Control"),
)


def _immutable(
    description: str,
    content: dict[str, str | None],
    headers: tuple[str, ...] = _IMMUTABLE_HEADERS,
    not_modified_headers: tuple[str, ...] | None = None,
) -> dict[int, Answer]:
    """Return the answers of an immutable resource. 304 has the headers of 200 unless others are given."""
    not_modified = Answer("The copy of the client is current.", {}, not_modified_headers or headers)
    return {200: Answer(description, content, headers), 304: not_modified, 308: _CANONICAL}


_RANGE_HEADERS = (*_IMMUTABLE_HEADERS, "Content-Disposition")
_ARRAY = _immutable("The array.", {NPY: None}, _RANGE_HEADERS, _IMMUTABLE_HEADERS) | {
    206: Answer("A range of bytes.", {NPY: None}, (*_RANGE_HEADERS, "Content-Range"))
}


def _image_by_range(is_lossy: bool) -> str:
    return "jpg" if is_lossy else "png"


def _sample_by_range(_: bool) -> str:
    return "json"


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "/v1/models",
        Handlers.models,
        Operation(
            "listGenerators",
            "generators",
            "Lists all generators",
            {200: Answer("A page of the generators, sorted by name.", {JSON: "Generators"})},
            (400, 422, 503),
            ("ModelLimit", "ModelAfter"),
        ),
    ),
    Endpoint(
        "/v1/models/{model}",
        Handlers.model,
        Operation(
            "getGenerator",
            "generators",
            "Returns one generator with its card",
            {200: Answer("The generator.", {JSON: "GeneratorPage"})},
            (404, 503),
            ("Model",),
        ),
    ),
    Endpoint(
        "/v1/models/{name}@{digest}/images/{seed:int}",
        partial(Handlers.negotiated, parse=parse_image, media_types=_NEGOTIATED_IMAGES, by_range=_image_by_range),
        Operation(
            "chooseImage",
            "images",
            "Redirects to an image in the format that the header Accept prefers",
            {307: _NEGOTIATED},
            (*_INVALID, 406, 503),
            ("ImageName", "ImageDigest", "Seed", "Accept", *_IMAGE_PARAMETERS),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/images/{seed:int}",
        partial(Handlers.negotiated, parse=parse_image, media_types=_NEGOTIATED_IMAGES, by_range=_image_by_range),
        Operation(
            "chooseCurrentImage",
            "images",
            "Redirects to an image of the current version, in the format that the header Accept prefers",
            {307: _NEGOTIATED},
            (*_INVALID, 406, 503),
            ("ImageName", "Seed", "Accept", *_IMAGE_PARAMETERS),
        ),
    ),
    Endpoint(
        IMAGES,
        partial(Handlers.pinned, parse=parse_image),
        Operation(
            "getImage",
            "images",
            "Returns one image. The response never changes and can be cached forever",
            _immutable("The image.", media_types(MEDIA_TYPES)),
            (*_INVALID, *_UNAVAILABLE),
            ("ImageName", "ImageDigest", "Seed", "ImageFormat", *_IMAGE_PARAMETERS, "IfNoneMatch"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/images/{file}",
        partial(Handlers.current, parse=parse_image),
        Operation(
            "findImage",
            "images",
            "Redirects to an image of the current version",
            {307: _CURRENT},
            (*_INVALID, 503),
            ("ImageName", "Seed", "ImageFormat", *_IMAGE_PARAMETERS),
        ),
    ),
    Endpoint(
        "/v1/models/{name}@{digest}/samples/{seed:int}",
        partial(Handlers.negotiated, parse=parse_sample, media_types=_NEGOTIATED_SAMPLES, by_range=_sample_by_range),
        Operation(
            "chooseSample",
            "samples",
            "Redirects to a sample in the format that the header Accept prefers",
            {307: _NEGOTIATED},
            (*_INVALID, 406, 503),
            ("SampleName", "SampleDigest", "Seed", "Accept", *("SampleLabel", "Truncation")),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/samples/{seed:int}",
        partial(Handlers.negotiated, parse=parse_sample, media_types=_NEGOTIATED_SAMPLES, by_range=_sample_by_range),
        Operation(
            "chooseCurrentSample",
            "samples",
            "Redirects to a sample of the current version, in the format that the header Accept prefers",
            {307: _NEGOTIATED},
            (*_INVALID, 406, 503),
            ("SampleName", "Seed", "Accept", *("SampleLabel", "Truncation")),
        ),
    ),
    Endpoint(
        SAMPLES,
        partial(Handlers.pinned, parse=parse_sample),
        Operation(
            "getSample",
            "samples",
            "Returns one sample. The response never changes and can be cached forever",
            _immutable("The sample.", media_types(SAMPLE_MEDIA_TYPES, {"json": "Sample"})),
            (*_INVALID, *_UNAVAILABLE),
            ("SampleName", "SampleDigest", "Seed", "SampleFormat", "SampleLabel", "Truncation", "IfNoneMatch"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/samples/{file}",
        partial(Handlers.current, parse=parse_sample),
        Operation(
            "findSample",
            "samples",
            "Redirects to a sample of the current version",
            {307: _CURRENT},
            (*_INVALID, 503),
            ("SampleName", "Seed", "SampleFormat", "SampleLabel", "Truncation"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}@{digest}/images.npy",
        partial(Handlers.array, are_images=True),
        Operation(
            "getImageArray",
            "images",
            "Returns the images of many seeds as an npy file that never changes. Ranges of bytes are generated alone",
            _ARRAY,
            (*_INVALID, 413, 416, *_UNAVAILABLE),
            ("ImageName", "ImageDigest", "ImageLabel", "ManySeeds", "Truncation", "Range", "IfRange", "IfNoneMatch"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/images.npy",
        partial(Handlers.current_array, are_images=True),
        Operation(
            "findImageArray",
            "images",
            "Redirects to the images of many seeds of the current version",
            {307: _CURRENT},
            (*_INVALID, 413, 503),
            ("ImageName", "ImageLabel", "ManySeeds", "Truncation"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}@{digest}/samples.npy",
        partial(Handlers.array, are_images=False),
        Operation(
            "getSampleArray",
            "samples",
            "Returns the samples of many seeds as an npy file that never changes. Ranges of bytes are generated alone",
            _ARRAY,
            (*_INVALID, 413, 416, *_UNAVAILABLE),
            ("SampleName", "SampleDigest", "SampleLabel", "ManySeeds", "Truncation", "Range", "IfRange", "IfNoneMatch"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/samples.npy",
        partial(Handlers.current_array, are_images=False),
        Operation(
            "findSampleArray",
            "samples",
            "Redirects to the samples of many seeds of the current version",
            {307: _CURRENT},
            (*_INVALID, 413, 503),
            ("SampleName", "SampleLabel", "ManySeeds", "Truncation"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}@{digest}/grid.{file}",
        partial(Handlers.pinned, parse=parse_sheet),
        Operation(
            "getSheet",
            "images",
            "Returns a contact sheet: the images of many seeds in one picture",
            _immutable("The contact sheet.", media_types({form: MEDIA_TYPES[form] for form in SHEET_FORMATS})),
            (*_INVALID, 413, *_UNAVAILABLE),
            ("ImageName", "ImageDigest", "SheetFormat", *_SHEET_PARAMETERS, "IfNoneMatch"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/grid.{file}",
        partial(Handlers.current, parse=parse_sheet),
        Operation(
            "findSheet",
            "images",
            "Redirects to a contact sheet of the current version",
            {307: _CURRENT},
            (*_INVALID, 413, 503),
            ("ImageName", "SheetFormat", *_SHEET_PARAMETERS),
        ),
    ),
    Endpoint(
        "/v1/models/{name}@{digest}/walk.{file}",
        partial(Handlers.pinned, parse=parse_walk),
        Operation(
            "getWalk",
            "images",
            "Returns a latent walk between the images of two seeds: an animation (webp, gif) or a strip (png)",
            _immutable("The animation or strip.", media_types(WALK_MEDIA_TYPES)),
            (*_INVALID, 413, *_UNAVAILABLE),
            ("ImageName", "ImageDigest", "WalkFormat", *_WALK_PARAMETERS, "IfNoneMatch"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/walk.{file}",
        partial(Handlers.current, parse=parse_walk),
        Operation(
            "findWalk",
            "images",
            "Redirects to a latent walk of the current version",
            {307: _CURRENT},
            (*_INVALID, 413, 503),
            ("ImageName", "WalkFormat", *_WALK_PARAMETERS),
        ),
    ),
    Endpoint(
        "/v1/models/{name}@{digest}/latents/{file}",
        Handlers.latent,
        Operation(
            "getLatent",
            "generators",
            "Returns the latent vector of a seed, before truncation. json: the body of a request to /v1/latents",
            _immutable("The latent vector.", media_types(LATENT_MEDIA_TYPES, {"json": "LatentsRequest"}), _LATENT_HEADERS),
            (*_INVALID, 503),
            ("GeneratorName", "Digest", "Seed", "LatentFormat", "IfNoneMatch"),
        ),
    ),
    Endpoint(
        "/v1/models/{name}/latents/{file}",
        partial(Handlers.current, parse=parse_latent),
        Operation(
            "findLatent",
            "generators",
            "Redirects to the latent vector of a seed for the current version",
            {307: _CURRENT},
            (*_INVALID, 503),
            ("GeneratorName", "Seed", "LatentFormat"),
        ),
    ),
    Endpoint(
        "/v1/latents",
        Handlers.from_latents,
        Operation(
            "fromLatents",
            "images",
            "Returns images or samples of latent vectors: an archive or an animation. An npy body has its options in the query",
            {200: _LATENTS_ANSWER},
            (*_INVALID_BODY, *_UNAVAILABLE),
            ("BodyDuration", "BodyFormat", "BodyLabels", "BodyModel", "BodyScale", "BodyTruncation"),
            method="post",
            body="LatentsRequest",
            binary_bodies=NPY_MEDIA_TYPES,
        ),
        max_latents_bytes,
    ),
    Endpoint(
        "/v1/sample",
        Handlers.sample,
        Operation(
            "makeMany",
            "images",
            "Returns many images or samples in one file",
            {200: _ARCHIVE},
            (*_INVALID_BODY, *_UNAVAILABLE),
            method="post",
        ),
    ),
    Endpoint(
        "/sample",
        Handlers.sample,
        Operation(
            "sample",
            "service",
            "Same as /v1/sample, at the URL that BentoML's clients use",
            {200: _ARCHIVE},
            (*_INVALID_BODY, *_UNAVAILABLE),
            method="post",
        ),
    ),
    Endpoint(
        "/",
        Handlers.page,
        Operation(
            "showGenerators",
            "service",
            "Shows the explorer, a page with all generators",
            {200: Answer("The page.", {HTML: None}, _HTML_HEADERS)},
            is_page=True,
        ),
    ),
    Endpoint(
        "/docs",
        Handlers.reference,
        Operation(
            "showReference",
            "service",
            "Shows this reference as a page",
            {200: Answer("The page.", {HTML: None}, _HTML_HEADERS)},
            is_page=True,
        ),
    ),
    Endpoint(
        "/openapi.json",
        Handlers.specification,
        Operation(
            "getSpecification",
            "service",
            "Returns this reference as an OpenAPI 3.1 document",
            {200: Answer("The OpenAPI document.", {JSON: None}, ("ETag", "Cache-Control")), 304: _DOCUMENT_NOT_MODIFIED},
            parameters=("IfNoneMatch",),
        ),
    ),
    Endpoint(
        "/schema.json",
        None,
        Operation(
            "getBentoSchema",
            "service",
            "Returns the schema that BentoML's clients read",
            {200: Answer("The schema of BentoML.", {JSON: None}, ())},
        ),
    ),
    Endpoint(
        "/metrics",
        Handlers.metrics,
        Operation(
            "getMetrics",
            "service",
            "Returns the metrics of all workers, for Prometheus",
            {200: Answer("Prometheus text.", media_types({"text": metrics.CONTENT_TYPE}))},
            served_while_draining=True,
        ),
    ),
    Endpoint(
        "/livez",
        None,
        Operation(
            "isAlive", "service", "Checks whether the server is alive", _PROBE, is_public=True, served_while_draining=True
        ),
    ),
    Endpoint(
        "/readyz",
        None,
        Operation("isReady", "service", "Checks whether the generators are loaded", _PROBE, (503,), is_public=True),
    ),
)


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
