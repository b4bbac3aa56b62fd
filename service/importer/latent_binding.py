"""Finds the inputs that receive z, and the part of z that each receives."""

import math
import re

from seedmint.models.noise import MAX_Z_DIM
from seedmint.service.importer.bindings import Binding, Dims, Input, Signature, describe_inputs
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.options import ImportOptions

_NUMBER = re.compile(r"[_.]?\d+$")
_LATENT_NAME = re.compile(r"zs?|latents?(_(code|input|map|sample|vector|z)s?)?|eps(ilon)?", re.IGNORECASE)
_CODE_NAME = re.compile(r"cont(inuous)?(_?(code|var)s?)?|codes?", re.IGNORECASE)
_MAPPED_NAME = re.compile(r"ws?|styles?|dlatents?(_in)?", re.IGNORECASE)
_NOISE_NAME = re.compile(r".*noise.*", re.IGNORECASE)


def latent_inputs(free: dict[str, Input], options: ImportOptions) -> list[Input]:
    """Find the inputs that receive z, in order.

    Args:
        free: Inputs without a binding, by name.
        options: Options of the import.

    Raises:
        GeneratorImportError: No input, or more than one, may receive z; an input stays without a binding; or an input has no
            axis for z.
    """
    latent = [free[name] for name in options.z_input] or _latent_by_name(free, options)
    _check_all_bound([value for value in free.values() if value not in latent], options)
    for value in latent:
        if not value.is_float:
            raise GeneratorImportError(f"input {value.name!r} is not float", field="z_input", reason="wrong_type")
        if value.dims in ((), (None,)):
            raise GeneratorImportError(
                f"input {value.name!r} is {value}, which has no axis for z", field="z_input", reason="wrong_shape"
            )
    return latent


def mapped_input(signature: Signature) -> str | None:
    """Return the name of the only input of z, if that name is usual for the output of a mapping network; else None.

    Args:
        signature: The inputs of the graph.
    """
    names = [binding.input.name for binding in signature.bindings if binding.kind == "z"]
    return names[0] if len(names) == 1 and _MAPPED_NAME.fullmatch(names[0]) else None


def _latent_by_name(free: dict[str, Input], options: ImportOptions) -> list[Input]:
    """Return the only float input, or all float inputs if their names say that each is a part of z."""
    floats = [value for value in free.values() if value.is_float and not value.is_scalar]
    if options.noise is not None and len(floats) > 1:
        floats = [value for value in floats if not _NOISE_NAME.fullmatch(value.name)] or floats[:1]
    if not floats:
        raise GeneratorImportError(
            f"the graph has no float input for z: {describe_inputs(free.values())}", field="z_input", reason="no_z_input"
        )
    if len(floats) > 1 and not _are_parts_of_z(floats, has_label=options.classes is not None):
        raise GeneratorImportError(
            f"is missing: the graph has {describe_inputs(free.values())}; if one of them is the label, first set its classes; "
            "then name each input that receives a part of z, and bind the others to constants (NAME=VALUE) or to fixed noise",
            field="z_input",
            reason="z_input_missing",
            other_fields=("classes", "label_input", "set", "noise"),
        )
    return floats


def _are_parts_of_z(floats: list[Input], has_label: bool) -> bool:
    """Return whether the names are numbers of one kind, such as z0 and z1, beside the continuous codes of a graph with a label.

    Without a label, an input of codes can be the one-hot label. An input with a fixed batch beside a dynamic one is a constant
    of the generator, such as the mean of z.
    """
    if len({value.dims[0] is None for value in floats}) > 1:
        return False
    stems = {_NUMBER.sub("", value.name).lower() for value in floats}
    if has_label:
        stems = {stem for stem in stems if not _CODE_NAME.fullmatch(stem)}
    return len(stems) == 1 and all(_LATENT_NAME.fullmatch(stem) for stem in stems)


def _check_all_bound(rest: list[Input], options: ImportOptions) -> None:
    """Check that `noise` binds all inputs that do not receive z."""
    unbound = [value for value in rest if options.noise is None or not value.is_float or value.is_scalar]
    if not unbound:
        return
    has_scalar = any(value.is_scalar for value in unbound)
    truncation = ", to the truncation" if has_scalar else ""
    raise GeneratorImportError(
        f"is missing: the graph also has {describe_inputs(unbound)}; bind each to a constant (NAME=VALUE){truncation}, to a "
        "further part of z or to the label, or bind all noise inputs to fixed noise",
        field="set",
        reason="input_not_bound",
        other_fields=(*(("truncation_input",) if has_scalar else ()), "z_input", "label_input", "noise"),
    )


def bind_latent(latent: list[Input], options: ImportOptions) -> list[Binding]:
    """Divide z among its inputs.

    Args:
        latent: The inputs that receive z, in order.
        options: Options of the import; `z_dim` sets the length of z.

    Raises:
        GeneratorImportError: The length of z is not known, does not fit the inputs, or is too large.
    """
    if len(latent) == 1:
        shape, z_dim = _shape_and_length(latent[0], options.z_dim)
        return [Binding(latent[0], "z", 0, z_dim, shape)]
    bindings, start = [], 0
    for value in latent:
        shape, length = _shape_and_length(value, None)
        bindings.append(Binding(value, "z", start, start := start + length, shape))
    if options.z_dim not in (None, start):
        raise GeneratorImportError(f"the inputs of z have {start} numbers together", field="z_dim", reason="z_dim_mismatch")
    _check_length(start, latent[0])
    return bindings


def _shape_and_length(value: Input, z_dim: int | None) -> tuple[tuple[int, ...], int]:
    """Return the shape of one row of an input, and the length of its part of z."""
    row = _row(value, z_dim)
    if None in row:
        raise GeneratorImportError(
            f"is missing: input {value.name!r} is {value}, so the graph does not contain the length of z, such as 100",
            field="z_dim",
            reason="z_dim_missing",
        )
    shape = tuple(size or 1 for size in row)
    whole = math.prod(shape)
    length = z_dim or whole
    if length not in (whole, shape[-1]):
        raise GeneratorImportError(
            f"input {value.name!r} is {value}: z has {whole} numbers, or {shape[-1]} numbers that are repeated",
            field="z_dim",
            reason="z_dim_mismatch",
        )
    _check_length(length, value)
    return shape, length


def _row(value: Input, z_dim: int | None) -> Dims:
    """Return the axes of one row. `z_dim` gives the length of a single dynamic axis."""
    row = value.row_dims if len(value.dims) > 1 else value.dims  # D alone: one image without a batch axis
    if len(row) == 3 and row[0] is not None:  # N x D x ? x ?, of convolutional generators with dynamic height and width
        row = (row[0], *(size or 1 for size in row[1:]))
    known = math.prod(size for size in row if size is not None)
    if row.count(None) == 1 and z_dim is not None and z_dim % known == 0:
        row = tuple(z_dim // known if size is None else size for size in row)
    return row


def _check_length(length: int, value: Input) -> None:
    if length <= MAX_Z_DIM:
        return
    last = value.dims[-1]
    can_repeat = last is not None and last <= MAX_Z_DIM and len(value.dims) > 2
    repeat = f"; set {last} to repeat {last} numbers" if can_repeat else ""
    raise GeneratorImportError(
        f"input {value.name!r} is {value}: z may have at most {MAX_Z_DIM} numbers{repeat}",
        field="z_dim",
        reason="z_too_long",
    )
