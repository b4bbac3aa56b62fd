"""Canonical URLs. Each image, sample, contact sheet and walk has one URL; the router redirects other spellings to it.

The canonical URL omits each parameter that has its default value, and writes the others in alphabetical order. Some caches sort
the parameters; with another canonical order, a redirect through such a cache would never end.
"""

from seedmint.models.label_choice import choice_text
from seedmint.service.encoders.images import DEFAULT_QUALITY
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.array import ArraySpec
from seedmint.service.specs.latent import LatentSpec
from seedmint.service.specs.sheet import SheetSpec, square_columns
from seedmint.service.specs.single import ImageSpec, SampleSpec
from seedmint.service.specs.walk import DEFAULT_DURATION, DEFAULT_FRAMES, WalkSpec

# Route templates of single images and samples.
IMAGES = "/v1/models/{name}@{digest}/images/{file}"
SAMPLES = "/v1/models/{name}@{digest}/samples/{file}"

IMAGE_PARAMETERS = ("label", "quality", "scale", "truncation")
SAMPLE_PARAMETERS = ("label", "truncation")
ARRAY_PARAMETERS = ("label", "seeds", "truncation")
SHEET_PARAMETERS = ("columns", "label", "scale", "seeds", "truncation")
STRIP_PARAMETERS = ("frames", "from", "label", "scale", "to", "truncation")
ANIMATION_PARAMETERS = ("duration", "frames", "from", "label", "loop", "scale", "to", "truncation")

Spec = ImageSpec | SampleSpec | SheetSpec | WalkSpec
AnySpec = Spec | LatentSpec | ArraySpec

_DEFAULT_ONE = (("truncation", 1), ("scale", 1))


def model_url(generator: Generator) -> str:
    """Return the pinned URL of a generator.

    Args:
        generator: The generator.
    """
    return f"/v1/models/{generator.name}@{generator.digest12}"


def canonical_url(generator: Generator, spec: AnySpec) -> str:
    """Return the canonical URL of an image, sample, contact sheet, walk or latent vector.

    Args:
        generator: The generator that the spec was checked against.
        spec: The spec.
    """
    if isinstance(spec, ArraySpec):
        query = query_string(
            label=None if spec.label is None else choice_text(spec.label), seeds=spec.seeds, truncation=spec.truncation
        )
        return f"{model_url(generator)}/{generator.card.output.kind}s.npy{query}"
    return f"{model_url(generator)}/{_path_and_query(spec)}"


def _path_and_query(spec: Spec | LatentSpec) -> str:
    match spec:
        case LatentSpec():
            return f"latents/{spec.seed}.{spec.format}"
        case ImageSpec():
            quality = None if spec.quality == DEFAULT_QUALITY.get(spec.format) else spec.quality
            query = query_string(label=spec.label, quality=quality, scale=spec.scale, truncation=spec.truncation)
            return f"images/{spec.seed}.{spec.format}{query}"
        case SampleSpec():
            return f"samples/{spec.seed}.{spec.format}{query_string(label=spec.label, truncation=spec.truncation)}"
        case SheetSpec():
            columns = None if spec.columns == square_columns(spec.count) else spec.columns
            query = query_string(
                columns=columns, label=spec.label, scale=spec.scale, seeds=spec.seeds, truncation=spec.truncation
            )
            return f"grid.{spec.format}{query}"
        case WalkSpec():
            query = query_string(
                duration=None if spec.duration == DEFAULT_DURATION else spec.duration,
                frames=None if spec.frames == DEFAULT_FRAMES else spec.frames,
                **{"from": spec.start},
                label=spec.label,
                loop=spec.loop or None,
                scale=spec.scale,
                to=spec.end,
                truncation=spec.truncation,
            )
            return f"walk.{spec.format}{query}"


def query_string(**parameters: object) -> str:
    """Return a query string with "?", of the parameters that are neither None nor a default of 1.

    Args:
        parameters: Values by name, in alphabetical order. If no parameter remains, the string is empty.
    """
    pairs = [f"{name}={value}" for name, value in parameters.items() if value is not None and (name, value) not in _DEFAULT_ONE]
    return "?" + "&".join(pairs) if pairs else ""


def image_template(generator: Generator) -> str:
    """Return the URI template (RFC 6570) of a generator's images.

    Args:
        generator: The generator.
    """
    return f"{model_url(generator)}/images/{{seed}}.{{format}}{_template_query(generator, IMAGE_PARAMETERS)}"


def sample_template(generator: Generator) -> str:
    """Return the URI template (RFC 6570) of a generator's samples.

    Args:
        generator: The generator.
    """
    return f"{model_url(generator)}/samples/{{seed}}.{{format}}{_template_query(generator, SAMPLE_PARAMETERS)}"


def latent_template(generator: Generator) -> str:
    """Return the URI template (RFC 6570) of the latent vectors of a generator's seeds.

    Args:
        generator: The generator.
    """
    return f"{model_url(generator)}/latents/{{seed}}.{{format}}"


def array_template(generator: Generator) -> str:
    """Return the URI template (RFC 6570) of the arrays of a generator's outputs.

    Args:
        generator: The generator.
    """
    return f"{model_url(generator)}/{generator.card.output.kind}s.npy{_template_query(generator, ARRAY_PARAMETERS)}"


def sheet_template(generator: Generator) -> str:
    """Return the URI template (RFC 6570) of a generator's contact sheets.

    Args:
        generator: The generator.
    """
    return f"{model_url(generator)}/grid.{{format}}{_template_query(generator, SHEET_PARAMETERS)}"


def walk_template(generator: Generator) -> str:
    """Return the URI template (RFC 6570) of a generator's latent walks.

    Args:
        generator: The generator.
    """
    return f"{model_url(generator)}/walk.{{format}}{_template_query(generator, ANIMATION_PARAMETERS)}"


def _template_query(generator: Generator, parameters: tuple[str, ...]) -> str:
    card = generator.card
    missing = {"label"} if card.classes is None else set()
    missing |= {"truncation"} if card.truncation == "none" else set()
    names = [name for name in parameters if name not in missing]
    return f"{{?{','.join(names)}}}"
