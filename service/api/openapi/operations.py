"""The operations that `/openapi.json` tells of: one entry for each route. Values are in `components.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seedmint.service.api.contact_sheets import SHEET_FORMATS
from seedmint.service.api.latent_walks import WALK_MEDIA_TYPES
from seedmint.service.api.urls import IMAGES, SAMPLES
from seedmint.service.encoders.archives import ARCHIVE_MEDIA_TYPES
from seedmint.service.encoders.images import MEDIA_TYPES
from seedmint.service.encoders.tabular import SAMPLE_MEDIA_TYPES
from seedmint.service.telemetry import metrics

Tag = Literal["images", "samples", "generators", "jobs", "service"]

HTML = "text/html"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent when all is well.

    Attributes:
        content: media types, each with the name of its schema, if it has one.
        headers: names in `components/headers`, beside X-Request-Id, which every answer has.
    """

    description: str
    content: dict[str, str | None]
    headers: tuple[str, ...] = ("Cache-Control",)


@dataclass(frozen=True, slots=True)
class Operation:
    """What one route answers to GET (and then to HEAD), or to POST.

    Attributes:
        name: its `operationId`; that of HEAD ends in `Head`.
        answers: by status.
        problems: statuses of problems, beside those that every route has.
        parameters: names in `components/parameters`.
        body: schema of what is posted, or None where nothing is.
        unlocked: needs no key, and has no limit.
        served_while_stopping: what is asked of it when the server ends is still answered.
    """

    name: str
    tag: Tag
    summary: str
    answers: dict[int, Answer]
    problems: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    method: Literal["get", "post"] = "get"
    body: str | None = "SampleRequest"
    unlocked: bool = False
    served_while_stopping: bool = False


_FILE = ("ETag", "Cache-Control", "Accept-Ranges", "X-Content-Type-Options")
_NOT_MODIFIED = Answer("The client's copy is current; nothing is made.", {}, ("ETag", "Cache-Control", "Accept-Ranges"))
_SPELLED = Answer("To the one spelling of this address.", {}, ("Location", "Cache-Control"))
_MOVED = Answer("To the pinned address of the generator as it is now.", {}, ("Location", "Cache-Control"))
_ASKED = (400, 404, 422)  # what an address may be wrong in
_MADE = (429, 503, 504)  # what making takes
_BODY = (400, 404, 408, 413, 415, 422)
_YES = {200: Answer("Yes.", {"text/plain": None}, ())}
_PAGE = {200: Answer("The page.", {HTML: None}, ("Cache-Control", "Content-Security-Policy"))}
_KNOWN = {304: Answer("The client's copy is current.", {}, ("ETag", "Cache-Control"))}
_REFERENCE = {200: Answer("The page.", {HTML: None}, ("ETag", "Cache-Control", "Content-Security-Policy"))}
_SPECIFICATION = {200: Answer("The specification.", {JSON: None}, ("ETag", "Cache-Control"))}


def _types(media_types: Mapping[Any, str], schemas: dict[str, str] | None = None) -> dict[str, str | None]:
    """Media types by format, without their parameters."""
    return {text.partition(";")[0]: (schemas or {}).get(form) for form, text in media_types.items()}


_MANY = Answer(
    "The file, streamed. Images: zip, npz, npy; samples: npz, npy, csv, jsonl.",
    _types(ARCHIVE_MEDIA_TYPES),
    ("Content-Disposition", "Cache-Control"),
)
_IMAGE = Answer("The image. It never changes.", _types(MEDIA_TYPES), _FILE)
_SHEET = Answer("The picture. It never changes.", _types({form: MEDIA_TYPES[form] for form in SHEET_FORMATS}), _FILE)
_WALK = Answer("The animation or strip. It never changes.", _types(WALK_MEDIA_TYPES), _FILE)
_OF_SHEETS = ("Seeds", "Columns", "ImageLabel", "Truncation", "Scale")
_OF_WALKS = ("From", "To", "Frames", "ImageLabel", "Truncation", "Scale", "Duration", "Loop")
_SAMPLE = Answer("The sample. It never changes.", _types(SAMPLE_MEDIA_TYPES, {"json": "Sample"}), _FILE)

