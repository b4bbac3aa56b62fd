"""Images or samples of latent vectors: the body of `POST /v1/latents`, as JSON or as an npy file with query parameters."""

import asyncio
import io
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.lib import format as npy
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr
from starlette.responses import Response

from seedmint.models.errors import one_line
from seedmint.service.api.bulk_samples import (
    TRUNCATION_BOUNDS,
    Label,
    LabelList,
    check_labels,
    require_archive_format,
    send_archive,
    stream,
)
from seedmint.service.api.parameters import integer, integers, parse_query, parse_truncation
from seedmint.service.api.query import parse_reference
from seedmint.service.api.request_body import max_body_bytes, parse_body
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.encoders.animation import ANIMATION_FORMATS, AnimationFormat, AnimationWriter
from seedmint.service.encoders.archives import ArchiveFormat, ArchiveWriter, archive_writer
from seedmint.service.problems import Problem
from seedmint.service.runtime.arrays import Labels, Latents
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings
from seedmint.service.specs.errors import SpecError
from seedmint.service.specs.pictures import PicturePiece, check_picture_size
from seedmint.service.specs.values import require_format, require_images, require_range, require_scale, require_truncation
from seedmint.service.specs.walk import DURATION_STEP, MAX_DURATION, MAX_FRAMES, MAX_WALK_PIXELS, require_duration

NPY_MEDIA_TYPES = ("application/x-npy", "application/octet-stream")
NPY_PARAMETERS = ("duration", "format", "labels", "model", "scale", "truncation")
LatentsFormat = Literal[ArchiveFormat, AnimationFormat]
LATENTS_FORMATS: tuple[LatentsFormat, ...] = get_args(LatentsFormat)
_NPY_BYTES = 32 << 20
# The schema shows bounds that pydantic does not check: later checks answer with the reason of a latent walk.
DURATION_BOUNDS = {"minimum": DURATION_STEP, "maximum": MAX_DURATION, "multipleOf": DURATION_STEP}

_Values = Annotated[list[Annotated[float, Field(strict=True)]], Field(fail_fast=True, json_schema_extra={"minItems": 1})]


