"""Options and settings that several commands share."""

import os

from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.service.settings import Settings, SettingsError, read_settings, variable


def settings_with(directory: str | None) -> Settings:
    return _checked(read_settings(os.environ | ({} if directory is None else {variable("models"): directory})))


def _checked(settings: Settings) -> Settings:
    if not settings.models.is_dir():
        raise SettingsError(f"{settings.models} is not a directory", field="models", reason="not_found")
    return settings


def label_number(label: str, card: Card, option: str = "--label") -> int:
    """The label that a number or a class's name names. A number is always a label, as in addresses.

    Raises:
        UserError: there is no such label.
    """
    if card.classes is None:
        raise UserError(f"{option}: generator {card.name!r} is not conditional")
    if label.isdecimal() and int(label[:9]) < len(card.classes):
        return int(label)
    if label in card.classes and not label.isdecimal():
        return card.classes.index(label)
    raise UserError(f"{option} {label!r}: not a number from 0 to {len(card.classes) - 1}, nor one of its classes' names")
