"""Imports a network: exports it to ONNX, imports the file, and compares the result with the network."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seedmint.from_torch.calling import Adapter, example_inputs, find_call
from seedmint.from_torch.network import build_network
from seedmint.from_torch.onnx_files import export_attempts, export_error
from seedmint.from_torch.weights import load_weights
from seedmint.models.errors import UserError
from seedmint.models.provenance import OriginalFile
from seedmint.service.importer.comparison import Original, Run
from seedmint.service.importer.importing import ImportedGenerator, import_files
from seedmint.service.importer.options import DEFAULT_TRIAL, ImportOptions, TrialSettings
from seedmint.service.importer.provenance import given_options, original_file

# Errors of one export that another export may not have.
_RETRIED = {"does_not_run", "original_mismatch", "not_reproducible", "opset_not_supported", "invalid_graph", "custom_domain"}


def import_checkpoint(
    path: Path,
    network: str,
    arguments: Mapping[str, str],
    options: ImportOptions,
    z_shape: tuple[int, ...] | None = None,
    settings: TrialSettings = DEFAULT_TRIAL,
) -> ImportedGenerator:
    """Import a checkpoint: build its network with the code of its project, load the weights, and import the network.

    Args:
        path: A checkpoint of `torch.save`, or a safetensors file.
        network: `FILE.py:NAME` or `package.module:NAME`. This code runs.
        arguments: Arguments of NAME: Python literals, or text.
        options: Options of the import.
        z_shape: Shape of one row of z; None to find the shape by trial.
        settings: Settings of the trial runs.

    Raises:
        UserError: The code or the weights do not fit, or the network cannot be imported.
        OSError: A file cannot be read.
    """
    module = build_network(network, arguments)
    place = load_weights(module, path)
    lengths = {key: int(text) for key, text in arguments.items() if text.isdecimal()}
    file = original_file(path, "pytorch" if path.suffix != ".safetensors" else "safetensors")
    given = _network_for_card(network, arguments) | ({"weights": place} if place else {}) | given_options(options)
    imported = import_module(module, options, z_shape, lengths=lengths, files=(file,), given=given, settings=settings)
    finding = f"weights: {place}" if place else "weights: the whole file"
    return replace(imported, findings=(finding, *imported.findings))


def _network_for_card(network: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the code of a network and its arguments, without folders of this machine: the service publishes the card."""
    source, _, name = network.rpartition(":")
    found: dict[str, Any] = {"network": network}
    if source.endswith(".py"):
        found = {"network": f"{Path(source).name}:{name}", "network_sha256": original_file(Path(source)).sha256}
    texts = {key: Path(text).name if Path(text).is_absolute() else text for key, text in arguments.items()}
    return found | {"arguments": texts}


def import_module(
    module: nn.Module,
    options: ImportOptions,
    z_shape: tuple[int, ...] | None = None,
    inputs: Mapping[str, Any] | None = None,
    lengths: Mapping[str, int] | None = None,
    files: tuple[OriginalFile, ...] = (),
    given: Mapping[str, Any] | None = None,
    settings: TrialSettings = DEFAULT_TRIAL,
) -> ImportedGenerator:
    """Import a network in evaluation mode. Its modes of training are restored afterwards.

    Args:
        module: The network.
        options: Options of the import.
        z_shape: Shape of one row of z; None to find the shape by trial.
        inputs: Constants for further parameters of `forward`, beside those of `options`.
        lengths: Numbers that may be the length of z, by name.
        files: Files of the weights, for the card.
        given: Options of the import, for the card; None for those of `options` and the class of the module.
        settings: Settings of the trial runs.

    Raises:
        UserError: The network cannot be exported or imported, or the result differs from the network.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise UserError(
            'a TorchScript module: export it with torch.onnx.export(module, (z,), "g.onnx", dynamo=False), and add the file',
            field="module",
            reason="torchscript_file",
        )
    with evaluation_mode(module):
        call = find_call(module, options, z_shape, inputs, lengths)
        adapter = Adapter(module, call)
        is_random = _is_random(adapter)
        if is_random and options.noise is None:
            raise UserError(
                "the network gives different outputs for the same z: make its noise constant, or bind it to constants",
                field="noise",
                reason="random_operator",
            )
        if given is None:
            given = {"network": f"{type(module).__module__}.{type(module).__qualname__}"} | given_options(options)
        original = Original(None if is_random else _runner(adapter), files, dict(given))
        labelled = call.label_name is not None
        graph_options = replace(
            options,
            z_dim=None,
            z_input=("z",),
            label_input="label" if labelled else None,
            truncation_input="truncation" if call.truncation_name is not None else None,
            constants={},
            output=None,
        )
        imported = _first_success(adapter, graph_options, settings, original)
    shape = "x".join(map(str, call.z_shape))
    return replace(imported, findings=(f"forward({call.z_name}): n x {shape}", *imported.findings))


def _first_success(adapter: Adapter, options: ImportOptions, settings: TrialSettings, original: Original) -> ImportedGenerator:
    """Import the first export that works and gives the outputs of the network."""
    failures: list[str] = []
    last: UserError | None = None
    for name, export in export_attempts(adapter):
        with tempfile.TemporaryDirectory(prefix="seedmint-") as folder:
            path = Path(folder) / "network.onnx"
            try:
                with torch.no_grad():
                    export(path)
            except Exception as error:  # torch raises many types
                failures.append(f"{name}: {export_error(error)}")
                continue
            try:
                exported = {"export": name, "torch": str(torch.__version__)}
                imported = import_files([path], options, settings, replace(original, options=original.options | exported))
            except UserError as error:
                if error.reason not in _RETRIED:
                    raise
                last = error
                failures.append(f"{name}: {error}")
                continue
            return replace(imported, findings=(f"export: {name}", *imported.findings))
    if last is not None:
        raise last
    raise UserError(f"torch cannot export the network: {'; '.join(failures)}", field="network", reason="export_fails")


def _runner(adapter: Adapter) -> Run:
    def run(z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[Any]:
        inputs = [torch.from_numpy(z)]
        if labels is not None:
            inputs.append(torch.from_numpy(labels))
        if adapter.call.truncation_name is not None:
            inputs.append(torch.ones(1))
        with torch.no_grad():
            row = adapter(*(value.to(adapter.device) for value in inputs))[0]
        return np.asarray(row.float().cpu() if row.is_floating_point() else row.cpu())

    return run


def _is_random(adapter: Adapter) -> bool:
    inputs = example_inputs(adapter.call, 1, adapter.device)
    with torch.no_grad():
        return not torch.equal(adapter(*inputs), adapter(*inputs))


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Return a context in which a module and all its parts are in evaluation mode.

    Args:
        module: The module.
    """
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