class LatentsRequest(BaseModel):
    """Latent vectors, and the form of the response."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StrictStr = Field(description="Name of a generator, or name@digest12 for one version.")
    z: Annotated[list[_Values], Field(fail_fast=True, json_schema_extra={"minItems": 1})] = Field(
        description="Latent vectors before truncation: n lists of z_dim finite numbers, used as float32."
    )
    labels: Label | LabelList | None = Field(
        default=None,
        description="One label for all vectors, or a list of one label for each vector. Required by a conditional generator.",
    )
    truncation: Annotated[StrictFloat | StrictInt, Field(description="Factor on z.", json_schema_extra=TRUNCATION_BOUNDS)] = 1.0
    format: LatentsFormat = Field(
        default="npy",
        description="As for /v1/sample; or webp or gif, an animation with one frame for each latent vector.",
    )
    duration: Annotated[StrictInt, Field(json_schema_extra=DURATION_BOUNDS)] | None = Field(
        default=None, description="Milliseconds a frame of an animation, as of a latent walk."
    )
    scale: Annotated[StrictInt, Field(json_schema_extra={"minimum": 1})] | None = Field(
        default=None, description="Nearest-neighbor enlargement of an animation."
    )


def max_latents_bytes(settings: Settings) -> int:
    """Return the maximum size of an npy body in bytes. JSON bodies have the limit of all JSON bodies.

    Args:
        settings: The settings of the service.
    """
    return settings.max_body_bytes or _NPY_BYTES


async def from_latents(repository: ModelRepository, settings: Settings, media_type: str, query: str, body: bytes) -> Response:
    """Generate the images or samples of latent vectors as a stream.

    Args:
        repository: The generators.
        settings: The settings of the service.
        media_type: Media type of the body: JSON, or one of `NPY_MEDIA_TYPES`.
        query: Query string; the parameters of an npy body.
        body: Body of the request.

    Raises:
        Problem: The body is invalid, or the quota of the client is exceeded.
        UserError: A value is invalid; `field` names the value.
        BatchingError: Too many bulk requests are in flight, or the deadline has passed.
        ClientDisconnect: The client has disconnected.
    """
    if media_type in NPY_MEDIA_TYPES:
        options = _parse_parameters(query)
        z = await asyncio.to_thread(_parse_npy, body)
    else:
        parse_query(query, ())
        if len(body) > max_body_bytes(settings):
            raise Problem(413, f"a JSON body may have {max_body_bytes(settings)} bytes: send z as an npy file", "z")
        options = await asyncio.to_thread(parse_body, LatentsRequest, body)
        z = await asyncio.to_thread(_array, options.z)
    served = repository.find(*parse_reference(options.model))
    generator = served.generator
    truncation = require_truncation(generator, options.truncation)
    check_latents(generator, z, settings.max_seeds)
    labels = check_labels(generator, len(z), options.labels, "latent vectors")
    if labels is None and generator.card.classes is not None:
        detail = "the generator is conditional: give one label for each latent vector, or one for all of them"
        raise Problem(422, detail, "labels", reason="missing")
    writer = _writer(generator, options, len(z), truncation)
    chunks = stream(served, latent_pieces(generator, z, labels), writer, truncation, options.format)
    return await send_archive(generator, chunks, writer, options.format, len(z), "z")


def _writer(generator: Generator, options: LatentsRequest, count: int, truncation: float) -> ArchiveWriter:
    """Return the writer of the response.

    Raises:
        SpecError: The generator cannot fill a file of the format, or an option does not fit the format.
    """
    form = options.format
    if form == "webp" or form == "gif":  # mypy narrows the type by comparisons only
        output = require_images(generator)
        scale = require_scale(output, 1 if options.scale is None else options.scale)
        duration = require_duration(options.duration)
        require_range(count, 1, MAX_FRAMES, "z")
        field = "z" if scale == 1 else "scale"
        check_picture_size(output.width * scale, output.height * scale, count, MAX_WALK_PIXELS, field)
        return AnimationWriter(form, scale, duration)
    for field, value in (("duration", options.duration), ("scale", options.scale)):
        if value is not None:
            raise SpecError(f"only an animation has this option: use {', '.join(ANIMATION_FORMATS)}", field=field)
    require_archive_format(generator, form)
    return archive_writer(form, generator, count, truncation, "row")


def check_latents(generator: Generator, z: Latents, max_rows: int) -> None:
    """Check latent vectors against a generator.

    Args:
        generator: The generator.
        z: The vectors, of any shape.
        max_rows: Largest number of vectors.

    Raises:
        Problem: 413 or 422, for `z`.
    """
    z_dim = generator.card.noise.z_dim
    if z.ndim != 2 or z.shape[1] != z_dim or not len(z):
        shape = ", ".join(map(str, z.shape))
        raise Problem(422, f"the shape of z is [{shape}]: use [n, {z_dim}], n at least 1", "z", reason="wrong_shape")
    if len(z) > max_rows:
        raise Problem(413, f"more than {max_rows} latent vectors", "z")
    if not np.isfinite(z).all():
        raise Problem(422, "z has a value that is not a finite float32", "z", reason="not_finite")


def latent_pieces(generator: Generator, z: Latents, labels: int | Labels | None) -> Iterator[PicturePiece]:
    """Yield row numbers, labels and latent vectors in pieces of at most one batch.

    Args:
        generator: The generator.
        z: float32[n, z_dim].
        labels: One label for all vectors, or int64[n]; None for an unconditional generator.
    """
    rows = np.arange(len(z), dtype=np.int64)
    numbers = None if labels is None else np.broadcast_to(np.asarray(labels, np.int64), len(z))
    for start in range(0, len(z), generator.max_batch):
        part = slice(start, start + generator.max_batch)
        yield rows[part], None if numbers is None else numbers[part], z[part]


def _array(z: list[list[float]]) -> Latents:
    if len({len(row) for row in z}) > 1:
        raise Problem(422, "the lists of z have different lengths", "z", reason="wrong_shape")
    with np.errstate(over="ignore"):  # infinite values are refused later
        return np.array(z, np.float32)


def _parse_npy(body: bytes) -> Latents:
    """Return the array of an npy body, without a copy.

    Raises:
        Problem: 400 or 422, for `z`.
    """
    file = io.BytesIO(body)
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, is_fortran, dtype = read(file)
    except Exception as error:  # numpy evaluates the head as Python: a hostile one raises errors of many kinds
        cause = one_line(str(error) or type(error).__name__)
        raise Problem(400, f"the body is not an npy file of version 1.0 or 2.0: {cause}", "z") from None
    if dtype != np.dtype("<f4"):
        raise Problem(422, f"z has the type {one_line(dtype)}: send float32", "z", reason="wrong_dtype")
    values: Any = np.frombuffer(body, "<f4", offset=file.tell()) if (len(body) - file.tell()) % 4 == 0 else np.empty(0)
    is_table = len(shape) == 2 and all(type(size) is int and size >= 0 for size in shape)
    if not is_table or values.size != shape[0] * shape[1] or max(shape) > _NPY_BYTES:
        raise Problem(422, "the body is not an npy file of a complete array of two dimensions", "z", reason="wrong_shape")
    array: Latents = values.reshape(shape, order="F" if is_fortran else "C")
    return np.ascontiguousarray(array, np.float32)


def _parse_parameters(query: str) -> LatentsRequest:
    """Return the options of an npy body, which are in the query; `z` is empty."""
    parameters = parse_query(query, NPY_PARAMETERS)
    if "model" not in parameters:
        raise Problem(400, "name the generator: ?model=NAME", "model", reason="missing")
    labels = integers(parameters, "labels")
    return LatentsRequest(
        model=parameters["model"],
        z=[],
        labels=labels[0] if labels is not None and len(labels) == 1 else labels,
        truncation=parse_truncation(parameters),
        format=require_format(parameters.get("format", "npy"), LATENTS_FORMATS),
        duration=integer(parameters, "duration"),
        scale=integer(parameters, "scale"),
    )
