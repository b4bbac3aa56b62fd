"""Layout and shape of the outputs, from the shape of one output, the last operators of the graph and the options."""

import math

from onnx import ModelProto

from seedmint.models.card import MAX_SIDE, ImageOutput, SampleOutput
from seedmint.service.importer.channel_layout import channel_layout
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.options import ImportOptions, Layout

_CHANNELS = (1, 3, 4)


def find_image_output(
    shape: tuple[int, ...], model: ModelProto, output: str, options: ImportOptions
) -> tuple[Layout, ImageOutput]:
    """Find layout, height, width and channels of images.

    Args:
        shape: Shape of one output, without the batch.
        model: The model.
        output: Name of the output.
        options: Options of the import; `layout` and `shape` replace values that the graph does not show.

    Raises:
        GeneratorImportError: The shape is not the shape of an image, or is ambiguous.
    """
    if options.layout in ("ncl", "nlc"):
        raise GeneratorImportError("ncl and nlc are layouts of series: use nchw or nhwc", field="layout", reason="wrong_layout")
    if options.shape is not None and (len(options.shape) != 3 or options.shape[2] not in _CHANNELS):
        raise GeneratorImportError(
            "an image is HEIGHTxWIDTHxCHANNELS with 1, 3 or 4 channels", field="shape", reason="wrong_shape"
        )
    if len(shape) == 3:
        layout, (height, width, channels) = _layout_of_axes(shape, model, output, options)
    else:
        layout, (height, width, channels) = _layout_of_flat(shape, options)
    if channels not in _CHANNELS:
        raise GeneratorImportError(
            f"one output is {_text(shape)}, {channels} channels in layout {layout}: images have 1, 3 or 4 channels; "
            "set another layout, or import the output as a sample if it is no image",
            field="layout",
            reason="channels_not_supported",
            other_fields=("sample",),
        )
    if max(height, width) > MAX_SIDE:
        raise GeneratorImportError(f"an image of {width}x{height} pixels: at most {MAX_SIDE} each", reason="image_too_large")
    return layout, ImageOutput(height=height, width=width, channels=channels)  # type: ignore[arg-type]


def _layout_of_axes(
    shape: tuple[int, ...], model: ModelProto, output: str, options: ImportOptions
) -> tuple[Layout, tuple[int, int, int]]:
    a, b, c = shape
    sizes: dict[Layout, tuple[int, int, int]] = {"nchw": (b, c, a), "nhwc": (a, b, c)}
    known = options.layout or channel_layout(model, output)
    if known is not None:
        sizes = {known: sizes[known]}
    if options.layout is None and options.shape is None:
        sizes = _plausible(sizes, shape)
    if options.shape is not None:
        sizes = {layout: size for layout, size in sizes.items() if size == options.shape}
        if not sizes:
            raise _shape_mismatch(shape, options)
    # A side of four pixels looks like four channels.
    if known is None and options.shape is None and any(size[2] == 4 and size[0] != size[1] for size in sizes.values()):
        sizes = {}
    if len(sizes) != 1:
        raise GeneratorImportError(
            f"is missing: one output is {_text(shape)}, which may be nchw or nhwc",
            field="layout",
            reason="layout_missing",
        )
    ((layout, size),) = sizes.items()
    return layout, size


def _plausible(sizes: dict[Layout, tuple[int, int, int]], shape: tuple[int, ...]) -> dict[Layout, tuple[int, int, int]]:
    """Return the layouts in which the output has a number of channels that an image can have."""
    plausible = {layout: size for layout, size in sizes.items() if size[2] in _CHANNELS}
    if not plausible:
        raise GeneratorImportError(
            f"one output is {_text(shape)}: no axis has 1, 3 or 4 channels; import the output as a sample if it is no image",
            field="output",
            reason="not_an_image",
            other_fields=("sample",),
        )
    # A side of 4 pixels is rarer than 1 or 3 channels.
    return {layout: size for layout, size in plausible.items() if size[2] != 4} or plausible


