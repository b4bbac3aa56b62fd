"""`seedmint.take_in`: writes a torch module as a generator file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from seedmint.from_torch.arguments import array, axis_lengths, class_names, constants, location, names, whole_number
from seedmint.from_torch.importing import import_module
from seedmint.generator import Generator
from seedmint.models.card import NAME_PATTERN
from seedmint.models.errors import UserError, field_errors, one_line
from seedmint.models.files import write_whole
from seedmint.models.runtime.generator_file import DIGEST12, digest_of
from seedmint.models.runtime.provider import choose_provider
from seedmint.service.importer.guide import with_section
from seedmint.service.importer.importing import ImportedGenerator
from seedmint.service.importer.options import (
    ImportOptions,
    Layout,
    NoiseMode,
    Prior,
    Range,
    TrialSettings,
    check_options,
)
from seedmint.service.settings import Settings, SettingsError, read_settings


def take_in(
    module: nn.Module,
    *,
    name: str,
    z_dim: int | None = None,
    z_shape: Sequence[int] | None = None,
    classes: int | Sequence[str] | None = None,
    title: str | None = None,
    prior: Prior = "normal",
    z_scale: float = 1.0,
    inputs: Mapping[str, Any] | None = None,
    z_input: str | None = None,
    label_input: str | None = None,
    truncation_input: str | None = None,
    noise: NoiseMode | None = None,
    output: str | int | None = None,
    layout: Layout | None = None,
    range: Range | None = None,  # noqa: A002  # the name of the option
    shape: Sequence[int] | None = None,
    sample: bool = False,
    columns: Sequence[str] | None = None,
    reference: NDArray[Any] | None = None,
    data: str | None = None,
    data_licence: str | None = None,
    weights_licence: str | None = None,
    models: str | Path | None = None,
    path: str | Path | None = None,
    replace: bool = False,
    quiet: bool = False,
) -> Generator:
    """Write a torch module as a generator file, and open the file.

    The module runs in evaluation mode. It is exported with a dynamic batch, or with a batch of one where that fails, and the
    outputs of seeds 0 to 63 are compared with those of the module. The card contains the greatest difference. Every finding
    is printed to the standard output, one line each. The trial runs use SEEDMINT_PROVIDER, SEEDMINT_THREADS and
    SEEDMINT_MAX_BATCH.

    Args:
        module: The generator.
        name: Name of the generator.
        z_dim: Length of z; None to find the length by trial.
        z_shape: Shape of one row of z, such as (100, 1, 1); None to find the shape by trial.
        classes: Number of classes, or their names; None for an unconditional generator. The label can be an integer or one-hot.
        title: One line for people; None uses the name.
        prior: Distribution of z: `normal`, or `uniform` on (-sqrt(3), sqrt(3)).
        z_scale: Factor on z. 0.57735 gives a uniform prior on (-1, 1).
        inputs: Constants for further parameters of `forward`.
        z_input: Parameter of `forward` that receives z; None for the first.
        label_input: Parameter of `forward` that receives the label; None to find it by its name.
        truncation_input: Parameter of `forward` that receives the truncation of a request.
        noise: Replacement of random operators: `fixed` or `zero`. A random module is not compared.
        output: Position or name of the output, if `forward` returns several.
        layout: Order of the axes of the output; None to find the order in the graph.
        range: Values of the output that mean black and white; None to find the values in the graph.
        shape: (height, width, channels) of flat images; (columns,) or (length, channels) of samples.
        sample: Whether the outputs are samples, not images.
        columns: Names of the columns or channels of samples.
        reference: Outputs of the original for seeds 0, 1, ..., to compare with as well.
        data: Training data, for the card.
        data_licence: Licence of the training data, for the card.
        weights_licence: Licence of the weights, for the card.
        models: Directory of the file NAME.onnx; None for `SEEDMINT_MODELS`, or else the directory of the shipped generators.
        path: Path of the file, instead of `models`.
        replace: Whether an existing file is replaced.
        quiet: Whether nothing is printed.

    Returns:
        The open generator. `source` is the path of the file.

    Raises:
        UserError: The module cannot be exported or does not run, a value is missing or wrong, or the file exists. The message
            begins with the field.
        SettingsError: A variable SEEDMINT_* is invalid.
        OSError: The file cannot be written.
    """
    try:
        options = ImportOptions(
            name=name,
            title=name if title is None else title,
            prior=prior,
            z_scale=z_scale,
            z_dim=None if z_dim is None else whole_number(z_dim, "z_dim"),
            z_input=() if z_input is None else names([z_input], "z_input") or (),
            label_input=label_input,
            classes=class_names(classes),
            truncation_input=truncation_input,
            noise=noise,
            output=None if output is None else str(output),
            layout=layout,
            range=range,
            shape=axis_lengths(shape, "shape"),
            sample=sample,
            columns=names(columns, "columns"),
            reference=array(reference, "reference"),
            data=data,
            data_licence=data_licence,
            weights_licence=weights_licence,
        )
        check_options(options)
        settings = read_settings()
        target = _target(name, path, models, settings, replace)
        imported = _import(module, options, axis_lengths(z_shape, "z_shape"), constants(inputs), settings)
    except SettingsError:
        raise
    except UserError as error:
        raise _with_field(with_section(error)) from None
    write_whole(target, imported.content)
    if not quiet:
        digest = digest_of(imported.content)[:DIGEST12]
        print(*imported.findings, f"{name}@{digest} in {target}", sep="\n")
    return Generator(target)


def _target(name: str, path: str | Path | None, models: str | Path | None, settings: Settings, may_replace: bool) -> Path:
    """Return the path of the new file."""
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise UserError(
            f"{name!r} must be lower-case letters, digits, '.', '_' and '-', at most 64", field="name", reason="wrong_name"
        )
    if path is not None:
        target = location(path, "path")
    else:
        target = (settings.folder if models is None else location(models, "models")) / f"{name}.onnx"
    if target.exists() and not may_replace:
        raise UserError(f"{target} exists: choose another name, or pass replace=True", field="name", reason="name_exists")
    return target


def _import(
    module: nn.Module,
    options: ImportOptions,
    z_shape: tuple[int, ...] | None,
    inputs: Mapping[str, Any],
    settings: Settings,
) -> ImportedGenerator:
    if not isinstance(module, nn.Module):
        raise UserError(f"{type(module).__name__} is not a torch module", field="module", reason="not_a_module")
    trial = TrialSettings(choose_provider(settings.provider), settings.threads, settings.max_batch)
    try:
        return import_module(module, options, z_shape, inputs, settings=trial)
    except ValidationError as error:
        field, message = field_errors(error)[0]
        raise UserError(f"the card does not allow this {field}: {message}", field=field, reason="card_field") from None


def _with_field(error: UserError) -> UserError:
    """Return an error whose message begins with the argument: other messages do not name their field."""
    if error.field is None:
        return error
    argument = "inputs" if error.field == "set" else error.field
    return UserError(
        f"{argument}: {one_line(error, 1000)}", field=error.field, reason=error.reason, other_fields=error.other_fields
    )
