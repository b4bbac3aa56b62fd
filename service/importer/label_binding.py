"""Finds the input that receives the label, and the form in which it receives the label."""

import re

from seedmint.models.card import MAX_CLASSES
from seedmint.service.importer.bindings import FLOAT_TYPES, LABEL_TYPES, Binding, Input, list_names
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.options import ImportOptions

_LABEL_NAME = re.compile("label|class|cond|^[yc]$", re.IGNORECASE)


def find_label(free: dict[str, Input], options: ImportOptions) -> Binding | None:
    """Find the input that receives the label.

    Args:
        free: Inputs without a binding, by name.
        options: Options of the import.

    Returns:
        The binding of the label, or None for a graph without labels.

    Raises:
        GeneratorImportError: The graph has a label and `classes` is missing, or the reverse; or the classes do not
            fit the label.
    """
    name = options.label_input or _label_name(free, options)
    if name is None and options.classes is None:
        return None
    if name is None:
        raise GeneratorImportError("the graph has no input for a label", field="classes", reason="no_label")
    if options.classes is None:
        raise GeneratorImportError(
            f"is missing: input {name!r} receives a label; set the number of classes or their names",
            field="classes",
            reason="classes_missing",
        )
    classes = len(options.classes)
    if classes > MAX_CLASSES:
        raise GeneratorImportError(f"{classes} classes: at most {MAX_CLASSES}", field="classes", reason="too_many_classes")
    value = free[name]
    if value.elem_type not in (*FLOAT_TYPES, *LABEL_TYPES):
        raise GeneratorImportError(f"input {name!r} is neither float nor integer", field="label_input", reason="wrong_type")
    if _is_one_hot(value, classes):
        return Binding(value, "one_hot", shape=(classes, *[1] * (len(value.row_dims) - 1)))
    return Binding(value, "label", shape=(1,) * len(value.row_dims))


def _label_name(free: dict[str, Input], options: ImportOptions) -> str | None:
    candidates = [name for name, value in free.items() if value.elem_type in LABEL_TYPES]
    if not candidates and options.classes is not None:
        candidates = _float_candidates(free, options.z_input, len(options.classes))
    if len(candidates) > 1:
        candidates = [name for name in candidates if _LABEL_NAME.search(name)] or candidates
    if len(candidates) > 1:
        raise GeneratorImportError(
            f"is missing: {list_names(candidates)} may be the label; name one",
            field="label_input",
            reason="label_input_missing",
        )
    return candidates[0] if candidates else None


def _float_candidates(free: dict[str, Input], z_input: tuple[str, ...], classes: int) -> list[str]:
    """Return the float inputs as wide as the number of classes; else all scalars; else those with a usual name of labels."""
    floats = {name: value for name, value in free.items() if value.is_float and name not in z_input}
    if len(floats) + len(z_input) <= 1:
        return []  # the only input is z
    return (
        [name for name, value in floats.items() if value.row_dims and value.row_dims[0] == classes]
        or [name for name, value in floats.items() if all(size == 1 for size in value.row_dims)]
        or [name for name in floats if _LABEL_NAME.search(name)]
    )


def _is_one_hot(value: Input, classes: int) -> bool:
    """Return whether the label is a one-hot vector. If the width is unknown, the result is True for float inputs."""
    row = value.row_dims
    width = row[0] if row else 1
    if width not in (None, 1, classes) or any(size not in (1, None) for size in row[1:]):
        raise GeneratorImportError(
            f"input {value.name!r} is {value}, which does not fit {classes} classes", field="classes", reason="classes_mismatch"
        )
    if width is None:
        return value.is_float
    return width == classes > 1
