"""Finds a generator by name in all places, for commands. Only the file that is needed is downloaded."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from seedmint.models.directory import find_generator, find_version, split_version
from seedmint.models.errors import UserError
from seedmint.models.places import is_url, place_name
from seedmint.service.places.aliases import parse_aliases
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.folder_place import read_folder
from seedmint.service.places.merging import merge, merge_pins
from seedmint.service.places.present_versions import ServedFile, present_versions
from seedmint.service.places.remote_place import described, open_store
from seedmint.service.places.store import RemoteFile, RemoteListing, Store
from seedmint.service.settings import Settings


def cache_of(settings: Settings) -> DownloadCache:
    """Return the cache of files of URLs.

    Args:
        settings: The settings.
    """
    return DownloadCache(settings.models_cache.absolute(), settings.models_cache_bytes)


def place_names(settings: Settings) -> str:
    """Return the places as text for a message.

    Args:
        settings: The settings.
    """
    return ", ".join(map(place_name, settings.models))


def all_files(settings: Settings) -> list[Path]:
    """Return the files of all generators on this machine, after a download of those in remote places.

    Args:
        settings: The settings, with the places.

    Raises:
        UserError: A place cannot be read.
        OSError: A folder or the cache is not readable or not writable.
    """
    files: list[Path] = []
    for place in settings.models:
        if is_url(place):
            store, listing = read_store(place)
            files += (download(store, place, file, cache_of(settings)) for file in listing.files)
        else:
            files += (file.path for file in read_folder(Path(place)).files.values())
    return files


def local_file(name: str, digest: str, settings: Settings) -> Path | None:
    """Return the file of a version that is on this machine, or None. Never waits for a network.

    Args:
        name: Name of the generator.
        digest: SHA-256 of the file.
        settings: The settings, with the places.
    """
    stems = (f"{name}@{digest[:12]}", name)
    paths = [folder / f"{stem}.onnx" for stem in stems for folder in settings.folders]
    if any(map(is_url, settings.models)):
        paths.insert(0, cache_of(settings).path_of(digest))
    return next((path for path in paths if path.is_file()), None)


def find_file(reference: str, settings: Settings) -> Path:
    """Return the file of a generator on this machine, after a download if it is in a remote place.

    Args:
        reference: A name, a path, or NAME@DIGEST with at least twelve digits of the SHA-256 of the file.
        settings: The settings, with the places.

    Raises:
        UserError: There is no such file or no such version, or a place cannot be read.
        OSError: A file or the cache is not readable or not writable.
    """
    if "/" in reference or reference.endswith(".onnx"):
        return find_generator(reference, Path())
    name, digest = split_version(reference)
    places, errors = _read_places(settings)
    path = _version(places, name, digest) if digest is not None else _present(places, name, min(errors, default=None))
    if path is not None:
        return path
    if errors:
        raise errors[min(errors)]
    if digest is not None and settings.folders:
        return find_version(reference, settings.folder)  # raises; the message has the present version
    names = sorted({stem.partition("@")[0] for place in places.values() for stem in place.modified})
    nearest = get_close_matches(reference, names, n=1)
    cure = f"did you mean {nearest[0]}?" if nearest else f"available: {', '.join(names) or 'none'}"
    raise UserError(f"no generator {reference!r} in {place_names(settings)}: {cure}", field="model", reason="not_found")


def read_store(url: str) -> tuple[Store, RemoteListing]:
    """Return a remote place and its listing.

    Args:
        url: URL of the place.

    Raises:
        UserError: The place cannot be read.
    """
    try:
        store = open_store(url)
        return store, store.list()
    except Exception as error:  # each library has its own errors
        raise _place_error(url, error) from error


def download(store: Store, url: str, file: RemoteFile, cache: DownloadCache) -> Path:
    """Return the path of a remote file in the cache, after a download if the cache does not have it.

    Args:
        store: The place.
        url: URL of the place.
        file: The file, from the listing of the place.
        cache: The cache.

    Raises:
        UserError: The file cannot be downloaded, or has another digest than its name says.
        OSError: The cache is not writable.
    """
    key = f"{url}/{file.stem}"
    digest = cache.lookup_digest(key, file.version)
    if digest is None:
        try:
            digest = cache.fetch(store, file)
        except OSError as error:
            if error.filename is not None:
                raise
            raise _place_error(url, error) from error
        except Exception as error:
            raise _place_error(url, error) from error
        cache.record(key, file.version, digest)
    return cache.path_of(digest)


def _place_error(url: str, error: Exception) -> UserError:
    shown = described(error)
    reason = shown.reason if isinstance(shown, UserError) else None
    return UserError(f"{place_name(url)} cannot be read: {shown}", field="models", reason=reason)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one place.

    Attributes:
        place: The folder or URL.
        modified: Time of the last change of each file, by stem.
        path: Returns the path of a file on this machine by its stem, after a download if needed.
        aliases: Returns the content of the file `aliases`; None if there is none.
    """

    place: str
    modified: dict[str, float]
    path: Callable[[str], Path]
    aliases: Callable[[], str | None]

    def pins(self) -> dict[str, str]:
        """Return the first digits of the digest of the version that each name is pinned to."""
        try:
            return {name: digest[:12] for name, digest in parse_aliases(self.aliases() or "").items()}
        except Exception as error:  # each library has its own errors
            raise _place_error(self.place, error) from error


