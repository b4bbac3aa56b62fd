"""Finds out how a network is called: the shape of z, the form of the label, further arguments, and the output."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seedmint.models.errors import UserError, one_line
from seedmint.service.importer.options import ImportOptions

LabelForm = Literal["integer", "column", "one_hot", "one_hot_map"]

_LABEL_FORMS: tuple[LabelForm, ...] = ("integer", "one_hot", "one_hot_map", "column")
_LABEL_NAME = re.compile(r".*(label|class|cond).*|[yc]", re.IGNORECASE)
_LENGTH_NAMES = ("z_dim", "nz", "latent_dim", "noise_dim", "dim_z", "z_size", "latent_size", "n_z", "zdim", "latent_channels")
_TRIED_LAYERS = 8
_TRIED_BATCHES = (2, 1)


@dataclass(frozen=True)
class Call:
    """How a network is called.

    Attributes:
        z_name: Parameter of `forward` that receives z.
        z_shape: Shape of one row of z.
        label_name: Parameter of `forward` that receives the label; None without labels.
        order: Names of the inputs in their order, if `forward` takes them by position, as in Keras; empty if by name.
        in_list: Whether `forward` takes the inputs in a list: all inputs by position, or z by name.
        label_form: Form of the label.
        classes: Number of classes.
        constants: Further arguments of `forward`, by name.
        truncation_name: Parameter of `forward` that receives the truncation; None without one.
        output: Position or name of the output, if `forward` returns several; None for the only one.
    """

    z_name: str
    z_shape: tuple[int, ...]
    label_name: str | None
    label_form: LabelForm
    classes: int
    constants: Mapping[str, Any]
    truncation_name: str | None
    output: str | None
    order: tuple[str, ...] = ()
    in_list: bool = False

    @property
    def z_dim(self) -> int:
        """Length of z."""
        return int(torch.Size(self.z_shape).numel())


class Adapter(nn.Module):
    """A network with the inputs z [n, z_dim], label [n] and truncation [1], and one output."""

    def __init__(self, network: nn.Module, call: Call) -> None:
        """
        Args:
            network: The network.
            call: How the network is called.
        """
        super().__init__()
        self.network, self.call = network, call
        floats = [value for value in (*network.parameters(), *network.buffers()) if value.is_floating_point()]
        self.dtype = floats[0].dtype if floats else torch.float32
        self.device = floats[0].device if floats else torch.device("cpu")

    def forward(self, z: Tensor, *others: Tensor) -> Tensor:
        """Run the network.

        Args:
            z: float32[n, z_dim].
            others: The label int64[n] and the truncation float32[1], each if the network has one.
        """
        call = self.call
        rest = list(others)
        arguments: dict[str, Any] = dict(call.constants)
        arguments[call.z_name] = z.reshape(z.shape[0], *call.z_shape).to(self.dtype)
        if call.label_name is not None:
            arguments[call.label_name] = _label(rest.pop(0), call, self.dtype)
        if call.truncation_name is not None:
            arguments[call.truncation_name] = rest.pop(0).to(self.dtype)
        if not call.order:
            if call.in_list:
                arguments[call.z_name] = [arguments[call.z_name]]
            return _single_output(self.network(**arguments), call.output)
        values = [arguments[name] for name in call.order]
        return _single_output(self.network(values) if call.in_list else self.network(*values), call.output)


def find_call(
    network: nn.Module,
    options: ImportOptions,
    z_shape: tuple[int, ...] | None = None,
    inputs: Mapping[str, Any] | None = None,
    lengths: Mapping[str, int] | None = None,
) -> Call:
    """Find out how a network is called, by trial.

    Args:
        network: The network, in evaluation mode.
        options: Options of the import: `z_dim`, `z_input`, `classes`, `label_input`, `truncation_input`, `output`.
        z_shape: Shape of one row of z; None to find the shape.
        inputs: Constants for further parameters of `forward`, beside those of `options`.
        lengths: Numbers that may be the length of z, by name.

    Raises:
        UserError: No way to call the network works, or an option is missing.
    """
    z_name, label_name, constants = _parameters(network, options, inputs or {})
    by_position = _forward_parameters(network) is None
    failure: Exception | None = None
    for shape in _z_shapes(network, options, z_shape, lengths or {}):
        call = Call(
            z_name=z_name,
            z_shape=shape,
            label_name=label_name,
            label_form="integer",
            classes=len(options.classes or ()),
            constants=constants,
            truncation_name=options.truncation_input,
            output=options.output,
        )
        for variant in _variants(call, by_position):
            try:
                _try(network, variant)
            except UserError:
                raise
            except Exception as error:  # of the network
                failure = failure or error
                continue
            return variant
    if options.z_dim is None and z_shape is None:
        raise UserError(
            "option missing: the length of z is not known; pass it, or the shape of z" + _reason(failure),
            field="z_dim",
            reason="z_dim_missing",
            other_fields=("z_shape",),
        )
    raise UserError(f"the network does not run{_reason(failure)}", field="network", reason="network_fails")


def example_inputs(call: Call, batch: int, device: torch.device) -> tuple[Tensor, ...]:
    """Return inputs of `Adapter.forward`: random z, label 0, truncation 1.

    Args:
        call: How the network is called.
        batch: Number of rows.
        device: Device of the network.
    """
    inputs = [torch.randn(batch, call.z_dim, generator=torch.Generator().manual_seed(0)).to(device)]
    if call.label_name is not None:
        inputs.append(torch.zeros(batch, dtype=torch.int64, device=device))
    if call.truncation_name is not None:
        inputs.append(torch.ones(1, device=device))
    return tuple(inputs)


def _reason(failure: Exception | None) -> str:
    return "" if failure is None else f": {one_line(f'{type(failure).__name__}: {failure}', 200)}"


def _try(network: nn.Module, call: Call) -> None:
    """Run the network on two rows, or on one if it accepts only one."""
    adapter = Adapter(network, call)
    failure: Exception | None = None
    for batch in _TRIED_BATCHES:
        try:
            with torch.no_grad():
                output = adapter(*example_inputs(call, batch, adapter.device))
        except UserError:
            raise
        except Exception as error:  # of the network
            failure = failure or error
            continue
        if output.ndim == 0 or (output.shape[0] != batch and batch > 1):
            failure = failure or ValueError(f"the output of a batch of {batch} is {list(output.shape)}")
            continue
        return
    assert failure is not None
    raise failure


def _forward_parameters(network: nn.Module) -> dict[str, bool] | None:
    """Return the parameters of `forward`, and whether each is required; None for `forward(*args, **kwargs)`, as in Keras."""
    parameters = inspect.signature(network.forward).parameters.values()
    named = [value for value in parameters if value.kind not in (value.VAR_POSITIONAL, value.VAR_KEYWORD)]
    return {value.name: value.default is value.empty for value in named} or None


def _variants(call: Call, by_position: bool) -> Iterator[Call]:
    """Yield the call with each form of the label, with z alone and in a list, and in each order if the inputs have no names."""
    for form in _LABEL_FORMS if call.label_name is not None else _LABEL_FORMS[:1]:
        formed = replace(call, label_form=form)
        if not by_position:
            yield formed
            yield replace(formed, in_list=True)  # the styles of StyleGAN2
            continue
        names = (call.z_name,) if call.label_name is None else (call.z_name, call.label_name)
        for order in dict.fromkeys((names, names[::-1])):
            for in_list in (True, False) if len(names) > 1 else (False,):
                yield replace(formed, order=order, in_list=in_list)


def _parameters(
    network: nn.Module, options: ImportOptions, inputs: Mapping[str, Any]
) -> tuple[str, str | None, dict[str, Any]]:
    """Return the parameters of `forward` that receive z and the label, and the constants for others."""
    parameters = _forward_parameters(network)
    if parameters is None:
        _check_no_names(options, inputs)
        return "z", "label" if options.classes is not None else None, {}
    names = list(parameters)
    constants: dict[str, Any] = {key: _constant(values) for key, values in options.constants.items()}
    constants |= inputs
    for name in (*options.z_input, options.label_input, options.truncation_input, *constants):
        if name is not None and name not in names:
            field = "set" if name in constants else "label_input" if name == options.label_input else "z_input"
            field = "truncation_input" if name == options.truncation_input else field
            raise UserError(f"forward has no parameter {name!r}, only {', '.join(names)}", field=field, reason="unknown_input")
    free = [name for name in names if name not in constants and name != options.truncation_input]
    label = options.label_input
    if label is None and options.classes is not None:
        named = [name for name in free[:1] + free[1:] if _LABEL_NAME.fullmatch(name)]
        label = next(iter(named or free[1:2]), None)
        if label is None:
            raise UserError("forward has no parameter for the label", field="classes", reason="no_label")
    rest = [name for name in free if name != label]
    z = options.z_input[0] if options.z_input else next(iter(rest), None)
    if z is None:
        raise UserError("forward has no parameter for z", field="network", reason="no_z_input")
    required = (
        {name for name, is_required in parameters.items() if is_required}
        - {z, label, options.truncation_input}
        - constants.keys()
    )
    for name in sorted(required):
        if options.classes is None and _LABEL_NAME.fullmatch(name) and getattr(network, "c_dim", None) == 0:
            constants[name] = None  # StyleGAN without classes
        elif options.classes is None and _LABEL_NAME.fullmatch(name):
            raise UserError(
                f"option missing: forward has the parameter {name!r}; pass the number of classes or their names",
                field="classes",
                reason="classes_missing",
            )
        else:
            raise UserError(
                f"option missing: forward needs {name!r}; bind it to a constant", field="set", reason="input_not_bound"
            )
    return z, label, constants


def _check_no_names(options: ImportOptions, inputs: Mapping[str, Any]) -> None:
    named = {
        "set": (*options.constants, *inputs),
        "z_input": options.z_input,
        "label_input": options.label_input,
        "truncation_input": options.truncation_input,
    }
    for field, value in named.items():
        if value:
            raise UserError("forward has no parameters with names", field=field, reason="unknown_input")


def _constant(values: tuple[float, ...]) -> Any:
    """Return one number or a list. Whole numbers are integers, which networks use as counts."""
    numbers = [int(value) if value.is_integer() else value for value in map(float, values)]
    return numbers[0] if len(numbers) == 1 else numbers


def _z_shapes(
    network: nn.Module, options: ImportOptions, z_shape: tuple[int, ...] | None, named: Mapping[str, int]
) -> Iterator[tuple[int, ...]]:
    if z_shape is not None:
        if options.z_dim not in (None, torch.Size(z_shape).numel()):
            raise UserError("the shape of z has another number of values", field="z_dim", reason="z_dim_mismatch")
        yield z_shape
        return
    if options.z_dim is None:
        yield from _declared_shapes(network)
    lengths = [options.z_dim] if options.z_dim is not None else _lengths(network, len(options.classes or ()), named)
    for length in lengths:
        yield from ((length,), (length, 1, 1), (1, length), (1, 1, length))


def _declared_shapes(network: nn.Module) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of one row of the inputs that a Keras model declares."""
    for value in getattr(network, "inputs", None) or ():
        row = tuple(getattr(value, "shape", ()))[1:]
        if row and all(isinstance(size, int) for size in row):
            yield row


