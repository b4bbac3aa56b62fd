"""The checks of `seedmint doctor`: settings, libraries, processor, memory, generators, disk and port."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from seedmint.models.errors import UserError, one_line
from seedmint.models.installation import install_command
from seedmint.models.places import is_url, place_name
from seedmint.models.version import __version__
from seedmint.service.places.lookup import place_names, read_store
from seedmint.service.settings import Settings, SettingsError, read_settings, variable

State = Literal["ok", "note", "failed"]

_GIB = 1 << 30
_MIN_FREE_BYTES = _GIB
_LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "bentoml", "uvicorn", "pillow")
_EXTRAS = {"batch": ("pyarrow", "fsspec"), "train": ("torch", "matplotlib")}  # packages that show that an extra is installed
# Names of /proc/cpuinfo for features that change speed, and the results of some kernels.
_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16", "sve")
_SILENT = {"ORT_DISABLE_TELEMETRY": "1", "BENTOML_DO_NOT_TRACK": "true"}


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked.
        state: "ok"; "note" for a restriction; "failed" for an error that the user should correct.
        text: The finding.
        cure: What to do; None if there is nothing to do.
    """

    name: str
    state: State
    text: str
    cure: str | None = None


def run_checks(models: str | None) -> Iterator[Check]:
    """Yield the result of each check.

    Args:
        models: Models directory; None for the setting.
    """
    settings, errors = _valid_settings(dict(os.environ) | ({} if models is None else {variable("models"): models}))
    for error in errors:
        yield Check("settings", "failed", one_line(error), "correct or unset the variable")
    if not errors:
        yield Check("settings", "ok", "all variables SEEDMINT_… are valid")
    yield from _installation()
    yield _processor()
    yield _memory()
    yield _provider(settings)
    yield from _models(settings)
    yield from _disk(settings)
    yield _port(settings)
    yield _telemetry()


def _valid_settings(environment: dict[str, str]) -> tuple[Settings, list[SettingsError]]:
    """Return the settings without the invalid variables, and the error of each invalid variable."""
    errors: list[SettingsError] = []
    while True:
        try:
            return read_settings(environment), errors
        except SettingsError as error:
            errors.append(error)
            if environment.pop(variable(error.field or ""), None) is None:  # a default is invalid with another variable
                return Settings(), errors


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _installation() -> Iterator[Check]:
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Check("seedmint", "ok", f"{__version__}; {system}")
    versions = {package: found for package in _LIBRARIES if (found := _installed(package)) is not None}
    yield Check("libraries", "ok", ", ".join(f"{package} {found}" for package, found in versions.items()))
    if {"onnxruntime", "onnxruntime-gpu"} <= versions.keys():
        cure = f"uninstall both, then {install_command('cpu')}, or the same with gpu"
        yield Check("ONNX Runtime", "failed", "onnxruntime and onnxruntime-gpu install the same files", cure)
    for extra, packages in _EXTRAS.items():
        if missing := [package for package in packages if _installed(package) is None]:
            cure = f"{install_command(extra)} to use `seedmint {extra}`"
            yield Check(f"extra {extra}", "note", f"not installed: {', '.join(missing)}", cure)
        else:
            yield Check(f"extra {extra}", "ok", ", ".join(f"{package} {_installed(package)}" for package in packages))


def _processor() -> Check:
    from seedmint.models.runtime.processors import num_processors

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(values.get("flags", values.get("Features", "")).split())
    features = ", ".join(feature for feature in _FEATURES if feature in flags) or "unknown features"
    name = values.get("model name", platform.processor() or platform.machine())
    return Check("processor", "ok", f"{name}; {num_processors()} usable; {features}")


def _memory() -> Check:
    from seedmint.models.runtime.memory import container_memory, machine_memory

    machine = f"{machine_memory() / _GIB:.1f} GiB"
    container = container_memory()
    return Check(
        "memory", "ok", machine if container is None else f"{machine}; limit of the container {container.limit / _GIB:.1f} GiB"
    )


