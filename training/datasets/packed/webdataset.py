"""WebDataset: tar files whose members with the same key form one example, such as 0001.jpg and 0001.cls."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.packed.files import File, Files, is_hidden
from seedmint.training.datasets.packed.folders import IMAGE_SUFFIXES
from seedmint.training.datasets.packed.source import Record, Source

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_JSON_LABELS = ("label", "class", "cls", "class_name")


def open_webdataset(files: Files, chosen: Sequence[File], classes: tuple[str, ...] | None) -> Source:
    """List tar files.

    Args:
        files: The source.
        chosen: The tar files, in their order.
        classes: Name of each label; None if the labels are the classes.
    """
    return Source(files, None, classes, (), partial(_records, files, chosen, classes is not None))


def _records(files: Files, chosen: Sequence[File], numbered: bool) -> Iterator[Record]:
    found = False
    for file in chosen:
        for record in _examples(files, file, numbered):
            found = True
            yield record
    if not found:
        raise DataError(
            f"{files.location} holds no images ({', '.join(IMAGE_SUFFIXES)})", field="data.path", reason="no_images"
        )


def _examples(files: Files, file: File, numbered: bool) -> Iterator[Record]:
    """Yield the examples of one tar file. The members of an example follow each other."""
    try:
        with files.open(file) as opened, tarfile.open(fileobj=opened, mode="r|*") as archive:
            key: tuple[str, str] | None = None
            parts: dict[str, bytes] = {}
            for member in archive:
                if not member.isfile() or is_hidden(member.name):
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, _, extension = name.partition(".")
                if (folder, stem) != key:
                    yield from _example(file, key, parts, numbered)
                    key, parts = (folder, stem), {}
                parts[f".{extension.lower()}"] = _content(archive, member)
            yield from _example(file, key, parts, numbered)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{file.name} is not a readable tar file: {error}", field="data.path", reason="unreadable") from None


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream: IO[bytes] | None = archive.extractfile(member)
    return b"" if stream is None else stream.read()


def _example(file: File, key: tuple[str, str] | None, parts: dict[str, bytes], numbered: bool) -> Iterator[Record]:
    image = next((extension for extension in parts if extension.endswith(IMAGE_SUFFIXES)), None)
    if key is None or image is None:
        return
    label = _label(parts)
    if numbered and isinstance(label, str) and label.isdecimal():
        label = int(label)
    yield Record(f"{file.name}:{'/'.join(part for part in key if part)}{image}", label, partial(bytes, parts[image]))


def _label(parts: dict[str, bytes]) -> str | int | None:
    for extension in (".cls", ".cls.txt", ".label"):
        if extension in parts:
            return parts[extension].decode(errors="replace").strip()
    if ".json" in parts:
        try:
            document = json.loads(parts[".json"])
        except ValueError:
            return None
        if isinstance(document, dict):
            return next((str(document[key]) for key in _JSON_LABELS if isinstance(document.get(key), str | int)), None)
    return None
