"""Builds a network from the code of its project. The code runs only because the user names it."""

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from seedmint.models.errors import UserError, one_line
from seedmint.models.places import is_possible_path


def build_network(network: str, arguments: Mapping[str, str]) -> nn.Module:
    """Run the code of a network and return the network, with random weights.

    Args:
        network: `FILE.py:NAME` or `package.module:NAME`; NAME is a class or a function that returns a module.
        arguments: Arguments of NAME: Python literals, or text.

    Raises:
        UserError: There is no such file or name, the code fails, or the result is no module.
    """
    source, separator, name = network.rpartition(":")
    if not separator or not source or not name:
        raise UserError(f"{network!r} must be like netg.py:Generator", field="network", reason="wrong_network")
    namespace: Any = _run_file(Path(source)) if source.endswith(".py") else _import_module(source)
    factory = namespace
    for part in name.split("."):
        factory = getattr(factory, part, None)
    if not callable(factory):
        raise UserError(f"{source} has no class {name!r}{_classes_of(namespace)}", field="network", reason="unknown_network")
    values = {key: _value(text) for key, text in arguments.items()}
    try:
        module = factory(**values) if not isinstance(factory, nn.Module) else factory
    except Exception as error:  # of the user's code
        raise UserError(
            f"{name}{_signature(factory)} fails: {_text(error)}; pass its arguments",
            field="network",
            reason="network_fails",
            other_fields=("arg",),
        ) from None
    if not isinstance(module, nn.Module):
        raise UserError(f"{name} returns {type(module).__name__}, not a torch module", field="network", reason="not_a_module")
    return module


def _run_file(path: Path) -> Any:
    if not is_possible_path(path) or not path.is_file():
        raise UserError(f"{one_line(path)} does not exist", field="network", reason="not_found")
    folder = str(path.resolve().parent)
    if folder not in sys.path:  # the file may import its neighbours, also when the network runs
        sys.path.insert(0, folder)
    # Not under the name of the file, which may be the name of another module.
    spec = importlib.util.spec_from_file_location(f"seedmint_network_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # of the user's code
        raise UserError(f"{path} fails: {_text(error)}", field="network", reason="network_fails") from None
    return module


def _import_module(name: str) -> Any:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UserError(f"there is no Python module {name!r}", field="network", reason="not_found") from None
        raise UserError(f"{name} fails: {_text(error)}", field="network", reason="network_fails") from None
    except Exception as error:  # of the user's code
        raise UserError(f"{name} fails: {_text(error)}", field="network", reason="network_fails") from None


def _classes_of(namespace: Any) -> str:
    names = [key for key, value in vars(namespace).items() if isinstance(value, type) and issubclass(value, nn.Module)]
    return f", only {', '.join(names)}" if names else ""


def _value(text: str) -> Any:
    """Return a Python literal, such as 100, 0.2, (4, 8) or None; other text is a string."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {"true": True, "false": False}.get(text.lower(), text)


def _signature(factory: Any) -> str:
    try:
        return str(inspect.signature(factory))
    except (TypeError, ValueError):
        return ""


def _text(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}", 200)
