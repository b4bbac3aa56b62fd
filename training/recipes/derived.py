"""Derives a recipe from images: networks, minibatch, objective and steps that suit their size and number."""

import re
from dataclasses import dataclass
from typing import Any

from seedmint.training.recipes.data import Data

_MAX_NAME = 48
_FEW_IMAGES = 20_000
_MAX_THREADS = 8
_MIN_CONVOLUTIONAL, _MAX_CONVOLUTIONAL = 8, 128
_WIDTHS = {32: 48, 64: 32, 128: 16}
"""Channels of convolutional networks by the largest side, pixels."""


@dataclass(frozen=True)
class DerivedRecipe:
    """A recipe that is not validated yet.

    Attributes:
        document: The recipe as JSON values.
        comments: Why a field has its value, by the dotted path of the field.
    """

    document: dict[str, Any]
    comments: dict[str, str]


def derive_recipe(
    source_name: str,
    data: Data,
    num_train: int,
    num_classes: int,
    shape: tuple[int, int, int],
    processors: int,
    has_gpu: bool,
    is_residual: bool = False,
    steps: int | None = None,
) -> DerivedRecipe:
    """Return a recipe for images.

    Args:
        source_name: Name of the source.
        data: The section `data`, with side and channels.
        num_train: Number of training images.
        num_classes: Number of classes; 0 without labels.
        shape: Channels, height and width.
        processors: Number of processors of this machine.
        has_gpu: Whether the training runs on a GPU.
        is_residual: Whether the networks are residual in any case.
        steps: Iterations; None derives the number from the size.
    """
    _, height, width = shape
    side = max(height, width)
    generator, discriminator = _networks(height, width, has_gpu, is_residual)
    if generator["kind"] == "convolutional":
        m, rate, derived_steps = (64, 8e-4, 6_000) if side <= 32 else (32, 8e-4, 8_000)
    else:
        m = 64 if side <= 32 or has_gpu else 32 if side <= 64 else 16
        rate, derived_steps = (4e-4 if side <= 32 else 2e-4), 10_000
    m, r1 = min(num_train, m), 1.0 if side <= 32 else 5.0
    steps = steps or derived_steps
    learning_rate = {"start": rate, "end": rate / 8, "steps": steps}
    optimizer = {"kind": "adam", "learning_rate": learning_rate, "beta1": 0.0, "beta2": 0.99}
    document: dict[str, Any] = {
        **recipe_head(source_name, data),
        "conditional": num_classes > 1,
        "z_dim": 64 if side <= 64 else 128,
        "generator": generator,
        "discriminator": discriminator,
        "objective": "non-saturating",
        "penalty": {"r1": {"start": r1, "end": r1 / 10, "steps": steps}, "every": 4},
        "m": m,
        "steps": steps,
        "rule": {"generator": optimizer, "discriminator": dict(optimizer)},
        "ema": 0.998,
        "threads": min(processors, _MAX_THREADS),
        "precision": "auto",
        "every": {"log": 50, "checkpoint": 500},
    }
    comments = {
        "title": "one line for people; the page and the card of the generator show the title",
        "data.side": "all images are resized to this side; 8 to 512",
        "data.licence": "licence of the data, for the card",
        "conditional": f"{num_classes} classes: G and D use the labels" if num_classes > 1 else "the images have no classes",
        "z_dim": "length of the noise vector",
        "penalty.r1": "penalty on D's gradient at the data; a larger value makes the training calmer and the images softer",
        "penalty.every": "the penalty is computed at each 4th update of D",
        "m": f"minibatch size, for images of {width}x{height} pixels",
        "steps": "iterations; `seedmint resume RUN --set steps=N` trains longer, at the last rates",
        "rule.generator.learning_rate": "the rates fall along half a cosine, so that the last images have less noise",
        "ema": "the exported generator is an average of the last 1 / (1 - ema) steps",
        "precision": "bfloat16 where this machine computes it, which is faster; otherwise float32",
        "threads": "CPU threads; part of the result, because they change the rounding of sums",
    }
    if generator["kind"] == "residual":
        comments["generator.capacity"] = "small, medium or large: medium takes about 3 times as long as small"
    else:
        comments["generator.width"] = "channels at half the side; twice as many take about 3 times as long"
        comments["generator.upsampling"] = "bilinear: without a checkerboard pattern"
        comments["generator.style_dim"] = "a function of z of this length scales the features, so that colors vary freely"
    if num_train < _FEW_IMAGES:
        document["augmentation"] = {"kind": "diffaugment", "transforms": ["translation", "cutout"]}
        comments["augmentation"] = f"with {num_train:,} images, D would learn them by heart; G's images stay unchanged"
    return DerivedRecipe(document, comments)


def _networks(height: int, width: int, has_gpu: bool, is_residual: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return G and D: convolutional for squares on a CPU, where a step of residual networks takes longer."""
    if not (has_gpu or is_residual) and height == width and _MIN_CONVOLUTIONAL <= width <= _MAX_CONVOLUTIONAL:
        size = {"kind": "convolutional", "width": next(channels for side, channels in _WIDTHS.items() if width <= side)}
        return {**size, "upsampling": "bilinear", "style_dim": 64}, {**size, "spectral_norm": False}
    residual = {"kind": "residual", "capacity": "medium" if has_gpu else "small"}
    return residual, dict(residual)


def recipe_head(source_name: str, data: Data) -> dict[str, Any]:
    """Return the first fields of a recipe: its name, its title and the section `data`.

    Args:
        source_name: Name of the source.
        data: The section `data`.
    """
    section = {key: value for key, value in data.model_dump(mode="json").items() if value not in (None, False)}
    return {"name": recipe_name(source_name), "title": recipe_title(source_name), "data": section}


def recipe_name(source_name: str) -> str:
    """Return the name of a generator for a source: lower-case letters, digits and hyphens.

    Args:
        source_name: Name of the source.
    """
    return re.sub("[^a-z0-9]+", "-", source_name.lower())[:_MAX_NAME].strip("-") or "images"


def recipe_title(source_name: str) -> str:
    """Return the title of a generator for a source.

    Args:
        source_name: Name of the source.
    """
    words = re.sub(r"[_\-\s]+", " ", source_name).strip()
    return (words[:1].upper() + words[1:])[:200] or "Images"
