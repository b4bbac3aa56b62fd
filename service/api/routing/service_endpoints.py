"""The routes of requests for many seeds, of the pages, and of operators."""

from seedmint.service.api.bulk_latents import NPY_MEDIA_TYPES, max_latents_bytes
from seedmint.service.api.openapi.operations import HTML, JSON, Answer, Operation, media_types
from seedmint.service.api.routing.answers import UNAVAILABLE
from seedmint.service.api.routing.endpoint import Endpoint
from seedmint.service.api.routing.handlers import Handlers
from seedmint.service.encoders.animation import ANIMATION_MEDIA_TYPES
from seedmint.service.encoders.archives import ARCHIVE_MEDIA_TYPES
from seedmint.service.telemetry import scrape

_DOCUMENT_NOT_MODIFIED = Answer("The copy of the client is current.", {}, ("ETag", "Cache-Control"))
_INVALID_BODY = (400, 404, 408, 413, 415, 422)
_PROBE = {200: Answer("Success.", {"text/plain": None}, ())}
_HTML_HEADERS = ("Cache-Control", "Content-Security-Policy")
_ARCHIVE = Answer(
    "The file, streamed. Images: zip, npz, npy; samples: npz, npy, csv, jsonl; strings: also txt.",
    media_types(ARCHIVE_MEDIA_TYPES),
    ("Content-Disposition", "Cache-Control"),
)
_LATENTS_ANSWER = Answer(
    f"{_ARCHIVE.description} Animations: webp, gif.",
    media_types(ARCHIVE_MEDIA_TYPES) | media_types(ANIMATION_MEDIA_TYPES),
    ("Content-Disposition", "Cache-Control"),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "/v1/latents",
        Handlers.from_latents,
        Operation(
            "fromLatents",
            "images",
            "Returns images or samples of latent vectors: an archive or an animation. An npy body has its options in the query",
            {200: _LATENTS_ANSWER},
            (*_INVALID_BODY, *UNAVAILABLE),
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
            (*_INVALID_BODY, *UNAVAILABLE),
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
            (*_INVALID_BODY, *UNAVAILABLE),
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
            {200: Answer("Prometheus text.", media_types({"text": scrape.CONTENT_TYPE}))},
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
