"""Options of `seedmint serve`: one for each setting."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from seedmint.service.settings import Settings, default_text, variable


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting to a command: `--max-batch N` or `--access-log/--no-access-log`.

    Args:
        command: Function that receives the value of each option as the parameter `field`; None for an absent option.
    """
    for field, info in reversed(Settings.model_fields.items()):
        option = f"--{field.replace('_', '-')}"
        default = "default: the generators of Seedmint" if field == "models" else f"default {default_text(field)}"
        text = f"{info.description} [{variable(field)}; {default}]"
        if info.annotation is bool:
            flags = f"{option}/--no-{option.removeprefix('--')}"
            command = click.option(flags, field, default=None, help=text)(command)
        else:
            command = click.option(option, field, metavar=field.split("_")[-1].upper(), help=text)(command)
    return command


def to_variables(options: Mapping[str, str | bool | None]) -> dict[str, str]:
    """Return the options of the command line as environment variables, without absent options.

    Args:
        options: Field of a setting -> value of its option.
    """
    return {
        variable(field): str(value).lower() if isinstance(value, bool) else value
        for field, value in options.items()
        if value is not None
    }
