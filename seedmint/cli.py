"""The command line. Loads a wing only when one of its commands runs, so that `seedmint --help` answers at once."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from seedmint.models.errors import UserError

# command -> (module, extra it needs, line of help)
_COMMANDS = {
    "train": ("seedmint.training.cli.train", "train", "Train a generator by Algorithm 1 from a recipe."),
    "resume": ("seedmint.training.cli.train", "train", "Go on with a run exactly where it stopped."),
    "evaluate": ("seedmint.training.cli.evaluate", "train", "Measure a generator file by all metrics that apply to it."),
    "report": (
        "seedmint.training.cli.report",
        "train",
        "Write a page about a run or a generator.",
    ),
    "export": ("seedmint.training.cli.export", "train", "Turn a run's checkpoint into a generator file."),
    "theory": ("seedmint.training.cli.theory", "train", "Check the paper's theory in numbers, and draw it."),
    "serve": ("seedmint.service.cli.serve", "serve", "Serve every generator of the models directory over HTTP."),
    "sample": ("seedmint.service.cli.sample", "serve", "Write the images or samples of seeds to files, without a server."),
    "batch": (
        "seedmint.service.cli.batch",
        "batch",
        "Make images or samples by the million, in shards, the same bytes every time.",
    ),
    "models": ("seedmint.service.cli.models", "serve", "List generators, show one's card, or add one that others have made."),
    "keys": ("seedmint.service.cli.keys", "serve", "Make API keys for the server."),
}


def _version() -> str:
    try:
        return version("seedmint")
    except PackageNotFoundError:
        return "unknown (not installed)"


class _Wings(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(_COMMANDS[name][0]), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])


@click.group(cls=_Wings, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="seedmint")
def cli() -> None:
    """Seedmint trains generators with Algorithm 1 of Generative Adversarial Nets and serves them: a seed is an address.

    \b
    From nothing to your own generator in about two minutes:
      seedmint train digits --out runs/d
      seedmint export runs/d --name mine
      seedmint sample mine --seeds 0-63 --out grid.png
      seedmint serve
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run one command.

    An error that the user can correct is one line on standard error.

    Args:
        arguments: Words of the command line; None for those of this process.

    Raises:
        SystemExit: Always, with the exit status: 0; 1 or 2 after an error.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return cli.main(args=words, prog_name="seedmint")
    except UserError as error:
        click.echo(f"Error: {error_text(error, words)}", err=True)
        sys.exit(error.status)
    except ModuleNotFoundError as error:
        name = next((word for word in words if word in _COMMANDS), "serve")
        extra = _COMMANDS[name][1]
        if error.name is None or error.name.split(".")[0] == "seedmint":
            raise
        click.echo(
            f"Error: `seedmint {name}` needs {error.name}, which is not installed: "
            f"run `make {'serve' if extra == 'serve' else 'install'}`, or pip install -e '.[{extra}]'",
            err=True,
        )
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        click.echo(f"Error: {error.strerror or error}{place}", err=True)
    sys.exit(1)


def error_text(error: UserError, arguments: Sequence[str]) -> str:
    """Return the message of an error after the name by which the user gave the wrong parameter.

    The name is the option (`--shard-size`) or the argument (`MODEL`) of the command. The value of an option that is absent from
    the command line may come from an environment variable: then the name is that of the variable (`SEEDMINT_PORT`).

    Args:
        error: The error.
        arguments: Words of the command line.
    """
    message = str(error.args[0]) if error.args else str(error)
    if error.field is None:
        return message
    parameter = _parameter(_command(arguments), error.field)
    variable = f"SEEDMINT_{error.field.upper()}"
    if isinstance(parameter, click.Argument):
        return f"{parameter.human_readable_name}: {message}"
    is_given = parameter is not None and any(word.partition("=")[0] in parameter.opts for word in arguments)
    if not is_given and variable in os.environ:
        return f"{variable}: {message}"
    if parameter is not None:
        return f"{max(parameter.opts, key=len)}: {message}"
    return f"{error.field}: {message}"


def _command(arguments: Sequence[str]) -> click.Command:
    command: click.Command = cli
    for word in arguments:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word) or command
    return command


def _parameter(command: click.Command, field: str) -> click.Parameter | None:
    option = f"--{field.replace('_', '-')}"
    for parameter in command.params:
        if parameter.name == field or option in parameter.opts:
            return parameter
    return None
