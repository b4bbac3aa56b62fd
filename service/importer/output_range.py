"""Range of the outputs: first from the last operators of the graph, then from sampled outputs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.intervals import Interval, graph_interval
from seedmint.service.importer.options import ImportOptions
from seedmint.service.importer.wrap import OutputRange

_TOLERANCE = 1e-3  # relative to the width of a range: constants in half precision
_STANDARD: dict[OutputRange, tuple[float, float]] = {
    "-1..1": (-1.0, 1.0),
    "0..1": (0.0, 1.0),
    "0..255": (0.0, 255.0),
    "0..65535": (0.0, 65535.0),
}


def find_range(model: ModelProto, output: str, rows: NDArray[Any], options: ImportOptions) -> OutputRange:
    """Find which values mean black and white.

    Args:
        model: The model.
        output: Name of the output.
        rows: Sampled outputs.
        options: Options of the import; `range` overrides the result.

    Raises:
        GeneratorImportError: The graph and the outputs fit no range, or more than one.
    """
    if rows.dtype == np.uint8:
        return "bytes"
    interval = graph_interval(model.graph, output)
    standard = _standard_range(interval)
    if options.range is not None:
        return options.range
    if rows.dtype == np.uint16:
        return "0..65535"
    if standard is not None:
        return standard
    low, high = float(rows.min()), float(rows.max())
    if not interval.is_bounded and (guess := _range_of_samples(rows)) is not None:
        return guess
    bounds = f", the graph allows {interval.low:.3g} to {interval.high:.3g}" if interval.is_bounded else ""
    raise GeneratorImportError(
        f"is missing: the outputs are from {low:.3g} to {high:.3g}{bounds}; set the values of black and white, such as -1..1",
        field="range",
        reason="range_missing",
    )


def overridden_range(model: ModelProto, output: str, options: ImportOptions) -> OutputRange | None:
    """Return the range to which the last operators of the graph limit its values, if the option `range` differs; else None.

    Args:
        model: The model.
        output: Name of the output.
        options: Options of the import.
    """
    standard = _standard_range(graph_interval(model.graph, output))
    return standard if options.range is not None and standard != options.range else None


def _standard_range(interval: Interval) -> OutputRange | None:
    for name, (low, high) in _STANDARD.items():
        slack = _TOLERANCE * (high - low)
        if abs(interval.low - low) <= slack and abs(interval.high - high) <= slack:
            return name
    return None


def _range_of_samples(rows: NDArray[Any]) -> OutputRange | None:
    """Find the range of outputs without bounds; None if the evidence is weak."""
    values = rows.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    first, last = np.percentile(values, [1, 99])
    if low <= -0.7 and first >= -1.1 and high >= 0.7 and last <= 1.1:  # -0.5 to 0.5 is a common range too
        return "-1..1"
    if low >= -6 and 100 <= high <= 261 and first >= -1 and last <= 256:
        return "0..255"
    if -0.02 <= low <= 0.02 and 0.9 <= high <= 1.02:
        return "0..1"
    return None