def _provider(settings: Settings) -> Check:
    from seedmint.models.runtime.provider import ProviderError, choose_provider

    try:
        choose_provider("cuda")
    except ProviderError as error:
        if settings.provider == "cuda":
            return Check("provider", "failed", one_line(error), "correct CUDA, or set SEEDMINT_PROVIDER=auto")
        return Check("provider", "ok", f"cpu ({one_line(error)})")
    return Check("provider", "ok", "cpu" if settings.provider == "cpu" else "cuda")


def _models(settings: Settings) -> Iterator[Check]:
    count = 0
    for place in settings.models:
        if is_url(place):
            check = _remote_place(place)
            count += check.state == "ok"
            yield check
            continue
        folder = Path(place)
        if not folder.is_dir():
            yield Check("models", "failed", f"{folder} is not a directory", "create the directory, or set SEEDMINT_MODELS")
            return
        paths = sorted(folder.glob("*.onnx"))
        count += len(paths)
        yield Check("models", "ok", f"{len(paths)} files in {folder}")
        for path in paths:
            yield _file(path, settings)
    if not count:
        cure = "add one: `seedmint models add FILE`, or `seedmint export RUN`"
        yield Check("models", "failed", f"no generator file in {place_names(settings)}", cure)


def _file(path: Path, settings: Settings) -> Check:
    from seedmint.models.runtime.generator_file import check_name
    from seedmint.service.runtime.generator import open_generator

    name = f"model {one_line(path.stem)}"
    try:
        generator = open_generator(path, settings.provider, settings.threads, settings.max_batch)
        check_name(generator.card, path, generator.digest)
    except (UserError, OSError) as error:
        return Check(name, "failed", one_line(error), "replace or remove the file")
    state: State = "ok" if generator.determinism == "exact" else "note"
    return Check(name, state, f"{generator.digest12} {generator.determinism} on {generator.provider}")


def _remote_place(url: str) -> Check:
    try:
        _, listing = read_store(url)
    except UserError as error:
        return Check("models", "failed", one_line(error), "check the URL, the network and the credentials of the store's tools")
    return Check("models", "ok", f"{len(listing.files)} files in {place_name(url)}, not downloaded")


def _disk(settings: Settings) -> Iterator[Check]:
    places = [*(("models", folder) for folder in settings.folders), ("temporary files", Path(tempfile.gettempdir()))]
    if any(map(is_url, settings.models)):
        places.append(("downloaded models", settings.models_cache))
    for name, directory in places:
        if not directory.is_dir():
            continue
        free = shutil.disk_usage(directory).free
        is_writable = os.access(directory, os.W_OK)
        text = f"{free / _GIB:.1f} GiB free in {directory}{'' if is_writable else '; read-only'}"
        if name == "temporary files" and not is_writable:
            yield Check(f"disk for {name}", "failed", text, "set TMPDIR to a directory that this user can write")
        elif free < _MIN_FREE_BYTES and is_writable:
            yield Check(f"disk for {name}", "note", text, "free some space before batch jobs and training")
        else:
            yield Check(f"disk for {name}", "ok", text)


def _port(settings: Settings) -> Check:
    from seedmint.service.server.listener import listen

    address = f"{settings.host} port {settings.port}"
    try:
        listen(settings).close()
    except SettingsError as error:
        return Check("port", "note", str(error.args[0]), "stop the other program, or set SEEDMINT_PORT")
    return Check("port", "ok", f"{address} is free")


def _telemetry() -> Check:
    sending = [name for name, value in _SILENT.items() if os.environ.get(name, value).lower() not in (value, "1", "true")]
    if sending:
        return Check("telemetry", "failed", f"switched on: {', '.join(sending)}", f"unset {' and '.join(sending)}")
    return Check("telemetry", "ok", "off for ONNX Runtime and BentoML")
