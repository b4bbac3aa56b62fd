"""Copies generators between this machine and places: `models push` and `models pull`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.models.places import is_url, is_web_file, place_name
from seedmint.models.runtime.generator_file import DIGEST12, checked_card, digest_of, read_content
from seedmint.service.places.object_store import ObjectStore
from seedmint.service.places.remote_place import described


@dataclass(frozen=True, slots=True)
class Transfer:
    """The result of a push or a pull.

    Attributes:
        name: Name of the generator.
        digest: SHA-256 of the file.
        target: The file that was written.
        size: Size of the file in bytes.
        is_new: Whether the file was written; False if it was there.
    """

    name: str
    digest: str
    target: str
    size: int
    is_new: bool


def push_file(path: Path, place: str) -> Transfer:
    """Copy a generator file to a place, as NAME@DIGEST12.onnx.

    Args:
        path: The file.
        place: A folder, or the URL of a prefix of an object store.

    Raises:
        UserError: The file is not a generator, the place cannot be written, or it has another file of this name.
        OSError: The file is not readable, or the folder is not writable.
    """
    content = read_content(path)
    name, digest = checked_card(content).name, digest_of(content)
    target = f"{name}@{digest[:DIGEST12]}.onnx"
    if not is_url(place):
        return _write_to_folder(Path(place) / target, name, digest, content)
    if is_web_file(place):
        raise UserError(
            f"{place_name(place)} is one file of a web server, which cannot be written", field="place", reason="read_only"
        )
    try:
        is_new = _write_to_store(ObjectStore(place), target, digest, content)
    except UserError as error:
        error.field = "place"
        raise
    except Exception as error:  # each library has its own errors
        shown = described(error)
        raise UserError(f"{place} cannot be written: {shown}", field="place", reason=shown.reason) from error
    return Transfer(name, digest, f"{place.rstrip('/')}/{target}", len(content), is_new)


def _write_to_folder(target: Path, name: str, digest: str, content: bytes) -> Transfer:
    if not target.parent.is_dir():
        raise UserError(f"{target.parent} is not a directory", field="place", reason="not_found")
    present = target.with_name(f"{name}.onnx")
    if present.is_file() and digest_of(present.read_bytes()) == digest:
        return Transfer(name, digest, str(present), len(content), False)
    is_new = not target.exists()
    if is_new:
        write_whole(target, content)
    elif digest_of(target.read_bytes()) != digest:
        raise _other_file(str(target))
    return Transfer(name, digest, str(target), len(content), is_new)


def _write_to_store(store: ObjectStore, target: str, digest: str, content: bytes) -> bool:
    """Write an object in one request, and check it. Return False if the store has the object already.

    Raises:
        UserError: The store has another object of this name, or something else arrived there.
    """
    path = f"{store.path}/{target}"
    store.system.invalidate_cache()
    if store.system.exists(path):
        if _digest(store, path) != digest:
            raise _other_file(f"{store.url}/{target}")
        return False
    if store.url.startswith("hf://"):
        store.system.pipe_file(path, content)
    else:
        try:
            store.system.pipe_file(path, content, mode="create", **_one_request(store, content))
        except FileExistsError:  # another push was faster
            pass
        except (NotImplementedError, TypeError):  # a store without conditional writes, or its library
            store.system.pipe_file(path, content, **_one_request(store, content))
    store.system.invalidate_cache()
    if _digest(store, path) != digest:
        raise UserError(
            f"{store.url}/{target} has other bytes than were sent: remove the object, and push again",
            field="place",
            reason="wrong_digest",
        )
    return True


def _one_request(store: ObjectStore, content: bytes) -> dict[str, Any]:
    """Return options that let S3 write a file in one request: s3fs divides large files otherwise."""
    protocols = store.system.protocol
    return {"chunksize": max(len(content), 5 << 20)} if "s3" in protocols else {}


def _digest(store: ObjectStore, path: str) -> str:
    sha256 = hashlib.sha256()
    with store.system.open(path, "rb") as file:
        while chunk := file.read(4 << 20):
            sha256.update(chunk)
    return sha256.hexdigest()


def _other_file(target: str) -> UserError:
    return UserError(
        f"{target} is another file, which its name does not describe: remove or rename it first",
        field="place",
        reason="name_exists",
    )
