"""The parts of the specification: what parameters, bodies, headers and problems may be, by the code's own bounds."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from seedmint.models.card import MAX_CLASSES, NAME_PATTERN, ImageOutput
from seedmint.models.runtime.generator_file import DIGEST12
from seedmint.models.seeds import SEED_LIMIT, SEEDS_PATTERN
from seedmint.service.api.bulk_samples import SampleRequest
from seedmint.service.api.contact_sheets import MAX_SHEET_SEEDS, SHEET_FORMATS
from seedmint.service.api.latent_walks import (
    DURATION,
    DURATION_STEP,
    FRAMES,
    MAX_DURATION,
    MAX_FRAMES,
    MAX_LOOP,
    MIN_FRAMES,
    WALK_FORMATS,
)
from seedmint.service.api.schemas import Generators, ImageGeneratorPage, SampleGeneratorPage
from seedmint.service.api.urls import DIGEST
from seedmint.service.encoders.images import FORMATS, MAX_SIDE, max_scale
from seedmint.service.encoders.tabular import SAMPLE_FORMATS
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import MIN_TRUNCATION, Generator
from seedmint.service.settings import Settings
from seedmint.service.telemetry.request_context import REQUEST_ID

Json = dict[str, Any]

# Of each status that is a problem: when it is answered, an example, and its headers beside those of all problems.
PROBLEMS: dict[int, tuple[str, Problem, tuple[str, ...]]] = {
    400: ("Malformed.", Problem(400, "scale '2.5' is not a whole number without sign or leading zeros", "scale"), ()),
    401: (
        "No API key, or one not known here.",
        Problem(401, "this API key is not known here", "Authorization"),
        ("WWW-Authenticate",),
    ),
    404: (
        "Not here.",
        Problem(404, "format 'tiff' is not known: write png, webp, npy after the dot", "format"),
        (),
    ),
    405: ("To another method: this address has it not.", Problem(405, "this address answers GET, HEAD"), ("Allow",)),
    408: ("The body came too slowly.", Problem(408, "the body did not arrive within 30 seconds", "body"), ()),
    413: ("Too many seeds, or too large a body.", Problem(413, "more than 65536 seeds, which is the limit", "seeds"), ()),
    415: ("The body is of another type.", Problem(415, "send a body with Content-Type: application/json", "Content-Type"), ()),
    422: ("Out of range.", Problem(422, "label 12 is out of range: 0 to 9", "label"), ()),
    429: (
        "Overloaded, or over a limit.",
        Problem(429, "more requests than the limit allows"),
        ("Retry-After",),
    ),
    500: ("A fault of the server's.", Problem(500, "an unexpected error; the server's log says more"), ()),
    503: ("Not ready yet, or stopping.", Problem(503, "the generators are being loaded"), ("Retry-After",)),
    504: ("It was not made in time.", Problem(504, "the image was not ready within 30 seconds"), ()),
    507: ("The disk has no room for it.", Problem(507, "it would take about 900 MB, and 800 MB are free", "seeds"), ()),
}
HEADERS: Json = {
    "X-Request-Id": (
        "What this request is called in the log.",
        {"type": "string", "pattern": f"^{REQUEST_ID.pattern.decode()}$"},
    ),
    "Cache-Control": ("How long it may be kept, and by whom.", {"type": "string"}),
    "ETag": (
        "Strong where the generator is exact, else weak.",
        {"type": "string", "pattern": '^(W/)?"[^"]+"$'},
    ),
    "Location": ("Where it is.", {"type": "string", "format": "uri-reference"}),
    "Retry-After": ("Whole seconds to wait.", {"type": "integer", "minimum": 1}),
    "Allow": ("The methods that it has.", {"type": "string"}),
    "WWW-Authenticate": ("How a key is shown.", {"type": "string", "pattern": "^Bearer "}),
    "Content-Disposition": ("A name for the file.", {"type": "string", "pattern": "^attachment; "}),
    "Content-Security-Policy": ("Nothing is loaded from elsewhere.", {"type": "string"}),
    "Accept-Ranges": ("No parts of it are sent.", {"const": "none"}),
    "X-Content-Type-Options": ("What it says is what it is.", {"const": "nosniff"}),
}

PROBLEM_SCHEMA: Json = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "enum": list(PROBLEMS)},
        "detail": {"type": "string", "description": "What is wrong, in one line."},
        "field": {"type": "string", "description": "The part of the request that is wrong."},
    },
    "required": ["type", "title", "status", "detail"],
    "additionalProperties": False,
}
_SAMPLE_SCHEMA: Json = {
    "type": "object",
    "description": "One sample, its address, and what its values are called.",
    "properties": {
        "model": {"type": "string", "pattern": NAME_PATTERN},
        "digest": {"type": "string"},
        "seed": {"type": "integer", "minimum": 0, "maximum": SEED_LIMIT - 1},
        "label": {"type": "integer", "minimum": 0},
        "truncation": {"type": "number", "minimum": MIN_TRUNCATION, "maximum": 1},
        "names": {"type": "array", "items": {"type": "string"}},
        "values": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}},
    },
    "required": ["model", "digest", "seed", "truncation", "names", "values"],
    "additionalProperties": False,
}


SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, as a bearer token."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, in a header of its own."},
}


def reference(schema: str) -> Json:
    """To a schema of this document."""
    return {"$ref": f"#/components/schemas/{schema}"}


def parameters(generators: Sequence[Generator], settings: Settings) -> Json:
    """All of them, by name, with examples and bounds of the generators served now."""
    others: Json = {}
    if settings.jobs_url is not None:
        from seedmint.service.api.openapi.job_operations import job_parameters

        others = job_parameters()
    images = [one for one in generators if isinstance(one.card.output, ImageOutput)]
    samples = [one for one in generators if one not in images]
    scales = [max_scale(one.card.output) for one in images if isinstance(one.card.output, ImageOutput)]
    seed = _whole(0, SEED_LIMIT - 1) | {"format": "int64"}
    truncation = {"type": "number", "minimum": MIN_TRUNCATION, "maximum": 1, "default": 1}
    scale = _whole(1, max(scales, default=MAX_SIDE), 1)
    seeds = {"type": "string", "pattern": SEEDS_PATTERN}
    duration = _whole(DURATION_STEP, MAX_DURATION, DURATION) | {"multipleOf": DURATION_STEP}
    model = {"type": "string", "pattern": f"{NAME_PATTERN[:-1]}(@{DIGEST.pattern})?$"}
    named = _of_kind("Image", images, FORMATS) | _of_kind("Sample", samples, SAMPLE_FORMATS)
    return (
        named
        | others
        | {
            "Model": _in_path("model", f"A generator's name, or name@digest, of {DIGEST12} digits.", model)
            | _example([one.name for one in generators]),
            "Seed": _in_path("seed", "In decimal, without leading zeros.", seed) | {"example": 42},
            "Truncation": _in_query("truncation", "Factor on z, as a decimal number of up to 20 places.", truncation),
            "Scale": _in_query("scale", f"Nearest-neighbour enlargement, to at most {MAX_SIDE} pixels a side.", scale),
            "SheetFormat": _in_path("format", "What the file is.", {"enum": list(SHEET_FORMATS)}),
            "Seeds": _in_query("seeds", f"Seeds and ranges, which are inclusive: at most {MAX_SHEET_SEEDS}.", seeds)
            | {"required": True, "example": "0-63"},
            "Columns": _in_query(
                "columns", "Images in a row; without it, the sheet is about square.", _whole(1, MAX_SHEET_SEEDS)
            ),
            "WalkFormat": _in_path("format", "What the file is.", {"enum": list(WALK_FORMATS)}),
            "From": _in_query("from", "Seed of the first frame.", seed) | {"required": True, "example": 1},
            "To": _in_query("to", "Seed of the last frame.", seed) | {"required": True, "example": 2},
            "Frames": _in_query("frames", "Images in it.", _whole(MIN_FRAMES, MAX_FRAMES, FRAMES)),
            "Duration": _in_query("duration", "Milliseconds a frame; not of a strip.", duration),
            "Loop": _in_query("loop", "Times it is shown, 0 for ever; not of a strip.", _whole(0, MAX_LOOP, 0)),
            "IfNoneMatch": {
                "name": "If-None-Match",
                "in": "header",
                "description": "ETags of the copies that the client has.",
                "schema": {"type": "string"},
            },
        }
    )


def _of_kind(kind: str, generators: Sequence[Generator], formats: Sequence[str]) -> Json:
    """The parameters of images, or of samples."""
    classes = [len(one.card.classes) for one in generators if one.card.classes]
    label = _whole(0, max(classes, default=MAX_CLASSES) - 1)
    digest = {"type": "string", "pattern": f"^{DIGEST.pattern}$"}
    return {
        f"{kind}Name": _in_path("name", f"A generator of {kind.lower()}s.", {"type": "string", "pattern": NAME_PATTERN})
        | _example([one.name for one in generators]),
        f"{kind}Digest": _in_path("digest", f"The first {DIGEST12} digits of the SHA-256 of its file.", digest)
        | _example([one.digest12 for one in generators]),
        f"{kind}Format": _in_path("format", "What the file is.", {"enum": list(formats)}),
        f"{kind}Label": _in_query("label", "Number of a class; without it, the one that the seed names.", label),
    }


def _whole(least: int, most: int, default: int | None = None) -> Json:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return schema if default is None else schema | {"default": default}


def _in_path(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _in_query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _example(values: Sequence[str]) -> Json:
    """The first, if there is one: examples of several parameters belong together."""
    return {"example": values[0]} if values else {}


def schemas(generators: Sequence[Generator], settings: Settings) -> Json:
    """All of them, by name: those of pydantic's models, and the few that have none."""
    written: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (SampleRequest, "validation"),
        (Generators, "serialization"),
        (ImageGeneratorPage, "serialization"),
        (SampleGeneratorPage, "serialization"),
    ]
    if settings.jobs_url is not None:
        from seedmint.service.api.openapi.job_operations import MODELS

        written += MODELS
    _, found = models_json_schema(written, by_alias=True, ref_template="#/components/schemas/{model}")
    made: Json = found["$defs"]
    body = made["SampleRequest"]
    for field in ("seeds", "labels"):
        for choice in body["properties"][field]["anyOf"]:
            if choice["type"] == "array":
                choice["maxItems"] = settings.max_seeds
    if generators:
        body["examples"] = [{"model": one.name, "seeds": "0-63,100", "format": _bulk_format(one)} for one in generators]
    if settings.jobs_url is not None:
        from seedmint.service.api.openapi.job_operations import finish_schemas

        finish_schemas(made, generators, settings)
    page = {"anyOf": [reference("ImageGeneratorPage"), reference("SampleGeneratorPage")]}
    return made | {"GeneratorPage": page, "Problem": PROBLEM_SCHEMA, "Sample": _SAMPLE_SCHEMA}


def _bulk_format(generator: Generator) -> str:
    return "zip" if isinstance(generator.card.output, ImageOutput) else "csv"
