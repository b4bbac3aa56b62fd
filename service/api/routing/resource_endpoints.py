"""The routes of generators and of their resources: images, samples, arrays, sheets, walks and latent vectors.

Each pinned resource, of NAME@DIGEST, never changes. The URL without a digest redirects to the pinned URL.
"""

from functools import partial

from seedmint.service.api.openapi.operations import JSON, NPY, Answer, Operation, media_types
from seedmint.service.api.query import parse_image, parse_latent, parse_sample, parse_sheet, parse_walk
from seedmint.service.api.routing.answers import CURRENT, IMMUTABLE_HEADERS, INVALID, NEGOTIATED, UNAVAILABLE, immutable
from seedmint.service.api.routing.endpoint import Endpoint
from seedmint.service.api.routing.handlers import Handlers
from seedmint.service.api.urls import IMAGES, SAMPLES
from seedmint.service.encoders.images import MEDIA_TYPES
from seedmint.service.encoders.tabular import SAMPLE_FORMATS, SAMPLE_MEDIA_TYPES
from seedmint.service.specs.latent import LATENT_MEDIA_TYPES
from seedmint.service.specs.sheet import SHEET_FORMATS
from seedmint.service.specs.walk import WALK_MEDIA_TYPES

# Smallest first, among the formats that a client names. Without a quality, all formats but jpg and avif are lossless.
_NEGOTIATED_IMAGES: dict[str, str] = {form: MEDIA_TYPES[form] for form in ("avif", "webp", "png", "jpg", "npy")}
_NEGOTIATED_SAMPLES: dict[str, str] = {form: SAMPLE_MEDIA_TYPES[form] for form in SAMPLE_FORMATS}
_LATENT_HEADERS = ("ETag", "Cache-Control", "X-Content-Type-Options")
_IMAGE_PARAMETERS = ("ImageLabel", "Quality", "Scale", "Truncation")
_SHEET_PARAMETERS = ("Columns", "ImageLabel", "Scale", "Seeds", "Truncation")
_WALK_PARAMETERS = ("Duration", "Frames", "From", "ImageLabel", "Loop", "Scale", "To", "Truncation")
_RANGE_HEADERS = (*IMMUTABLE_HEADERS, "Content-Disposition")
_ARRAY = immutable("The array.", {NPY: None}, _RANGE_HEADERS, IMMUTABLE_HEADERS) | {
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
            {307: NEGOTIATED},
            (*INVALID, 406, 503),
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
            {307: NEGOTIATED},
            (*INVALID, 406, 503),
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
            immutable("The image.", media_types(MEDIA_TYPES)),
            (*INVALID, *UNAVAILABLE),
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
            {307: CURRENT},
            (*INVALID, 503),
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
            {307: NEGOTIATED},
            (*INVALID, 406, 503),
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
            {307: NEGOTIATED},
            (*INVALID, 406, 503),
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
            immutable("The sample.", media_types(SAMPLE_MEDIA_TYPES, {"json": "Sample"})),
            (*INVALID, *UNAVAILABLE),
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
            {307: CURRENT},
            (*INVALID, 503),
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
            (*INVALID, 413, 416, *UNAVAILABLE),
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
            {307: CURRENT},
            (*INVALID, 413, 503),
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
            (*INVALID, 413, 416, *UNAVAILABLE),
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
            {307: CURRENT},
            (*INVALID, 413, 503),
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
            immutable("The contact sheet.", media_types({form: MEDIA_TYPES[form] for form in SHEET_FORMATS})),
            (*INVALID, 413, *UNAVAILABLE),
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
            {307: CURRENT},
            (*INVALID, 413, 503),
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
            immutable("The animation or strip.", media_types(WALK_MEDIA_TYPES)),
            (*INVALID, 413, *UNAVAILABLE),
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
            {307: CURRENT},
            (*INVALID, 413, 503),
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
            immutable("The latent vector.", media_types(LATENT_MEDIA_TYPES, {"json": "LatentsRequest"}), _LATENT_HEADERS),
            (*INVALID, 503),
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
            {307: CURRENT},
            (*INVALID, 503),
            ("GeneratorName", "Seed", "LatentFormat"),
        ),
    ),
)
