"""Which version of each generator the URLs without a digest lead to."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file in service.

    Attributes:
        digest: SHA-256 of the file.
        modified: Time of the last change in seconds since 1970.
    """

    digest: str
    modified: float


def present_versions(
    files: Mapping[str, ServedFile], pins: Mapping[str, str], previous: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return the stem of the present version of each generator that is not simply NAME.onnx.

    The present version is the one that a file `aliases` pins; otherwise NAME.onnx; otherwise the file NAME@DIGEST12.onnx that
    was changed last. While a pinned version is not in service, the previous one stays.

    Args:
        files: The files in service, by stem.
        pins: Digest of the pinned version of a name, or its first digits, by name.
        previous: The last result.

    Returns:
        The stems by name, and the names whose pinned version is not in service.
    """
    versions: dict[str, list[str]] = {}
    for stem in files:
        versions.setdefault(stem.partition("@")[0], []).append(stem)
    present: dict[str, str] = {}
    missing: list[str] = []
    for name, stems in versions.items():
        pin = pins.get(name)
        pinned = [stem for stem in stems if pin is not None and files[stem].digest.startswith(pin)]
        if pinned:
            stem = min(pinned, key=len)  # NAME.onnx before NAME@DIGEST12.onnx
        else:
            if pin is not None:
                missing.append(name)
            stem = _unpinned(name, stems, files)
            if pin is not None and previous.get(name, name) in stems:
                stem = previous.get(name, name)
        if stem != name:
            present[name] = stem
    return present, missing


def _unpinned(name: str, stems: list[str], files: Mapping[str, ServedFile]) -> str:
    return name if name in stems else max(stems, key=lambda stem: (files[stem].modified, stem))