def _layout_of_flat(shape: tuple[int, ...], options: ImportOptions) -> tuple[Layout, tuple[int, int, int]]:
    if len(shape) == 2 and options.shape is None and options.layout is None and min(shape) > 4:
        return "nhwc", (*shape, 1)  # N x H x W, gray
    if options.shape is None:
        raise GeneratorImportError(
            f"is missing: one output is {_text(shape)}; set HEIGHTxWIDTHxCHANNELS, and the layout for more than one channel, "
            "or import the output as a sample if it is no image",
            field="shape",
            reason="shape_missing",
            other_fields=("layout", "sample"),
        )
    if math.prod(shape) != math.prod(options.shape):
        raise _shape_mismatch(shape, options)
    height, width, channels = options.shape
    if channels > 1 and options.layout is None:
        raise GeneratorImportError(
            f"is missing: one output is {_text(shape)}; set nchw if all values of a channel follow each other, nhwc if all "
            "channels of a pixel do",
            field="layout",
            reason="layout_missing",
        )
    return options.layout or "nhwc", (height, width, channels)


def find_sample_output(shape: tuple[int, ...], options: ImportOptions) -> tuple[Layout, SampleOutput]:
    """Find layout, shape and column names of samples.

    Args:
        shape: Shape of one output, without the batch.
        options: Options of the import.

    Raises:
        GeneratorImportError: The shape is not the shape of a row or a series, or is ambiguous.
    """
    if options.layout in ("nchw", "nhwc"):
        raise GeneratorImportError("nchw and nhwc are layouts of images: use ncl or nlc", field="layout", reason="wrong_layout")
    layout, target = _sample_axes(shape, options)
    names = options.columns or _default_columns(target[-1])
    if len(names) != target[-1]:
        raise GeneratorImportError(f"{len(names)} names for {target[-1]} columns", field="columns", reason="columns_mismatch")
    return layout, SampleOutput(kind="sample", shape=target, names=names)


def _sample_axes(shape: tuple[int, ...], options: ImportOptions) -> tuple[Layout, tuple[int, ...]]:
    """Return the layout of a row or a series, and its shape as (columns,) or (length, channels)."""
    if options.shape is not None:
        return _layout_of_shape(shape, options.shape, options), options.shape
    if len(shape) == 1:
        return options.layout or "nlc", shape
    if len(shape) == 2:
        layout = _series_layout(shape, options)
        return layout, shape[::-1] if layout == "ncl" else shape
    raise GeneratorImportError(
        f"is missing: one output is {_text(shape)}; set COLUMNS or LENGTHxCHANNELS",
        field="shape",
        reason="shape_missing",
    )


def _layout_of_shape(shape: tuple[int, ...], target: tuple[int, ...], options: ImportOptions) -> Layout:
    if len(target) > 2 or math.prod(target) != math.prod(shape):
        raise _shape_mismatch(shape, options)
    is_reversed = len(shape) == 2 and target != shape and target == shape[::-1]
    return options.layout or ("ncl" if is_reversed else "nlc")


def _series_layout(shape: tuple[int, ...], options: ImportOptions) -> Layout:
    if options.layout is not None:
        return options.layout
    first, last = shape
    count = len(options.columns) if options.columns else 1
    if (first == count) != (last == count):
        return "ncl" if first == count else "nlc"
    raise GeneratorImportError(
        f"is missing: one output is {_text(shape)}; set ncl if the channels come first, nlc if the steps do",
        field="layout",
        reason="layout_missing",
    )


def _default_columns(count: int) -> tuple[str, ...]:
    return {1: ("value",), 2: ("x", "y"), 3: ("x", "y", "z")}.get(count) or tuple(f"x{i}" for i in range(count))


def _shape_mismatch(shape: tuple[int, ...], options: ImportOptions) -> GeneratorImportError:
    requested = "x".join(map(str, options.shape or ()))
    return GeneratorImportError(f"{requested} does not fit an output of {_text(shape)}", field="shape", reason="shape_mismatch")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
