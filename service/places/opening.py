"""Opens the places of the settings."""

from pathlib import Path

from seedmint.models.errors import UserError
from seedmint.models.places import is_url
from seedmint.service.places.download_cache import DownloadCache
from seedmint.service.places.folder_place import FolderPlace
from seedmint.service.places.place import Place
from seedmint.service.places.remote_place import RemotePlace, open_store
from seedmint.service.settings import Settings, SettingsError


def open_places(settings: Settings) -> list[Place]:
    """Return the places of the settings, in order.

    Args:
        settings: The settings.

    Raises:
        SettingsError: The cache is not writable, the library of a URL is not installed, or there is no such protocol.
    """
    cache = DownloadCache(settings.models_cache.absolute(), settings.models_cache_bytes)
    places: list[Place] = []
    for place in settings.models:
        if not is_url(place):
            places.append(FolderPlace(Path(place)))
            continue
        try:
            open_store(place)  # now, because a later attempt fails too
        except UserError as error:
            raise SettingsError(error.args[0], field="models", reason=error.reason) from None
        try:
            places.append(RemotePlace(place, cache, settings.models_poll_seconds))
        except OSError as error:
            raise SettingsError(
                f"{cache.directory} cannot be used ({error.strerror})", field="models_cache", reason="not_writable"
            ) from None
    return places
