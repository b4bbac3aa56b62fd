"""How this copy of Seedmint was installed, and the command that adds an extra to it."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Literal
from urllib.parse import unquote, urlsplit

_ROOT = Path(__file__).resolve().parents[1]  # the checkout, or `seedmint/` of an installed copy
_MAKE = {"serve": "make serve", "batch": "make install", "train": "make install"}
_UV_CACHE = frozenset({"archive-v0", "environments-v2"})  # folders with the temporary environments of `uvx`
_RUNTIMES = ("cpu", "gpu")

Installer = Literal["make", "pip", "pipx", "uv", "uv tool", "uvx"]


def is_installed() -> bool:
    """Return whether this is an installed copy, in contrast to a checkout, an editable installation or a bento."""
    return not (_ROOT / "pyproject.toml").is_file()


def installer(prefix: Path | None = None) -> Installer:
    """Return the program that adds packages to an environment.

    Args:
        prefix: Directory of the environment; None for the environment of this process.
    """
    directory = Path(sys.prefix) if prefix is None else prefix
    if prefix is None and (_ROOT / "Makefile").is_file():
        return "make"
    if (directory / "pipx_metadata.json").is_file():
        return "pipx"
    if (directory / "uv-receipt.toml").is_file():
        return "uv tool"
    if _UV_CACHE & set(directory.parts):
        return "uvx"
    with suppress(OSError):
        if (
            re.search("^uv = ", (directory / "pyvenv.cfg").read_text(encoding="utf-8"), re.MULTILINE)
            and find_spec("pip") is None
        ):
            return "uv"
    return "pip"


def install_command(*extras: str) -> str:
    """Return the command that adds extras to this copy of Seedmint.

    The command also installs ONNX Runtime for the CPU, if an extra needs it and there is none.

    Args:
        extras: Extras of pyproject.toml.
    """
    program = installer()
    is_needed = not {"client", *_RUNTIMES} & set(extras)
    if is_needed and (
        program == "uvx" or find_spec("onnxruntime") is None
    ):  # an environment of uvx is not changed, but replaced
        extras = (*extras, "cpu")
    return command_text(program, extras, _source(), Path(sys.prefix))


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Name the command that installs an extra in the error of an import that fails in the block.

    Args:
        extra: The extra that has the packages.

    Raises:
        ModuleNotFoundError: A package is not installed. The message has the command.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "seedmint":
            raise
        command = install_command("cpu" if error.name == "onnxruntime" else extra)
        raise ModuleNotFoundError(f"{error.name} is not installed: run `{command}`", name=error.name) from None


def command_text(program: Installer, extras: Sequence[str], source: str, prefix: Path) -> str:
    """Return the command that adds extras.

    Args:
        program: The program that adds packages.
        extras: The extras to add.
        source: "seedmint", or the path or URL of a wheel or a checkout.
        prefix: Directory of the environment.
    """
    if program == "make":
        if len(set(map(_MAKE.get, extras))) == 1 and extras[0] in _MAKE:
            return _MAKE[extras[0]]
        return f"{quote(sys.executable)} -m pip install -e {quote(_with_extras(str(_ROOT), extras))}"
    if program in ("pipx", "uv tool", "uvx"):  # these replace the environment: keep its extras
        kept = _recorded_extras(program, prefix)
        requirement = quote(_with_extras(source, [*kept, *(extra for extra in extras if extra not in kept)]))
        return {
            "pipx": f"pipx install --force {requirement}",
            "uv tool": f"uv tool install {requirement}",
            "uvx": f"uvx --from {requirement} seedmint",
        }[program]
    return f"{'uv pip' if program == 'uv' else 'pip'} install {quote(_with_extras(source, extras))}"


def _with_extras(source: str, extras: Sequence[str]) -> str:
    names = f"[{','.join(extras)}]"
    return f"seedmint{names} @ {source}" if "://" in source else f"{source}{names}"


def _source() -> str:
    """Return the source of this copy: "seedmint", or the file, directory or URL that it was installed from."""
    try:
        text = distribution("seedmint").read_text("direct_url.json")
    except PackageNotFoundError:
        return "seedmint"
    if text is None:
        return "seedmint"
    record = json.loads(text)
    if "vcs_info" in record:
        return f"{record['vcs_info']['vcs']}+{record['url']}"
    url = urlsplit(str(record["url"]))
    return unquote(url.path) if url.scheme == "file" else url.geturl()


def _recorded_extras(program: Installer, prefix: Path) -> list[str]:
    """Return the extras that pipx or uv recorded for the environment."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if program == "pipx":
            record = json.loads((prefix / "pipx_metadata.json").read_text(encoding="utf-8"))
            found = re.search(r"\[([^\]]*)\]$", record["main_package"]["package_or_url"])
            return [name.strip() for name in found[1].split(",")] if found else []
        if program == "uv tool":
            receipt = tomllib.loads((prefix / "uv-receipt.toml").read_text(encoding="utf-8"))
            entries = [entry for entry in receipt["tool"]["requirements"] if entry["name"] == "seedmint"]
            return [str(name) for entry in entries for name in entry.get("extras", [])]
    return []
