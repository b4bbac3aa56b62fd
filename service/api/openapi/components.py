"""The components of the OpenAPI document: parameters, schemas, headers and problems, with the bounds that the code checks."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from seedmint.models.card import MAX_CLASSES, NAME_PATTERN, ImageOutput
from seedmint.models.runtime.generator_file import DIGEST12
from seedmint.models.seeds import SEED_LIMIT, SEEDS_PATTERN
from seedmint.service.api.bulk_latents import LATENTS_FORMATS, LatentsRequest
from seedmint.service.api.bulk_samples import SampleRequest
from seedmint.service.api.inference_documents import InferRequest, InferResponse, Live, ModelMetadata, Ready, ServerMetadata
from seedmint.service.api.openapi.client_schemas import plain_schemas, without_defaults
from seedmint.service.api.query import DIGEST, MAX_MODELS, SHEET_LIMITS
from seedmint.service.api.schemas import Generators, ImageGeneratorPage, SampleGeneratorPage
from seedmint.service.encoders.images import FORMATS, MAX_QUALITY, MAX_SIDE, max_scale
from seedmint.service.encoders.tabular import SAMPLE_FORMATS
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import MIN_TRUNCATION, Generator
from seedmint.service.settings import Settings
from seedmint.service.specs.latent import LATENT_FORMATS
from seedmint.service.specs.sheet import SHEET_FORMATS
from seedmint.service.specs.walk import (
    DEFAULT_DURATION,
    DEFAULT_FRAMES,
    DURATION_STEP,
    MAX_DURATION,
    MAX_FRAMES,
    MAX_LOOP,
    MIN_FRAMES,
    WALK_FORMATS,
)
from seedmint.service.telemetry.request_context import REQUEST_ID

Json = dict[str, Any]

# By status: a description, an example, and the headers besides the headers of all problems.
PROBLEMS: dict[int, tuple[str, Problem, tuple[str, ...]]] = {
    400: ("Malformed request.", Problem(400, "'2.5' is not an integer without sign and leading zeros", "scale"), ()),
    401: (
        "API key missing or unknown.",
        Problem(401, "unknown API key", "Authorization"),
        ("WWW-Authenticate",),
    ),
    403: ("Signed URL refused.", Problem(403, "the signed URL has expired", "signature", reason="expired_signature"), ()),
    404: (
        "Not found.",
        Problem(404, "unknown format 'tiff': use png, webp, jpg, avif, npy", "format", reason="unknown_format"),
        (),
    ),
    405: ("Method not allowed.", Problem(405, "allowed methods: GET, HEAD"), ("Allow",)),
    406: ("No format is acceptable.", Problem(406, "none of the formats is acceptable", "Accept"), ()),
    408: ("The body arrived too slowly.", Problem(408, "the body did not arrive within 30 seconds", "body"), ()),
    409: (
        "The job has not ended yet.",
        Problem(409, "job 0123456789abcdef has not ended yet: send the request again", reason="job_active"),
        ("Retry-After",),
    ),
    413: ("Too many seeds or pixels, or the body is too large.", Problem(413, "more than 65536 seeds", "seeds"), ()),
    415: ("Unsupported media type.", Problem(415, "send a body with Content-Type: application/json", "Content-Type"), ()),
    416: (
        "The range is not within the content.",
        Problem(416, "the content has 784 bytes", "Range", reason="range_not_satisfiable"),
        ("Content-Range",),
    ),
    422: ("Out of range.", Problem(422, "12 is out of range: 0 to 9", "label"), ()),
    429: ("Overloaded, or a limit is exceeded.", Problem(429, "64 images are waiting already"), ("Retry-After",)),
    500: ("Internal error.", Problem(500, "internal error: see the log of the server"), ()),
    503: ("Not ready, or shutting down.", Problem(503, "the generators are being loaded"), ("Retry-After",)),
    504: ("Deadline exceeded.", Problem(504, "the image was not ready within 30 seconds"), ()),
    507: ("The disk is full.", Problem(507, "the job needs about 900 MB, and 800 MB are free", "seeds"), ()),
}
HEADERS: Json = {
    "X-Request-Id": (
        "ID of the request in the log.",
        {"type": "string", "pattern": f"^{REQUEST_ID.pattern.decode()}$"},
    ),
    "Cache-Control": ("Who may cache the response, and for how long.", {"type": "string"}),
    "ETag": (
        "Names the outcome of the check of the generator: strong if it is exact, weak if it is approximate.",
        {"type": "string", "pattern": '^(W/)?"[^"]+"$'},
    ),
    "Location": ("URL of the resource.", {"type": "string", "format": "uri-reference"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 1}),
    "Allow": ("Allowed methods.", {"type": "string"}),
    "WWW-Authenticate": ("How to send an API key.", {"type": "string", "pattern": "^Bearer "}),
    "Content-Disposition": ("File name.", {"type": "string", "pattern": "^attachment; "}),
    "Content-Security-Policy": ("The page loads nothing from other origins.", {"type": "string"}),
    "Vary": ("Request headers that select the response.", {"type": "string"}),
    "Accept-Ranges": ("Whether the URL has ranges of bytes.", {"enum": ["none", "bytes"]}),
    "Content-Range": ("The range, and the size of the whole content.", {"type": "string", "pattern": "^bytes "}),
    "X-Content-Type-Options": ("Browsers use the media type as sent.", {"const": "nosniff"}),
}

PROBLEM_SCHEMA: Json = {
    "type": "object",
    "description": "Problem document (RFC 9457).",
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string", "description": "Name of the status."},
        "status": {"type": "integer", "enum": list(PROBLEMS)},
        "detail": {"type": "string", "description": "One line for people. The text can change."},
        "reason": {
            "type": "string",
            "pattern": "^[a-z_]+$",
            "description": "Stable code for programs. For a rejected request, the label of "
            "seedmint_http_requests_rejected_total.",
        },
        "field": {"type": "string", "description": "The part of the request that is wrong."},
        "error": {"type": "string", "description": "Only below /v2: the text of `detail`."},
    },
    "required": ["type", "title", "status", "detail", "reason"],
    "additionalProperties": False,
}
_SAMPLE_SCHEMA: Json = {
    "type": "object",
    "description": "One sample, with the values that identify it and the names of its columns or channels.",
    "properties": {
        "model": {"type": "string", "pattern": NAME_PATTERN},
        "digest": {"type": "string"},
        "seed": {"type": "integer", "minimum": 0, "maximum": SEED_LIMIT - 1},
        "label": {"type": "integer", "minimum": 0},
        "truncation": {"type": "number", "minimum": MIN_TRUNCATION, "maximum": 1},
        "names": {"type": "array", "items": {"type": "string"}},
        "length": {"type": "integer", "minimum": 1, "description": "Number of steps, of series of different lengths."},
        "values": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}},
    },
    "required": ["model", "digest", "seed", "truncation", "names", "values"],
    "additionalProperties": False,
}


SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "API key as a bearer token."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same API key in its own header."},
}


def reference(schema: str) -> Json:
    """Return a reference to a schema of the OpenAPI document.

    Args:
        schema: Name of the schema.
    """
    return {"$ref": f"#/components/schemas/{schema}"}


def parameters(generators: Sequence[Generator], settings: Settings) -> Json:
    """Return the parameters by name, with examples and bounds of the generators that are served.

    Args:
        generators: The generators.
        settings: The settings of the service.
    """
    job_parameters_by_name: Json = {}
    if settings.jobs_url is not None:
        from seedmint.service.api.openapi.job_schemas import job_parameters

        job_parameters_by_name = job_parameters()
    images = [each for each in generators if isinstance(each.card.output, ImageOutput)]
    samples = [each for each in generators if each not in images]
    scales = [max_scale(each.card.output) for each in images if isinstance(each.card.output, ImageOutput)]
    seed = _integer(0, SEED_LIMIT - 1) | {"format": "int64"}
    truncation = {"type": "number", "minimum": MIN_TRUNCATION, "maximum": 1, "default": 1}
    scale = _integer(1, max(scales, default=MAX_SIDE), 1)
    seeds = {"type": "string", "pattern": SEEDS_PATTERN}
    digest = {"type": "string", "pattern": f"^{DIGEST.pattern}$"}
    duration = _integer(DURATION_STEP, MAX_DURATION, DEFAULT_DURATION) | {"multipleOf": DURATION_STEP}
    model = {"type": "string", "pattern": f"{NAME_PATTERN[:-1]}(@{DIGEST.pattern})?$"}
    by_kind = _parameters_by_kind("Image", images, FORMATS) | _parameters_by_kind("Sample", samples, SAMPLE_FORMATS)
    return without_defaults(
        by_kind
        | job_parameters_by_name
        | {
            "ModelLimit": _in_query("limit", "Largest number of generators on a page.", _integer(1, MAX_MODELS, MAX_MODELS)),
            "ModelAfter": _in_query(
                "after", "Cursor of the next page, as in next_url.", {"type": "string", "pattern": NAME_PATTERN}
            ),
            "Model": _in_path("model", f"Name of a generator, or name@digest with {DIGEST12} digits.", model)
            | _example([each.name for each in generators]),
            "Version": _in_path("version", f"The first {DIGEST12} digits of the digest.", digest)
            | _example([each.digest12 for each in generators]),
            "Digest": _in_path("digest", f"The first {DIGEST12} digits of the digest.", digest)
            | _example([each.digest12 for each in generators]),
            "GeneratorName": _in_path("name", "Name of a generator.", {"type": "string", "pattern": NAME_PATTERN})
            | _example([each.name for each in generators]),
            "LatentFormat": _in_path("format", "File format.", {"enum": list(LATENT_FORMATS)}),
            "BodyModel": _in_query("model", "Generator of an npy body; it replaces `model` of the JSON body.", model),
            "BodyLabels": _in_query("labels", "Label or labels of an npy body, with commas.", {"type": "string"}),
            "BodyTruncation": _in_query("truncation", "Factor on z of an npy body.", truncation),
            "BodyFormat": _in_query("format", "Format of the response to an npy body.", {"enum": list(LATENTS_FORMATS)}),
            "BodyDuration": _in_query("duration", "Milliseconds a frame of an animation, for an npy body.", duration),
            "BodyScale": _in_query("scale", "Nearest-neighbor enlargement of an animation, for an npy body.", scale),
            "Accept": {
                "name": "Accept",
                "in": "header",
                "description": "Preferred media types.",
                "schema": {"type": "string"},
            },
            "Seed": _in_path("seed", "Decimal number without leading zeros.", seed) | {"example": 42},
            "Truncation": _in_query("truncation", "Factor on z: a decimal number with up to 20 decimal places.", truncation),
            "Scale": _in_query("scale", f"Nearest-neighbor enlargement, up to {MAX_SIDE} pixels a side.", scale),
            "Quality": _in_query(
                "quality",
                "Quality of a lossy file. Default: 90 for jpg, 75 for avif; webp is lossless without the parameter.",
                _integer(1, MAX_QUALITY),
            ),
            "SheetFormat": _in_path("format", "File format.", {"enum": list(SHEET_FORMATS)}),
            "Seeds": _in_query("seeds", f"Up to {SHEET_LIMITS.seeds} seeds. Ranges are inclusive.", seeds)
            | {"required": True, "example": "0-63"},
            "ManySeeds": _in_query("seeds", f"Up to {settings.max_seeds} seeds. Ranges are inclusive.", seeds)
            | {"required": True, "example": "0-63"},
            "Range": {
                "name": "Range",
                "in": "header",
                "description": "One range of bytes.",
                "schema": {"type": "string"},
            },
            "IfRange": {
                "name": "If-Range",
                "in": "header",
                "description": "ETag of the content that the range belongs to.",
                "schema": {"type": "string"},
            },
            "Columns": _in_query(
                "columns", "Images in a row. Default: an almost square sheet.", _integer(1, SHEET_LIMITS.seeds)
            ),
            "WalkFormat": _in_path("format", "File format.", {"enum": list(WALK_FORMATS)}),
            "From": _in_query("from", "Seed of the first frame.", seed) | {"required": True, "example": 1},
            "To": _in_query("to", "Seed of the last frame.", seed) | {"required": True, "example": 2},
            "Frames": _in_query("frames", "Number of frames.", _integer(MIN_FRAMES, MAX_FRAMES, DEFAULT_FRAMES)),
            "Duration": _in_query("duration", "Milliseconds a frame. Not for a strip.", duration),
            "Loop": _in_query("loop", "Number of repetitions, 0 for no end. Not for a strip.", _integer(0, MAX_LOOP, 0)),
            "IfNoneMatch": {
                "name": "If-None-Match",
                "in": "header",
                "description": "ETags of the copies in the cache of the client.",
                "schema": {"type": "string"},
            },
        }
    )


def _parameters_by_kind(kind: str, generators: Sequence[Generator], formats: Sequence[str]) -> Json:
    """Return the parameters of images or of samples."""
    classes = [len(each.card.classes) for each in generators if each.card.classes]
    if kind == "Image":
        text = "Class number; the name of a class redirects to its number."
        label = _integer(0, max(classes, default=MAX_CLASSES) - 1)
    else:  # no choice of types: generated Go clients cannot send one
        text = "Class number, name of a class, or several class numbers with commas, of which each seed has one."
        label = {"type": "string", "minLength": 1}
    digest = {"type": "string", "pattern": f"^{DIGEST.pattern}$"}
    return {
        f"{kind}Name": _in_path("name", f"Name of a generator of {kind.lower()}s.", {"type": "string", "pattern": NAME_PATTERN})
        | _example([each.name for each in generators]),
        f"{kind}Digest": _in_path("digest", f"The first {DIGEST12} digits of the SHA-256 of the generator file.", digest)
        | _example([each.digest12 for each in generators]),
        f"{kind}Format": _in_path("format", "File format.", {"enum": list(formats)}),
        f"{kind}Label": _in_query(
            "label",
            f"{text} Default: the label that the seed determines.",
            label,
        ),
    }


def _integer(minimum: int, maximum: int, default: int | None = None) -> Json:
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return schema if default is None else schema | {"default": default}


def _in_path(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _in_query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _example(values: Sequence[str]) -> Json:
    """Return the first value as the example, so that the examples of all parameters belong to one generator."""
    return {"example": values[0]} if values else {}


def schemas(generators: Sequence[Generator], settings: Settings) -> Json:
    """Return all schemas by name: the schemas of the pydantic models, and the schemas without a model.

    Args:
        generators: The generators that are served. They determine examples.
        settings: The settings of the service.
    """
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (SampleRequest, "validation"),
        (LatentsRequest, "validation"),
        (InferRequest, "validation"),
        (InferResponse, "serialization"),
        (ModelMetadata, "serialization"),
        (ServerMetadata, "serialization"),
        (Live, "serialization"),
        (Ready, "serialization"),
        (Generators, "serialization"),
        (ImageGeneratorPage, "serialization"),
        (SampleGeneratorPage, "serialization"),
    ]
    if settings.jobs_url is not None:
        from seedmint.service.api.openapi.job_schemas import MODELS

        models += MODELS
    _, document = models_json_schema(models, by_alias=True, ref_template="#/components/schemas/{model}")
    definitions: Json = document["$defs"]
    body = definitions["SampleRequest"]
    for field in ("seeds", "labels"):
        for choice in body["properties"][field]["anyOf"]:
            if choice["type"] == "array":
                choice["maxItems"] = settings.max_seeds
    if generators:
        body["examples"] = [{"model": each.name, "seeds": "0-63,100", "format": _bulk_format(each)} for each in generators]
    if generators:
        definitions["LatentsRequest"]["examples"] = [_latents_example(generators[0])]
    seeds: Json = {"name": "seed", "shape": [2], "datatype": "INT64", "data": [7, 42]}
    definitions["InferRequest"]["examples"] = [{"inputs": [seeds]}]
    if settings.jobs_url is not None:
        from seedmint.service.api.openapi.job_schemas import finish_schemas

        finish_schemas(definitions, generators, settings)
    page = {"anyOf": [reference("ImageGeneratorPage"), reference("SampleGeneratorPage")]}
    return plain_schemas(definitions | {"GeneratorPage": page, "Problem": PROBLEM_SCHEMA, "Sample": _SAMPLE_SCHEMA})


def _latents_example(generator: Generator) -> Json:
    labels = {} if generator.card.classes is None else {"labels": 0}
    return {"model": generator.name, "z": [[0.0] * generator.card.noise.z_dim], **labels}


def _bulk_format(generator: Generator) -> str:
    return "zip" if isinstance(generator.card.output, ImageOutput) else "csv"
