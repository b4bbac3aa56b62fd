"""Generators that others have made: an ONNX file as it comes -> a generator file, by wrapping its graph to the contract."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, inliner, version_converter

from seedmint.models.card import MAX_CLASSES, Card, Dataset, ImageOutput, Licence, Noise, Provenance
from seedmint.models.contract import MAX_NODES, MIN_OPSET, check_self_contained
from seedmint.models.errors import UserError
from seedmint.models.noise import MAX_Z_DIM, labels_of, noise
from seedmint.models.runtime.provider import open_session
from seedmint.service.importer.onnx_graph import FLOATS, WHOLES, Ends, Layout, Range, free_batch, wrap
from seedmint.service.runtime.generator import Generator

_TRIED = 64  # seeds that the file is run with, to see what it makes
_SLACK = 0.02  # of a range: what rounding in half precision, or an output without a bound, may go beyond it


class ImportingError(UserError):
    """A file that cannot be made a generator file as it is; the message says what is missing and which option tells it."""


@dataclass(frozen=True)
class Wanted:
    """What the file does not tell. None leaves it to be found out from the file, and from running it.

    Attributes:
        name, title: the generator's.
        prior: `normal`, or `uniform` on (-sqrt 3, sqrt 3).
        z_scale: factor on z before the graph sees it: 0.57735 makes a uniform prior on (-1, 1).
        z_dim: length of z.
        layout: order of the output's axes, and of the numbers in a flat one, which is nhwc by itself.
        range: of the output's values.
        shape: (height, width, channels); outputs that are flat do not tell.
        classes: name of each label, or how many there are; None for a file that takes no label.
        z_input, label_input, output: names in the file, where it has several.
        data, data_licence, weights_licence: for the card.
    """

    name: str
    title: str
    prior: Literal["normal", "uniform"] = "normal"
    z_scale: float = 1.0
    z_dim: int | None = None
    layout: Layout | None = None
    range: Range | None = None
    shape: tuple[int, int, int] | None = None
    classes: tuple[str, ...] | None = None
    z_input: str | None = None
    label_input: str | None = None
    output: str | None = None
    data: str | None = None
    data_licence: str | None = None
    weights_licence: str | None = None


@dataclass(frozen=True)
class Imported:
    """A generator file and what was found out about the one it came from, for people to check."""

    content: bytes
    card: Card
    found: tuple[str, ...]


def import_generator(content: bytes, wanted: Wanted) -> Imported:
    """Wrap a graph to the contract, and run the result.

    Args:
        content: an ONNX file: a float output in [-1, 1], [0, 1] or [0, 255], or bytes, as NCHW, NHWC or flat; z as N x D or
            N x D x 1 x 1, float32, float16 or float64; labels, if any, as numbers or one-hot.

    Raises:
        UserError: the file is not self-contained, does not say enough, or does not run.
    """
    model = _opened(content)
    ends = _ends(model, wanted)
    made = _run(model, ends, wanted)
    layout, height, width, channels = _layout(made.shape[1:], wanted)
    span = _span(made, wanted)
    card = _card(wanted, ends.z_dim, ImageOutput(height=height, width=width, channels=_channels(channels)))
    result = wrap(model, ends, wanted.z_scale, card, layout, span)
    generator = Generator(result, "cpu", 1, _TRIED)  # holds it to the contract, and runs it in batches of several sizes
    found = (
        f"z {ends.z} of {ends.z_dim} numbers, {wanted.prior}" + (f" times {wanted.z_scale:g}" if wanted.z_scale != 1 else ""),
        *([f"label {ends.label} of {len(wanted.classes)} classes"] if ends.label and wanted.classes else []),
        f"output {ends.output}: {layout}, {span}, images of {width}x{height}x{channels}",
        f"the same seed is {'exactly' if generator.determinism == 'exact' else 'only nearly'} the same image in every batch",
    )
    return Imported(result, card, found)


def _opened(content: bytes) -> ModelProto:
    try:
        model = onnx.load_model_from_string(content)
        if not model.graph.node:
            raise ValueError("it has no graph")
    except Exception:
        raise ImportingError("not an ONNX file, or cut short") from None
    if model.functions:
        if (nodes := _nodes_inlined(model)) > MAX_NODES:
            raise ImportingError(f"the graph unfolds to {nodes:.3g} nodes: at most {MAX_NODES}")
        model = inliner.inline_local_functions(model)
    used = {"", *(node.domain for node in model.graph.node)}
    for entry in [entry for entry in model.opset_import if entry.domain not in used]:
        model.opset_import.remove(entry)
    check_self_contained(model)
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    try:
        if opset < MIN_OPSET:
            model = version_converter.convert_version(model, MIN_OPSET)
        onnx.checker.check_model(model)
    except Exception as error:  # the checker and the converter raise their own
        raise ImportingError(f"opset {opset}: {(str(error) or repr(error)).strip().splitlines()[0][:300]}") from None
    return model


def _nodes_inlined(model: ModelProto) -> float:
    """How many nodes the graph has once each call of a function stands for what the function holds; infinite for a circle."""
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    sizes: dict[tuple[str, str], float] = {}

    def size(nodes: Iterable[onnx.NodeProto]) -> float:
        total = 0.0
        for node in nodes:
            inner = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
            total += called((node.domain, node.op_type)) + sum(size(graph.node) for graph in inner)
        return total

    def called(name: tuple[str, str]) -> float:
        if name not in bodies:
            return 1
        if name not in sizes:
            sizes[name] = math.inf  # as long as it is not counted: one that calls itself has no end
            sizes[name] = size(bodies[name])
        return sizes[name]

    try:
        return size(model.graph.node)
    except RecursionError:  # thousands of functions, each calling the next
        return math.inf


def _ends(model: ModelProto, wanted: Wanted) -> Ends:
    stored = {tensor.name for tensor in model.graph.initializer}
    free = {value.name: value for value in model.graph.input if value.name not in stored}
    label_name = wanted.label_input or _only(
        [name for name, value in free.items() if _element(value) in WHOLES], "--label-input", optional=True
    )
    floats = [name for name, value in free.items() if _element(value) in FLOATS and name != label_name]
    if wanted.z_input is None and label_name is None and wanted.classes is not None and len(floats) == 2:
        count = len(wanted.classes)
        one_hot = [name for name in floats if _width(free[name]) == count]
        label_name = _only(one_hot or [name for name in floats if _one_number(free[name])], "--label-input")
        floats.remove(label_name)
    z_name = wanted.z_input or _only(floats, "--z-input")
    output_name = wanted.output or _only([value.name for value in model.graph.output], "--output")
    for name, option, there in (
        (z_name, "--z-input", free),
        (label_name or z_name, "--label-input", free),
        (output_name, "--output", {value.name: value for value in model.graph.output}),
    ):
        if name not in there:
            raise ImportingError(f"{option}: the file has no {name!r}, only {', '.join(map(repr, there))}")
    if others := [name for name in free if name not in (z_name, label_name)]:
        raise ImportingError(f"the file also takes {', '.join(map(repr, others))}: export it with that built in")
    if (label_name is None) != (wanted.classes is None):
        raise ImportingError(
            "--classes: the file takes no label"
            if label_name is None
            else f"--classes is missing: the file takes {label_name!r}"
        )
    z, label = free[z_name], free[label_name] if label_name else None
    rank, z_dim = len(z.type.tensor_type.shape.dim), wanted.z_dim or _width(z)
    if z_dim is None:
        raise ImportingError("--z-dim is missing: the file does not say how long z is")
    if z_dim > MAX_Z_DIM:
        raise ImportingError(f"{z_name!r} is to have {z_dim} numbers: at most {MAX_Z_DIM}")
    if wanted.classes is not None and len(wanted.classes) > MAX_CLASSES:
        raise ImportingError(f"--classes: {len(wanted.classes)} are too many: at most {MAX_CLASSES}")
    if rank not in (2, 4) or any(axis.dim_value > 1 for axis in z.type.tensor_type.shape.dim[2:]):
        raise ImportingError(f"{z_name!r} is {_axes(z)}: z must be N x D or N x D x 1 x 1")
    return Ends(
        z=z_name,
        z_type=_element(z),
        z_rank=rank,
        z_dim=z_dim,
        label=label_name,
        label_type=_element(label) if label is not None else 0,
        label_rank=len(label.type.tensor_type.shape.dim) if label is not None else 0,
        one_hot=label is not None and _one_hot(label, len(wanted.classes or ())),
        output=output_name,
    )


def _run(model: ModelProto, ends: Ends, wanted: Wanted) -> NDArray[Any]:
    """What the file makes of the first seeds: float32 or uint8[n, ...]."""
    loose = ModelProto()
    loose.CopyFrom(model)
    free_batch(loose)
    try:
        session = open_session(loose.SerializeToString(), "cpu", 1)
    except Exception as error:
        raise ImportingError(f"ONNX Runtime cannot run it: {_line(error)}") from None
    seeds = np.arange(_TRIED, dtype=np.int64)
    z = noise(f"philox-{wanted.prior}-v1", ends.z_dim, seeds) * np.float32(wanted.z_scale)
    feeds: dict[str, NDArray[Any]] = {
        ends.z: z.reshape(_TRIED, ends.z_dim, *[1] * (ends.z_rank - 2)).astype(FLOATS[ends.z_type])
    }
    if ends.label is not None and wanted.classes is not None:
        labels = labels_of(seeds, len(wanted.classes))
        shaped = np.eye(len(wanted.classes))[labels] if ends.one_hot else labels.reshape(-1, *[1] * (ends.label_rank - 1))
        feeds[ends.label] = shaped.astype((FLOATS | WHOLES)[ends.label_type])
    try:
        (made,) = session.run([ends.output], feeds)
    except Exception as error:
        raise ImportingError(f"it does not run with {_TRIED} seeds at once (was its batch fixed?): {_line(error)}") from None
    if not made.shape or len(made) != _TRIED:
        raise ImportingError(
            f"{_TRIED} seeds gave an output of shape {list(made.shape)}: its batch is fixed; export it dynamic"
        )
    if made.dtype == np.uint8:
        return np.asarray(made)
    if made.dtype not in (np.float32, np.float16, np.float64):
        raise ImportingError(f"its output is {made.dtype}, neither floats nor bytes")
    if not np.isfinite(made).all():
        raise ImportingError("its output is not finite: is the prior right? See --prior and --z-scale")
    return np.asarray(made, np.float32)


def _layout(shape: tuple[int, ...], wanted: Wanted) -> tuple[Layout, int, int, int]:
    """(layout, height, width, channels) of one output."""
    misfit = ImportingError(f"--shape: {'x'.join(map(str, wanted.shape or ()))} does not fit an output of {list(shape)}")
    if len(shape) != 3:
        if wanted.shape is None:
            raise ImportingError(f"--shape is missing: one output is {list(shape)}; write HEIGHTxWIDTHxCHANNELS")
        if math.prod(shape) != math.prod(wanted.shape):
            raise misfit
        return wanted.layout or "nhwc", *wanted.shape
    a, b, c = shape
    sizes: dict[Layout, tuple[int, int, int]] = {"nchw": (b, c, a), "nhwc": (a, b, c)}
    if wanted.layout:
        sizes = {wanted.layout: sizes[wanted.layout]}
    elif wanted.shape is None:
        sizes = {layout: size for layout, size in sizes.items() if size[2] in (1, 3)}
    if wanted.shape is not None:
        sizes = {layout: size for layout, size in sizes.items() if size == wanted.shape}
        if not sizes:
            raise misfit
    if len(sizes) != 1:
        raise ImportingError(f"--layout is missing: one output is {list(shape)}, which may be nchw or nhwc")
    ((layout, size),) = sizes.items()
    return layout, *size


def _span(made: NDArray[Any], wanted: Wanted) -> Range:
    """The range of values that stand for black to white."""
    if made.dtype == np.uint8:
        return "bytes"
    if wanted.range is not None:
        return wanted.range
    low, high = float(made.min()), float(made.max())
    for span, least, most in (("0..1", 0.0, 1.0), ("-1..1", -1.0, 1.0), ("0..255", 0.0, 255.0)):
        slack = _SLACK * (most - least)
        if least - slack <= low and high <= most + slack and high > least + (most - least) / 4:
            return span  # type: ignore[return-value]
    raise ImportingError(f"--range is missing: its values go from {low:.3g} to {high:.3g}")


def _channels(channels: int) -> Literal[1, 3]:
    if channels == 1:
        return 1
    if channels == 3:
        return 3
    raise ImportingError(f"images of {channels} channels: 1 or 3 can be served")


def _card(wanted: Wanted, z_dim: int, output: ImageOutput) -> Card:
    return Card(
        name=wanted.name,
        title=wanted.title,
        noise=Noise(rule=f"philox-{wanted.prior}-v1", z_dim=z_dim),
        classes=wanted.classes,
        output=output,
        provenance=Provenance(dataset=Dataset(name=wanted.data) if wanted.data else None),
        licence=Licence(data=wanted.data_licence, weights=wanted.weights_licence),
    )


def _element(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)


def _width(value: onnx.ValueInfoProto) -> int | None:
    """Length of the second axis, if the file says."""
    dims = value.type.tensor_type.shape.dim
    return int(dims[1].dim_value) or None if len(dims) > 1 else None


def _one_number(label: onnx.ValueInfoProto) -> bool:
    return all(axis.dim_value == 1 for axis in label.type.tensor_type.shape.dim[1:])


def _one_hot(label: onnx.ValueInfoProto, classes: int) -> bool:
    """Whether the input takes rows of noughts and a one; where its width does not say, floats do."""
    width, floats = _width(label), _element(label) in FLOATS
    if width not in (None, 1, classes):
        raise ImportingError(f"--classes: {label.name!r} is {_axes(label)}, which does not fit {classes} classes")
    return width == classes > 1 if width else floats and not _one_number(label)


def _axes(value: onnx.ValueInfoProto) -> str:
    dims = value.type.tensor_type.shape.dim
    return " x ".join(["N", *(str(axis.dim_value or "?") for axis in dims[1:])])


def _only(names: list[str], option: str, optional: bool = False) -> Any:
    if len(names) == 1:
        return names[0]
    if not names and optional:
        return None
    raise ImportingError(f"{option} is missing: the file has {', '.join(map(repr, names)) or 'none that would do'}")


def _line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0][:300]
