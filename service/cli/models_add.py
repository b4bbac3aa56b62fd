"""The command `models add`: imports a generator of another project."""

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from seedmint.models.card import NAME_PATTERN
from seedmint.models.errors import UserError, field_errors, one_line
from seedmint.models.files import write_whole
from seedmint.service.cli.import_options import (
    Checkpoint,
    axis_lengths,
    checkpoint_options,
    class_names,
    constants,
    names,
    reference_array,
    z_scale,
)
from seedmint.service.cli.options import settings_with
from seedmint.service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from seedmint.service.importer.importing import ImportedGenerator
    from seedmint.service.importer.options import ImportOptions, TrialSettings

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
@_option("--network", "Code of the network of a checkpoint: FILE.py:NAME or package.module:NAME. This code runs.")
@_option("--arg", "Argument of the network: NAME=VALUE. Repeat for several arguments.", "arguments", multiple=True)
@_option("--z-shape", "Shape of one row of z of a network, such as 100x1x1. Default: found by trial.")
@_option("--data", "Training data, for the card.")
@_option("--data-licence", "Licence of the training data, for the card.")
@_option("--weights-licence", "Licence of the weights, for the card.")
@_option("--replace", "Replace a generator of the same name.", is_flag=True)
@_option("--models", "Directory of generators [SEEDMINT_MODELS].")
def add(file: tuple[Path, ...], models: str | None, replace: bool, **option_values: Any) -> None:
    """Import a generator from another project: wrap it to the contract, run it, and write it to the models directory.

    FILE is one ONNX file, or the file of a mapping network and the file of its synthesis network, or a checkpoint with
    --network. The command finds range, layout, inputs and batch size in the graph. Check the printed values. If the graph does
    not show a value, the command asks for an option. docs/import.md describes all options. A Seedmint generator file keeps its
    card.

    \b
    seedmint models add dcgan.onnx --name faces --title "Faces of 64x64 pixels"
    seedmint models add cgan.onnx --classes 10 --prior uniform --z-scale 0.57735
    seedmint models add mlp.onnx --shape 28x28x1 --data MNIST --data-licence CC-BY-SA-3.0
    seedmint models add mapping.onnx synthesis.onnx --name portraits
    seedmint models add netG.pth --network netg.py:Generator --arg nz=100
    """
    from seedmint.models.runtime.generator_file import DIGEST12, digest_of
    from seedmint.service.importer.guide import with_section

    try:
        imported, target = _imported(file, models, replace, option_values)
    except SettingsError:
        raise
    except UserError as error:
        raise with_section(error) from None
    write_whole(target, imported.content)
    for line in imported.findings:
        click.echo(line)
    name, digest = imported.card.name, digest_of(imported.content)[:DIGEST12]
    directory = "" if models is None else f" --models {shlex.quote(models)}"
    click.echo(f"{name}@{digest} in {target}. Next: seedmint sample {name} --seeds 0-63 --out {name}.png{directory}")


def _imported(
    file: tuple[Path, ...], models: str | None, replace: bool, option_values: dict[str, Any]
) -> tuple["ImportedGenerator", Path]:
    """Import the files, and return the generator and the path for its file."""
    if len(file) > 2:
        raise UserError("pass one file, or a mapping file and a synthesis file", field="file", reason="too_many_files")
    settings = settings_with(models)
    checkpoint = checkpoint_options(file, option_values)
    existing = None if checkpoint is not None else _keep_card(file, option_values)
    name = option_values["name"] or (existing.card.name if existing is not None else file[-1].stem.lower())
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(
            f"{name!r} must be lower-case letters, digits, '.', '_' and '-', at most 64", field="name", reason="wrong_name"
        )
    target = settings.folder / f"{name}.onnx"
    if target.exists() and not replace:
        raise UserError(
            f"{target} exists: choose another name, or replace it",
            field="name",
            reason="name_exists",
            other_fields=("replace",),
        )
    try:
        return existing or _import(file, name, settings, option_values, checkpoint), target
    except ValidationError as error:
        raise _card_error(error) from None


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
    files: Sequence[Path],
    name: str,
    settings: Settings,
    option_values: dict[str, Any],
    checkpoint: Checkpoint | None,
) -> "ImportedGenerator":
    from seedmint.models.runtime.provider import choose_provider
    from seedmint.service.importer.importing import import_files
    from seedmint.service.importer.options import ImportOptions, TrialSettings

    options = ImportOptions(
        **option_values
        | {
            "name": name,
            "title": option_values["title"] or name,
            "z_scale": z_scale(option_values["z_scale"]),
            "classes": class_names(option_values["classes"]),
            "shape": axis_lengths(option_values["shape"]),
            "columns": names(option_values["columns"], "columns"),
            "constants": constants(option_values["constants"]),
            "reference": reference_array(option_values["reference"]),
        }
    )
    trial = TrialSettings(choose_provider(settings.provider), settings.threads, settings.max_batch)
    try:
        if checkpoint is not None:
            return _import_checkpoint(files[0], checkpoint, options, trial)
        return import_files(files, options, trial)
    except UserError as error:
        raise _with_file(error, files[0]) from None


def _import_checkpoint(
    file: Path, checkpoint: Checkpoint, options: "ImportOptions", trial: "TrialSettings"
) -> "ImportedGenerator":
    """Import a checkpoint with the function that the root command provides, because the service does not import torch."""
    run = click.get_current_context().find_root().obj["import_checkpoint"]
    try:
        imported: ImportedGenerator = run(file, checkpoint.network, checkpoint.arguments, options, checkpoint.z_shape, trial)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "seedmint.from_torch"):  # the image has neither
            raise
        raise UserError("a network needs torch: pip install torch", field="network", reason="missing_package") from None
    return imported


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
