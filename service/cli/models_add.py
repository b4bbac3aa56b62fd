"""The command `models add`: take in a generator that others have made."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from seedmint.models.card import NAME_PATTERN, field_errors
from seedmint.models.errors import UserError, one_line
from seedmint.models.files import write_whole

_SHAPE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})x([13])", re.ASCII)


def _option(flag: str, text: str, **more: Any) -> Callable[[Any], Any]:
    return click.option(flag, help=text, **more)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@_option("--name", "Name of the generator. Default: the file's.")
@_option("--title", "One line for people. Default: the name.")
@_option("--prior", "Distribution of z.", type=click.Choice(["normal", "uniform"]), default="normal", show_default=True)
@_option("--z-scale", "Factor on z: 0.57735 for a uniform prior on (-1, 1), ours being on ±√3.", type=float, default=1.0)
@_option("--z-dim", "Length of z, where the file does not say.", type=click.IntRange(min=1))
@_option(
    "--layout",
    "Order of the output's axes, and of the numbers in a flat one. Default: found out; nhwc for flat ones.",
    type=click.Choice(["nchw", "nhwc"]),
)
@_option(
    "--range",
    "Its values for black and white. Default: found out.",
    type=click.Choice(["-1..1", "0..1", "0..255"]),
    default=None,
)
@_option("--shape", "HEIGHTxWIDTHxCHANNELS of an image, where the output is flat.")
@_option("--classes", "How many labels it takes, or their names with commas between them.")
@_option("--z-input", "Name of the input that takes z, where there are several.")
@_option("--label-input", "Name of the input that takes labels, where there are several.")
@_option("--output", "Name of the output, where there are several.")
@_option("--data", "What it was trained on, for the card.")
@_option("--data-licence", "Licence of those data, for the card.")
@_option("--weights-licence", "Licence of the weights, for the card.")
@_option("--replace", "Replace a generator of the same name.", is_flag=True)
@_option("--models", "Directory of generators [SEEDMINT_MODELS].")
def add(file: Path, models: str | None, replace: bool, classes: str | None, shape: str | None, **given: Any) -> None:
    """Take in a generator that others have made: wrap an ONNX file to the contract, run it, and put it in the models directory.

    The output may be floats in [-1, 1], [0, 1] or [0, 255], or bytes, as NCHW, NHWC or flat; z N x D or N x D x 1 x 1; labels
    numbers or one-hot; weights of 16, 32 or 64 bits. What is found out is said, so that you can check it.

    \b
    seedmint models add dcgan.onnx --name faces --title "Faces of 64x64 pixels"
    seedmint models add cgan.onnx --classes 10 --prior uniform --z-scale 0.57735
    seedmint models add mlp.onnx --shape 28x28x1 --data MNIST --data-licence CC-BY-SA-3.0
    """
    from seedmint.models.runtime.generator_file import DIGEST12, digest_of, read_content
    from seedmint.service.cli.options import settings_with
    from seedmint.service.importer.onnx_import import Wanted, import_generator

    name = given["name"] or file.stem.lower()
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(f"--name: {name!r} must be lower-case letters, digits, '.', '_' and '-', at most 64")
    target = settings_with(models).models / f"{name}.onnx"
    if target.exists() and not replace:
        raise UserError(f"--name: {target} is there already: choose another name, or pass --replace")
    if not 0 < abs(given["z_scale"]) < math.inf:
        raise UserError(f"--z-scale {given['z_scale']:g}: must be a number, and not 0")
    wanted = given | {"name": name, "title": given["title"] or name, "classes": _classes(classes), "shape": _shape(shape)}
    try:
        imported = import_generator(read_content(file), Wanted(**wanted))
    except ValidationError as error:
        field, message = field_errors(error)[0]
        raise UserError(f"{field} cannot stand on a generator's card: {message}") from None
    except UserError as error:
        raise UserError(f"{file}: {one_line(error)}") from None
    write_whole(target, imported.content)
    for line in imported.found:
        click.echo(line)
    digest = digest_of(imported.content)[:DIGEST12]
    click.echo(f"{name}@{digest} in {target}. Look at it: seedmint sample {name} --seeds 0-63 --out {name}.png")


def _classes(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = map(str, range(int(text[:7]))) if text.isdecimal() else (name.strip() for name in text.split(","))
    classes = tuple(names)
    if not classes or len(set(classes)) < len(classes):
        raise UserError(f"--classes {text}: at least one, all different")
    return classes


def _shape(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise UserError(f"--shape {text}: write HEIGHTxWIDTHxCHANNELS with 1 or 3 channels, for example 28x28x1")
    height, width, channels = (int(part) for part in found.groups())
    return height, width, channels