def _read_places(settings: Settings) -> tuple[dict[int, _Files], dict[int, Exception]]:
    """Return the files of the places, and the errors of those that cannot be read, by the position of the place."""
    places: dict[int, _Files] = {}
    errors: dict[int, Exception] = {}
    for position, place in enumerate(settings.models):
        try:
            places[position] = _store_files(place, settings) if is_url(place) else _folder_files(place)
        except (OSError, UserError) as error:
            errors[position] = error
    return places, errors


def _folder_files(place: str) -> _Files:
    listing = read_folder(Path(place))

    def aliases() -> str | None:
        if listing.aliases_error is not None:
            raise listing.aliases_error
        return listing.aliases

    modified = {stem: file.modified for stem, file in listing.files.items()}
    return _Files(place, modified, lambda stem: listing.files[stem].path, aliases)


def _store_files(place: str, settings: Settings) -> _Files:
    store, listing = read_store(place)
    files = {file.stem: file for file in listing.files}

    def aliases() -> str | None:
        return None if listing.aliases is None else store.read_aliases().decode(errors="replace")

    modified = {stem: file.modified or 0.0 for stem, file in files.items()}
    return _Files(place, modified, lambda stem: download(store, place, files[stem], cache_of(settings)), aliases)


def _version(places: Mapping[int, _Files], name: str, digest: str) -> Path | None:
    """Return the file of a version, or None: of NAME@DIGEST12 in the first place that has such a file, or of NAME."""
    other: UserError | None = None
    files = merge({position: place.modified for position, place in places.items()})
    for stem in (f"{name}@{digest[:12]}", name):
        if stem not in files:
            continue
        place = places[files[stem][0]]
        path = place.path(stem)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found.startswith(digest):
            return path
        message = f"{place_name(place.place)} has {name}@{found[:12]}, not {name}@{digest}"
        other = other or UserError(f"{message}: use that version", field="model", reason="unknown_version")
    if other is not None:
        raise other
    return None


def _present(places: Mapping[int, _Files], name: str, first_error: int | None) -> Path | None:
    """Return the file of the version that a server serves without a digest, or None.

    A place that cannot be read is an error only before the first place that has the name, whose files it could replace.
    """
    having = {position: place for position, place in places.items() if any(_is_of(stem, name) for stem in place.modified)}
    if not having or (first_error is not None and first_error < min(having)):
        return None
    files = merge({position: place.modified for position, place in places.items()})
    pins = merge_pins({position: place.pins() for position, place in places.items()})
    served = {stem: ServedFile(stem.partition("@")[2], modified) for stem, (_, modified) in files.items() if _is_of(stem, name)}
    stem = present_versions(served, pins, {})[0].get(name, name)
    return places[files[stem][0]].path(stem)


def _is_of(stem: str, name: str) -> bool:
    return stem.partition("@")[0] == name