OPERATIONS: dict[str, Operation] = {
    "/v1/models": Operation(
        "listGenerators", "generators", "All generators", {200: Answer("By name.", {JSON: "Generators"})}, (503,)
    ),
    "/v1/models/{model}": Operation(
        "getGenerator",
        "generators",
        "One generator, with its whole card",
        {200: Answer("The generator.", {JSON: "GeneratorPage"})},
        (404, 503),
        ("Model",),
    ),
    IMAGES: Operation(
        "getImage",
        "images",
        "One image, at the address that never changes",
        {200: _IMAGE, 304: _NOT_MODIFIED, 308: _SPELLED},
        (*_ASKED, *_MADE),
        ("ImageName", "ImageDigest", "Seed", "ImageFormat", "ImageLabel", "Truncation", "Scale", "IfNoneMatch"),
    ),
    "/v1/models/{name}/images/{file}": Operation(
        "findImage",
        "images",
        "Where an image of the present version is",
        {307: _MOVED},
        (*_ASKED, 503),
        ("ImageName", "Seed", "ImageFormat", "ImageLabel", "Truncation", "Scale"),
    ),
    "/v1/models/{name}@{digest}/grid.{file}": Operation(
        "getSheet",
        "images",
        "A contact sheet: the images of many seeds in one picture",
        {200: _SHEET, 304: _NOT_MODIFIED, 308: _SPELLED},
        (*_ASKED, 413, *_MADE),
        ("ImageName", "ImageDigest", "SheetFormat", *_OF_SHEETS, "IfNoneMatch"),
    ),
    "/v1/models/{name}/grid.{file}": Operation(
        "findSheet",
        "images",
        "Where a contact sheet of the present version is",
        {307: _MOVED},
        (*_ASKED, 413, 503),
        ("ImageName", "SheetFormat", *_OF_SHEETS),
    ),
    "/v1/models/{name}@{digest}/walk.{file}": Operation(
        "getWalk",
        "images",
        "A walk through latent space, from the image of one seed to that of another: webp and gif move, png is a strip",
        {200: _WALK, 304: _NOT_MODIFIED, 308: _SPELLED},
        (*_ASKED, 413, *_MADE),
        ("ImageName", "ImageDigest", "WalkFormat", *_OF_WALKS, "IfNoneMatch"),
    ),
    "/v1/models/{name}/walk.{file}": Operation(
        "findWalk",
        "images",
        "Where a walk of the present version is",
        {307: _MOVED},
        (*_ASKED, 413, 503),
        ("ImageName", "WalkFormat", *_OF_WALKS),
    ),
    SAMPLES: Operation(
        "getSample",
        "samples",
        "One sample, at the address that never changes",
        {200: _SAMPLE, 304: _NOT_MODIFIED, 308: _SPELLED},
        (*_ASKED, *_MADE),
        ("SampleName", "SampleDigest", "Seed", "SampleFormat", "SampleLabel", "Truncation", "IfNoneMatch"),
    ),
    "/v1/models/{name}/samples/{file}": Operation(
        "findSample",
        "samples",
        "Where a sample of the present version is",
        {307: _MOVED},
        (*_ASKED, 503),
        ("SampleName", "Seed", "SampleFormat", "SampleLabel", "Truncation"),
    ),
    "/v1/sample": Operation(
        "makeMany", "images", "Many images or samples in one file", {200: _MANY}, (*_BODY, *_MADE), method="post"
    ),
    "/sample": Operation(
        "sample",
        "service",
        "The same as /v1/sample, where BentoML's clients look for it",
        {200: _MANY},
        (*_BODY, *_MADE),
        method="post",
    ),
    "/": Operation("showGenerators", "service", "A page to look at the generators", _PAGE),
    "/docs": Operation(
        "showReference", "service", "This reference, as a page", _REFERENCE | _KNOWN, parameters=("IfNoneMatch",)
    ),
    "/openapi.json": Operation(
        "getSpecification", "service", "This reference, as OpenAPI 3.1", _SPECIFICATION | _KNOWN, parameters=("IfNoneMatch",)
    ),
    "/schema.json": Operation(
        "getBentoSchema", "service", "What BentoML's clients ask first", {200: Answer("BentoML's own.", {JSON: None}, ())}
    ),
    "/metrics": Operation(
        "getMetrics",
        "service",
        "Metrics of all workers, for Prometheus",
        {200: Answer("Prometheus text.", _types({"text": metrics.CONTENT_TYPE}))},
        served_while_stopping=True,
    ),
    "/livez": Operation(
        "isAlive",
        "service",
        "Whether it is alive",
        _YES,
        unlocked=True,
        served_while_stopping=True,
    ),
    "/readyz": Operation("isReady", "service", "Whether the generators are loaded", _YES, (503,), unlocked=True),
}
