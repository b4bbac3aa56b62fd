"""Values of the options of `models add`, from the text of the command line."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import UserError, one_line

_MAX_REFERENCE_BYTES = 1 << 30
_SHAPE = re.compile(r"[1-9]\d{0,5}(x[1-9]\d{0,5}){0,2}", re.ASCII)


@dataclass(frozen=True)
class Checkpoint:
    """Options that only checkpoints have.

    Attributes:
        network: `FILE.py:NAME` or `package.module:NAME`.
        arguments: Arguments of NAME, as text.
        z_shape: Shape of one row of z; None to find the shape.
    """

    network: str
    arguments: dict[str, str]
    z_shape: tuple[int, ...] | None


def checkpoint_options(files: Sequence[Path], option_values: dict[str, Any]) -> Checkpoint | None:
    """Take the options of checkpoints out of all options.

    Args:
        files: The files of the command.
        option_values: All options; changed in place.

    Returns:
        The options; None without `--network`.

    Raises:
        UserError: An option has a wrong form, or needs `--network`.
    """
    network, texts, shape = (option_values.pop(key) for key in ("network", "arguments", "z_shape"))
    if network is None:
        if texts or shape:
            field = "arg" if texts else "z_shape"
            raise UserError("only a network has this option: name the network", field=field, reason="no_network")
        return None
    if len(files) != 1:
        raise UserError("pass one checkpoint", field="file", reason="too_many_files")
    arguments = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key.isidentifier():
            raise UserError(f"{text!r} must be like nz=100", field="arg", reason="wrong_argument")
        arguments[key] = value
    return Checkpoint(network, arguments, axis_lengths(shape, "z_shape"))


def z_scale(value: float) -> float:
    """Check the factor on z.

    Args:
        value: Value of the option.

    Raises:
        UserError: The factor is 0 or not finite.
    """
    if not 0 < abs(value) < math.inf:
        raise UserError(f"{value:g} must be finite and not 0", field="z_scale", reason="out_of_range")
    return value


def class_names(text: str | None) -> tuple[str, ...] | None:
    """Return the names of classes.

    Args:
        text: A number of classes, or their names separated by commas; None without classes.

    Raises:
        UserError: There is no name, or a name is repeated.
    """
    if text is not None and text.isdecimal():
        text = ",".join(map(str, range(int(text[:7]))))
    return names(text, "classes")


def names(text: str | None, field: str) -> tuple[str, ...] | None:
    """Return names.

    Args:
        text: Names separated by commas, or None.
        field: Name of the parameter, for the error.

    Raises:
        UserError: There is no name, or a name is repeated.
    """
    if text is None:
        return None
    found = tuple(name.strip() for name in text.split(",")) if text else ()
    if not found or len(set(found)) < len(found):
        raise UserError("pass at least one name, without repeated names", field=field, reason="names_not_distinct")
    return found


def axis_lengths(text: str | None, field: str = "shape") -> tuple[int, ...] | None:
    """Return the lengths of axes.

    Args:
        text: Lengths such as 28x28x1, or None.
        field: Name of the parameter, for the error.

    Raises:
        UserError: The text has another form.
    """
    if text is None:
        return None
    if _SHAPE.fullmatch(text) is None:
        raise UserError(f"{text!r} must be like 28x28x1", field=field, reason="wrong_shape")
    return tuple(int(part) for part in text.split("x"))


def constants(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return constants by name of their input.

    Args:
        texts: NAME=VALUE or NAME=VALUE,VALUE,...

    Raises:
        UserError: A text has another form, or a value is not finite.
    """
    found = {}
    for text in texts:
        name, _, values = text.rpartition("=")
        try:
            numbers = tuple(float(value) for value in values.split(","))
        except ValueError:
            numbers = ()
        if not name or not numbers or not all(map(math.isfinite, numbers)):
            raise UserError(f"{text!r} must be like truncation_psi=0.7", field="set", reason="wrong_constant")
        found[name] = numbers
    return found


def reference_array(path: Path | None) -> NDArray[Any] | None:
    """Read the outputs of the original.

    Args:
        path: An .npy file, or None.

    Raises:
        UserError: The file is not one array, or is too large.
        OSError: The file cannot be read.
    """
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
