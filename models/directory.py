"""The models directory, and generator files by name or path.

A checkout, a bento and an image serve the generators of their own folder. An installed copy has them in the data directory of
the user, because an update of the package would remove files from site-packages.
"""

import hashlib
import json
import os
import re
from difflib import get_close_matches
from pathlib import Path

from seedmint.models.errors import UserError, one_line
from seedmint.models.files import write_whole
from seedmint.models.installation import is_installed
from seedmint.models.places import first_folder, is_possible_path, split_places
from seedmint.models.seeds import quoted

_VERSION = re.compile(r"([^/@]+)@([0-9a-f]{12,64})", re.ASCII)
SHIPPED = Path(__file__).resolve().parent
_DIGEST12 = 12  # hexadecimal digits of the digest in a file name


def models_directory() -> Path:
    """Return the models directory: the first folder of `$SEEDMINT_MODELS`, or the default directory.

    Raises:
        UserError: The default directory is not writable, or all places are URLs.
    """
    places = split_places(os.environ.get("SEEDMINT_MODELS", ""))
    return first_folder(places) if places else default_directory()


def default_directory() -> Path:
    """Return the models directory without `SEEDMINT_MODELS`.

    In an installed copy this is a folder in the data directory of the user. It receives the shipped generators when Seedmint is
    first used, and the new ones after an update.

    Raises:
        UserError: The folder is not writable.
    """
    if not is_installed():
        return SHIPPED
    from platformdirs import user_data_path

    data = user_data_path("seedmint", appauthor=False)
    try:
        copy_shipped(data / "models", data / "shipped.json")
    except OSError as error:
        raise UserError(
            f"{error.filename or data} is not writable ({error.strerror}): set SEEDMINT_MODELS to a directory of generators",
            field="models",
            reason="not_writable",
        ) from None
    return data / "models"


def copy_shipped(directory: Path, record: Path) -> None:
    """Copy the shipped generators that were never copied before. Files of the user are never replaced.

    A shipped generator replaces the shipped generator of the same name of an earlier version, which stays at its pinned URL as
    NAME@DIGEST12.onnx.

    Args:
        directory: The folder that receives the files.
        record: File with the sizes of the shipped files of the last call, and the digests of all files that were copied.

    Raises:
        OSError: The folder or the file is not writable.
    """
    shipped = sorted(SHIPPED.glob("*.onnx"))
    sizes = {path.name: path.stat().st_size for path in shipped}
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        known = {"sizes": {}, "digests": []}
    if known["sizes"] == sizes:
        return
    copied = set(known["digests"])
    directory.mkdir(parents=True, exist_ok=True)
    for path in shipped:
        content, target = path.read_bytes(), directory / path.name
        if (digest := hashlib.sha256(content).hexdigest()) in copied:
            continue  # the user may have removed or replaced it
        if target.exists():
            before = target.read_bytes()
            former = hashlib.sha256(before).hexdigest()
            if former not in copied:
                continue
            write_whole(directory / f"{path.stem}@{former[:_DIGEST12]}.onnx", before)
        write_whole(target, content)
        copied.add(digest)
    write_whole(record, json.dumps({"sizes": sizes, "digests": sorted(copied)}).encode())


def find_version(reference: str, directory: Path) -> Path:
    """Return the file of a generator, of any version or of one.

    Args:
        reference: A name, a path, or NAME@DIGEST with at least twelve digits of the SHA-256 of the file.
        directory: The models directory, where names are looked up: NAME.onnx, or NAME@DIGEST12.onnx for an older version.

    Raises:
        UserError: There is no such file or no such version.
        OSError: The file is not readable.
    """
    path, digest = locate_version(reference, directory)
    if digest is None:
        return path
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digest):
        name = reference.removesuffix(f"@{digest}")
        raise UserError(
            f"{path} is {name}@{found[:12]}, not {reference}: use that version, or restore the file of this one",
            field="model",
            reason="unknown_version",
        )
    return path


def locate_version(reference: str, directory: Path) -> tuple[Path, str | None]:
    """Return the file that a reference names, without reading it.

    Args:
        reference: As for `find_version`.
        directory: As for `find_version`.

    Returns:
        The file, and the digest that it must have, or its first digits; None if any version is accepted.

    Raises:
        UserError: There is no such file.
    """
    name, digest = split_version(reference)
    if digest is None:
        return find_generator(reference, directory), None
    older = directory / f"{name}@{digest[:12]}.onnx"
    return older if _is_file(older) else find_generator(name, directory), digest


def split_version(reference: str) -> tuple[str, str | None]:
    """Return the name and the digest of NAME@DIGEST, or the whole text and None.

    Args:
        reference: A name, or NAME@DIGEST.
    """
    version = _VERSION.fullmatch(reference)
    return (reference, None) if version is None else (version[1], version[2])


def find_generator(name_or_path: str, directory: Path) -> Path:
    """Return the file of a generator.

    Args:
        name_or_path: A name, or a path: text with a slash or with the suffix .onnx.
        directory: The models directory, where names are looked up.

    Raises:
        UserError: There is no such file. The message has the most similar name in `directory`, or all names.
    """
    if "/" in name_or_path or name_or_path.endswith(".onnx"):
        path = Path(name_or_path)
        if not _is_file(path):
            raise UserError(f"no generator file {one_line(path)}", field="model", reason="not_found")
        return path
    path = directory / f"{name_or_path}.onnx"
    if not _is_file(path):
        names = sorted(file.stem for file in directory.glob("*.onnx")) if is_possible_path(directory) else []
        nearest = get_close_matches(name_or_path, names, n=1)
        cure = f"did you mean {nearest[0]}?" if nearest else f"available: {', '.join(names) or 'none'}"
        message = f"no generator {quoted(name_or_path)} in {one_line(directory)}: {cure}"
        raise UserError(message, field="model", reason="not_found")
    return path


def _is_file(path: Path) -> bool:
    return is_possible_path(path) and path.is_file()
