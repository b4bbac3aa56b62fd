"""Options and checks that several commands share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from seedmint.models.errors import UserError
from seedmint.service.settings import Settings, SettingsError, read_settings, variable

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of text.")


def settings_with(models: str | None) -> Settings:
    """Return the settings of a command that has the option `--models`.

    Args:
        models: Value of the option; None if the option is absent.

    Raises:
        SettingsError: A setting is invalid, or the models directory does not exist.
    """
    options = {} if models is None else {variable("models"): models}
    return check_models_directory(read_settings(os.environ | options))


def check_models_directory(settings: Settings) -> Settings:
    """Return the settings after a check of the folders of generators.

    Args:
        settings: The settings.

    Raises:
        SettingsError: A folder does not exist.
    """
    for folder in settings.folders:
        if not folder.is_dir():
            raise SettingsError(f"{folder} is not a directory", field="models", reason="not_found")
    return settings


@contextmanager
def set_error_field(field: str) -> Iterator[None]:
    """Set the field of every `UserError` of the block.

    Args:
        field: Name of the parameter in snake_case.
    """
    try:
        yield
    except UserError as error:
        error.field = field
        raise
