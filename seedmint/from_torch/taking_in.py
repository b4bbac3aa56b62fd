"""`seedmint.take_in`: writes a torch module as a generator file."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from seedmint.from_torch.importing import import_module
from seedmint.generator import Generator
from seedmint.models.card import NAME_PATTERN
from seedmint.models.directory import models_directory
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.models.runtime.processors import num_processors
from seedmint.service.importer.guide import with_section
from seedmint.service.importer.options import ImportOptions, Layout, NoiseMode, Range, TrialSettings

_LOG = logging.getLogger(__name__)


def take_in(
    module: nn.Module,
    *,
    name: str,
    z_dim: int | None = None,
    z_shape: Sequence[int] | None = None,
    classes: int | Sequence[str] | None = None,
    title: str | None = None,
    prior: Literal["normal", "uniform"] = "normal",
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
) -> Generator:
    """Write a torch module as a generator file, and open the file.

    The module runs in evaluation mode. It is exported with a dynamic batch, or with a batch of one where that fails, and the
    outputs of seeds 0 to 63 are compared with those of the module. The card contains the greatest difference. Every finding is
    logged at level INFO.

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

    Returns:
        The open generator. `source` is the path of the file.

    Raises:
        UserError: The module cannot be exported or does not run, a value is missing or wrong, or the file exists.
        OSError: The file cannot be written.
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"{type(module).__name__} is not a torch module", field="module", reason="not_a_module")
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise UserError(
            f"{name!r} must be lower-case letters, digits, '.', '_' and '-', at most 64", field="name", reason="wrong_name"
        )
    target = Path(path) if path is not None else (models_directory() if models is None else Path(models)) / f"{name}.onnx"
    if target.exists() and not replace:
        raise UserError(f"{target} exists: choose another name, or pass replace=True", field="name", reason="name_exists")
    options = ImportOptions(
        name=name,
        title=title or name,
        prior=prior,
        z_scale=z_scale,
        z_dim=z_dim,
        z_input=() if z_input is None else (z_input,),
        label_input=label_input,
        classes=_names(classes),
        truncation_input=truncation_input,
        noise=noise,
        output=None if output is None else str(output),
        layout=layout,
        range=range,
        shape=None if shape is None else tuple(shape),
        sample=sample,
        columns=None if columns is None else tuple(columns),
        reference=None if reference is None else np.asarray(reference),
        data=data,
        data_licence=data_licence,
        weights_licence=weights_licence,
    )
    row_shape = None if z_shape is None else tuple(z_shape)
    try:
        imported = import_module(module, options, row_shape, inputs, settings=TrialSettings(threads=num_processors()))
    except UserError as error:
        raise with_section(error) from None
    write_whole(target, imported.content)
    for finding in imported.findings:
        _LOG.info("%s: %s", name, finding)
    return Generator(target)


def _names(classes: int | Sequence[str] | None) -> tuple[str, ...] | None:
    if classes is None:
        return None
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
    if not names or len(set(names)) < len(names):
        raise UserError("pass at least one class, without repeated names", field="classes", reason="names_not_distinct")
    return names
