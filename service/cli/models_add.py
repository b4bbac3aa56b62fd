"""The command `models add`: imports a generator of another project."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from seedmint.models.card import NAME_PATTERN, field_errors
from seedmint.models.errors import UserError, one_line
from seedmint.models.files import write_whole

if TYPE_CHECKING:
    from seedmint.models.runtime.provider import ProviderChoice
    from seedmint.service.importer.importing import ImportedGenerator

_MAX_REFERENCE_BYTES = 1 << 30
_SHAPE = re.compile(r"[1-9]\d{0,5}(x[1-9]\d{0,5}){0,2}", re.ASCII)
_CARD_OPTIONS = ("name", "title", "data", "data_licence", "weights_licence")


def _option(flag: str, text: str, *names: str, **kwargs: Any) -> Callable[[Any], Any]:
    return click.option(flag, *names, help=text, **kwargs)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), nargs=-1, required=True)
@_option("--name", "Name of the generator. Default: the name of the file.")
@_option("--title", "One line that describes the generator. Default: the name.")
@_option("--prior", "Distribution of z.", type=click.Choice(["normal", "uniform"]), default="normal", show_default=True)
@_option("--z-scale", "Factor on z. 0.57735 gives a uniform prior on (-1, 1).", type=float, default=1.0, show_default=True)
@_option("--z-dim", "Length of z. Where the input is larger, it receives copies of z.", type=click.IntRange(min=1))
@_option(
    "--layout",
    "Order of the axes of the output: images nchw or nhwc, series ncl or nlc. Default: from the graph.",
    type=click.Choice(["nchw", "nhwc", "ncl", "nlc"]),
)
@_option(
    "--range",
    "Values of the output that mean black and white. Default: from the graph.",
    type=click.Choice(["-1..1", "0..1", "0..255", "0..65535"]),
)
@_option("--shape", "HEIGHTxWIDTHxCHANNELS of a flat image; COLUMNS or LENGTHxCHANNELS of a sample.")
@_option("--sample", "The outputs are samples (points, rows, series), not images.", is_flag=True)
@_option("--columns", "Names of the columns or channels of a sample, separated by commas.")
@_option("--classes", "Number of classes, or their names separated by commas.")
@_option("--label-input", "Name of the input that receives the label.")
@_option("--z-input", "Name of an input that receives z. Repeat for several parts of z.", multiple=True)
@_option("--set", "Bind a further input to a constant: NAME=VALUE, or NAME=VALUE,VALUE,...", "constants", multiple=True)
@_option("--truncation-input", "Name of the input that receives the truncation of a request.")
@_option("--noise", "Bind all other float inputs to one draw of noise, or to zeros.", type=click.Choice(["fixed", "zero"]))
@_option("--output", "Name of the output, if there are several.")
@_option(
    "--reference",
    "Outputs of the original for seeds 0, 1, ... (.npy), to compare with.",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@_option("--data", "Training data, for the card.")
@_option("--data-licence", "Licence of the training data, for the card.")
@_option("--weights-licence", "Licence of the weights, for the card.")
@_option("--replace", "Replace a generator of the same name.", is_flag=True)
@_option("--models", "Directory of generators [SEEDMINT_MODELS].")
def add(file: tuple[Path, ...], models: str | None, replace: bool, **option_values: Any) -> None:
    """Import an ONNX file from another project: wrap it to the contract, run it, and write it to the models directory.

    FILE is one ONNX file, or the file of a mapping network and the file of its synthesis network. The command finds range,
    layout, inputs and batch size in the graph. Check the printed values. If the graph does not show a value, the command asks
    for an option. docs/import.md describes all options. A Seedmint generator file keeps its card.

    \b
    seedmint models add dcgan.onnx --name faces --title "Faces of 64x64 pixels"
    seedmint models add cgan.onnx --classes 10 --prior uniform --z-scale 0.57735
    seedmint models add mlp.onnx --shape 28x28x1 --data MNIST --data-licence CC-BY-SA-3.0
    seedmint models add mapping.onnx synthesis.onnx --name portraits
    """
    from seedmint.models.runtime.generator_file import DIGEST12, digest_of
    from seedmint.service.cli.options import settings_with

    if len(file) > 2:
        raise UserError("pass one file, or a mapping file and a synthesis file", field="file", reason="too_many_files")
    settings = settings_with(models)
    existing = _keep_card(file, option_values)
    name = option_values["name"] or (existing.card.name if existing is not None else file[-1].stem.lower())
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(
            f"{name!r} must be lower-case letters, digits, '.', '_' and '-', at most 64", field="name", reason="wrong_name"
        )
    target = settings.models / f"{name}.onnx"
    if target.exists() and not replace:
        raise UserError(
            f"{target} exists: choose another name, or replace it",
            field="name",
            reason="name_exists",
            other_fields=("replace",),
        )
    try:
        imported = existing or _import(file, name, settings.provider, settings.threads, option_values)
    except ValidationError as error:
        raise _card_error(error) from None
    write_whole(target, imported.content)
    for line in imported.findings:
        click.echo(line)
    digest = digest_of(imported.content)[:DIGEST12]
    click.echo(f"{name}@{digest} in {target}. Next: seedmint sample {name} --seeds 0-63 --out {name}.png")


def _keep_card(files: Sequence[Path], option_values: dict[str, Any]) -> "ImportedGenerator | None":
    """Return the generator file with its card, or None if the file has no card."""
    from seedmint.models.runtime.generator_file import read_content
    from seedmint.service.importer.existing_card import keep_card
    from seedmint.service.importer.file_kinds import check_file_kind

    if len(files) != 1:
        return None
    try:
        check_file_kind(files[0])
        existing = keep_card(read_content(files[0]), **{key: option_values[key] for key in _CARD_OPTIONS})
    except ValidationError as error:
        raise _card_error(error) from None
    except UserError as error:
        raise _with_file(error, files[0]) from None
    if existing is not None:
        _check_no_graph_options(option_values)
    return existing


def _card_error(error: ValidationError) -> UserError:
    field, message = field_errors(error)[0]
    return UserError(f"the card does not allow this {field}: {message}", field=field, reason="card_field")


def _with_file(error: UserError, file: Path) -> UserError:
    """Add the file name to an error that has no field."""
    if error.field is not None:
        return error
    return UserError(f"{file}: {one_line(error, 600)}", reason=error.reason, other_fields=error.other_fields)


def _import(
    files: Sequence[Path], name: str, provider: "ProviderChoice", threads: int, option_values: dict[str, Any]
) -> "ImportedGenerator":
    from seedmint.models.runtime.provider import choose_provider
    from seedmint.service.importer.importing import import_files
    from seedmint.service.importer.options import ImportOptions

    options = ImportOptions(
        **option_values
        | {
            "name": name,
            "title": option_values["title"] or name,
            "z_scale": _z_scale(option_values["z_scale"]),
            "classes": _classes(option_values["classes"]),
            "shape": _shape(option_values["shape"]),
            "columns": _names(option_values["columns"], "columns"),
            "constants": _constants(option_values["constants"]),
            "reference": _reference(option_values["reference"]),
        }
    )
    try:
        return import_files(files, options, choose_provider(provider), threads)
    except UserError as error:
        raise _with_file(error, files[0]) from None


def _check_no_graph_options(option_values: dict[str, Any]) -> None:
    """Refuse options that describe a graph without a card."""
    defaults = {"prior": "normal", "z_scale": 1.0, "reference": None}
    for key, value in option_values.items():
        if key not in _CARD_OPTIONS and (value != defaults[key] if key in defaults else value):
            raise UserError(
                "the file is a Seedmint generator file: its card has this value",
                field="set" if key == "constants" else key,
                reason="already_a_generator",
            )


def _z_scale(value: float) -> float:
    if not 0 < abs(value) < math.inf:
        raise UserError(f"{value:g} must be finite and not 0", field="z_scale", reason="out_of_range")
    return value


def _classes(text: str | None) -> tuple[str, ...] | None:
    if text is not None and text.isdecimal():
        text = ",".join(map(str, range(int(text[:7]))))
    return _names(text, "classes")


def _names(text: str | None, field: str) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not names or len(set(names)) < len(names):
        raise UserError("pass at least one name, without repeated names", field=field, reason="names_not_distinct")
    return names


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    if _SHAPE.fullmatch(text) is None:
        raise UserError(f"{text!r} must be like 28x28x1", field="shape", reason="wrong_shape")
    return tuple(int(part) for part in text.split("x"))


def _constants(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    constants = {}
    for text in texts:
        name, _, values = text.rpartition("=")
        try:
            numbers = tuple(float(value) for value in values.split(","))
        except ValueError:
            numbers = ()
        if not name or not numbers or not all(map(math.isfinite, numbers)):
            raise UserError(f"{text!r} must be like truncation_psi=0.7", field="set", reason="wrong_constant")
        constants[name] = numbers
    return constants


def _reference(path: Path | None) -> NDArray[Any] | None:
    if path is None:
        return None
    try:
        if path.stat().st_size > _MAX_REFERENCE_BYTES:
            raise ValueError("too large")
        array = np.load(path, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("not one array")
    except (ValueError, EOFError, SyntaxError) as error:
        raise UserError(f"{path} is not an .npy file: {one_line(error)}", field="reference", reason="not_npy") from None
    return array
