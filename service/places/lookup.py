"""Finds a generator by name in all places, for commands. Only the file that is needed is downloaded."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from seedmint.models.directory import find_generator, find_version, split_version
from seedmint.models.errors import UserError
from seedmint.models.places import is_url, place_name
from seedmint.service.places.aliases import parse_aliases
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.folder_place import read_folder
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
    names: set[str] = set()
    for place in settings.models:
        found = _in_folder(Path(place), name, digest) if not is_url(place) else _in_store(place, name, digest, settings)
        if isinstance(found, Path):
            return found
        names |= found
    if digest is not None and settings.folders:
        return find_version(reference, settings.folder)  # raises; the message has the present version
    nearest = get_close_matches(reference, sorted(names), n=1)
    cure = f"did you mean {nearest[0]}?" if nearest else f"available: {', '.join(sorted(names)) or 'none'}"
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
            digest = cache.receive(lambda target: store.fetch(file, target), file.size, split_version(file.stem)[1])
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


def _in_folder(folder: Path, name: str, digest: str | None) -> Path | set[str]:
    """Return the file of a generator, or the names of all generators of the folder."""
    listing = read_folder(folder)
    stems = {stem: file.modified for stem, file in listing.files.items()}
    stem = _choose(stems, listing.aliases, name, digest)
    if stem is None:
        return set(_names(stems))
    path = folder / f"{stem}.onnx"
    return path if digest is None else find_version(f"{name}@{digest}", folder)


def _in_store(url: str, name: str, digest: str | None, settings: Settings) -> Path | set[str]:
    store, listing = read_store(url)
    files = {file.stem: file for file in listing.files}
    stems = {stem: file.modified or 0.0 for stem, file in files.items()}
    aliases = store.read_aliases().decode(errors="replace") if listing.aliases is not None else None
    stem = _choose(stems, aliases, name, digest)
    if stem is None:
        return set(_names(stems))
    path = download(store, url, files[stem], cache_of(settings))
    if digest is not None and not path.stem.startswith(digest):
        raise UserError(
            f"{place_name(url)} has {name}@{path.stem[:12]}, not {name}@{digest}", field="model", reason="unknown_version"
        )
    return path


def _names(stems: dict[str, float]) -> Iterator[str]:
    return (stem.partition("@")[0] for stem in stems)


def _choose(stems: dict[str, float], aliases: str | None, name: str, digest: str | None) -> str | None:
    """Return the stem of a version of a generator: of `digest`, or the present one."""
    if digest is not None:
        pinned = f"{name}@{digest[:12]}"
        return pinned if pinned in stems else name if name in stems else None
    own = {stem: modified for stem, modified in stems.items() if stem.partition("@")[0] == name}
    if not own:
        return None
    served = {stem: ServedFile(stem.partition("@")[2], modified) for stem, modified in own.items()}
    pins = {pinned: pin[:12] for pinned, pin in parse_aliases(aliases or "").items()}
    return present_versions(served, pins, {})[0].get(name, name)