def _lengths(network: nn.Module, classes: int, named: Mapping[str, int]) -> list[int]:
    """Return numbers that may be the length of z: attributes and arguments of usual names, and widths of the first layers."""
    found = [named.get(name, getattr(network, name, None)) for name in _LENGTH_NAMES]
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.modules.conv._ConvTransposeNd)]
    widths = [layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels for layer in layers[:_TRIED_LAYERS]]
    found += [width for full in widths for width in ((full, full - classes) if classes else (full,))]
    numbers = [value for value in found if isinstance(value, int) and not isinstance(value, bool) and value > 0]
    return list(dict.fromkeys(numbers))


def _label(label: Tensor, call: Call, dtype: torch.dtype) -> Tensor:
    if call.label_form == "integer":
        return label
    if call.label_form == "column":
        return label[:, None].to(dtype)
    one_hot = nn.functional.one_hot(label, call.classes).to(dtype)
    return one_hot if call.label_form == "one_hot" else one_hot[:, :, None, None]


def _single_output(result: Any, output: str | None) -> Tensor:
    """Return the tensor that holds the images or samples."""
    if isinstance(result, Tensor):
        tensors: dict[str, Tensor] = {"0": result}
    elif isinstance(result, Mapping):
        tensors = {str(key): value for key, value in result.items() if isinstance(value, Tensor)}
    elif isinstance(result, list | tuple):
        tensors = {str(i): value for i, value in enumerate(result) if isinstance(value, Tensor)}
    else:
        tensors = {}
    if output is None and len(tensors) == 1:
        return next(iter(tensors.values()))
    if output is None and tensors:
        raise UserError(
            f"option missing: the network returns {', '.join(f'{k} {list(v.shape)}' for k, v in tensors.items())}",
            field="output",
            reason="output_missing",
        )
    if output not in tensors:
        raise UserError(
            f"the network returns no tensor {output!r}, only {', '.join(tensors) or 'other objects'}",
            field="output",
            reason="unknown_output",
        )
    return tensors[output]
