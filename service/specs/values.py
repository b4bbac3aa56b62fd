"""Checks of single values against a generator: label, truncation, scale, format, kind of output."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from seedmint.models.card import Card, ImageOutput, SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.label_choice import ClassChoice, chosen_classes
from seedmint.models.seeds import quoted
from seedmint.service.encoders.images import DEFAULT_QUALITY, MAX_QUALITY, ImageFormat, max_scale
from seedmint.service.runtime.generator import Generator, check_truncation
from seedmint.service.specs.errors import SpecError

Format = TypeVar("Format", bound=str)


def require_images(generator: Generator) -> ImageOutput:
    """Return the output of a generator of images.

    Args:
        generator: The generator.

    Raises:
        SpecError: "wrong_output", the generator produces samples.
    """
    output = generator.card.output
    if not isinstance(output, ImageOutput):
        raise SpecError(f"generator {generator.name!r} produces samples, not images", field="model", reason="wrong_output")
    return output


def require_samples(generator: Generator) -> SampleOutput:
    """Return the output of a generator of samples.

    Args:
        generator: The generator.

    Raises:
        SpecError: "wrong_output", the generator produces images.
    """
    output = generator.card.output
    if not isinstance(output, SampleOutput):
        raise SpecError(f"generator {generator.name!r} produces images, not samples", field="model", reason="wrong_output")
    return output


def require_format(extension: str, formats: tuple[Format, ...]) -> Format:
    """Return a file name extension as one of the known formats.

    Args:
        extension: Extension without the dot.
        formats: Formats of this kind of file.

    Raises:
        SpecError: "unknown_format".
    """
    for known in formats:
        if known == extension:
            return known
    raise SpecError(f"unknown format {quoted(extension)}: use {', '.join(formats)}", field="format", reason="unknown_format")


def not_conditional(card: Card, field: str = "label") -> SpecError:
    """Return the error of a label for a generator without classes.

    Args:
        card: Card of the generator.
        field: Name of the parameter.
    """
    return SpecError(f"generator {card.name!r} is not conditional: omit the label", field=field, reason="not_conditional")


def label_number(label: str, card: Card, field: str = "label") -> int:
    """Return the class number of a label. Digits are always a class number, as in URLs.

    Args:
        label: A class number or the name of a class.
        card: Card of the generator.
        field: Name of the parameter, for the error.

    Raises:
        UserError: The generator does not have this label.
    """
    if card.classes is None:
        raise not_conditional(card, field)
    if label.isdecimal() and int(label[:9]) < len(card.classes):
        return int(label)
    if label in card.classes and not label.isdecimal():
        return card.classes.index(label)
    largest = len(card.classes) - 1
    message = f"{label!r} is neither a class number (0 to {largest}) nor the name of a class"
    raise UserError(message, field=field, reason="out_of_range" if label.isdecimal() else "unknown_class")


def label_choice(labels: Sequence[str], card: Card) -> ClassChoice | None:
    """Return the choice of classes of texts: one label, or values of columns of labels, such as `region=north`.

    Args:
        labels: A class number, the name of a class, or COLUMN=VALUE for one or several columns; empty for no choice.
        card: Card of the generator.

    Raises:
        UserError: The generator does not have this label.
    """
    pairs = dict(text.split("=", 1) for text in labels if "=" in text and text not in (card.classes or ()))
    if not pairs and len(labels) < 2:
        return label_number(labels[0], card) if labels else None
    if len(pairs) < len(labels):
        message = "use one class, or one value for each of several columns: COLUMN=VALUE"
        raise UserError(message, field="label", reason="repeated_parameter")
    return chosen_classes(card, pairs, "label")


def require_label(generator: Generator, label: int, field: str = "label") -> int:
    """Return a label after a check against the generator.

    Args:
        generator: The generator.
        label: Class number.
        field: Name of the parameter, for the error.

    Raises:
        SpecError: "not_conditional" or "out_of_range".
    """
    classes = generator.card.classes
    if classes is None:
        raise not_conditional(generator.card, field)
    require_range(label, 0, len(classes) - 1, field)
    return label


def require_choice(generator: Generator, choice: ClassChoice | None, field: str = "label") -> ClassChoice | None:
    """Return a choice of classes after a check against the generator: ascending, one number alone, and None for all classes.

    Args:
        generator: The generator.
        choice: A class number, or at least one; None for the labels that the seeds determine.
        field: Name of the parameter, for the error.

    Raises:
        SpecError: "not_conditional" or "out_of_range".
    """
    if choice is None or isinstance(choice, int):
        return None if choice is None else require_label(generator, choice, field)
    numbers = tuple(sorted({require_label(generator, number, field) for number in choice}))
    if len(numbers) == 1:
        return numbers[0]
    return None if len(numbers) == len(generator.card.classes or ()) else numbers


def require_truncation(generator: Generator, truncation: float) -> float:
    """Return the shortest decimal number that is the same float32 truncation.

    Args:
        generator: The generator.
        truncation: The truncation of a request.

    Raises:
        SpecError: "out_of_range" or "no_truncation".
    """
    try:
        return check_truncation(truncation, generator.card)
    except UserError as error:
        raise SpecError(str(error), field="truncation", reason=error.reason) from None


def require_scale(output: ImageOutput, scale: int) -> int:
    """Return an enlargement that keeps an image within the limit of its sides.

    Args:
        output: Shape of the generator's images.
        scale: Factor of the nearest-neighbor enlargement.

    Raises:
        SpecError: "out_of_range".
    """
    require_range(scale, 1, max_scale(output), "scale")
    return scale


def require_quality(form: ImageFormat, quality: int | None) -> int | None:
    """Return the quality of a file; None for a lossless file.

    Args:
        form: File format.
        quality: The quality of a request; None for the quality of the format.

    Raises:
        SpecError: "out_of_range" or "lossless".
    """
    if quality is None:
        return DEFAULT_QUALITY.get(form)
    if form not in DEFAULT_QUALITY:
        lossy = ", ".join(DEFAULT_QUALITY)
        raise SpecError(f"{form} is lossless: omit the quality, or use {lossy}", field="quality", reason="lossless")
    require_range(quality, 1, MAX_QUALITY, "quality")
    return quality


def require_range(value: int, minimum: int, maximum: int, field: str) -> None:
    """Check that an integer is within two inclusive bounds.

    Args:
        value: The integer.
        minimum: Lower bound.
        maximum: Upper bound.
        field: Name of the parameter, for the error.

    Raises:
        SpecError: "out_of_range".
    """
    if not minimum <= value <= maximum:
        raise SpecError(f"{value} is out of range: {minimum} to {maximum}", field=field)


def default_label(generator: Generator, seed: int) -> int | None:
    """Return the label that a seed determines; None for an unconditional generator.

    Args:
        generator: The generator.
        seed: The seed.
    """
    labels = generator.labels(np.array([seed], np.int64))
    return None if labels is None else int(labels[0])


def explicit_label(generator: Generator, seed: int, label: ClassChoice | None) -> int | None:
    """Return the checked label of a seed, or None if the seed determines the same label.

    Args:
        generator: The generator.
        seed: Seed of the image.
        label: Choice of classes; None for the label that the seed determines.

    Raises:
        SpecError: "not_conditional" or "out_of_range".
    """
    if isinstance(label, tuple):
        labels = generator.labels(np.array([seed], np.int64), require_choice(generator, label))
        label = None if labels is None else int(labels[0])
    if label is None or require_label(generator, label) == default_label(generator, seed):
        return None
    return label
