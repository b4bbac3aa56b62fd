"""The command line. Imports `service` or `training` only for one of their commands, so that `seedmint --help` is fast."""

import errno
import os
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click
from click.shell_completion import CompletionItem

from seedmint.models.errors import UserError
from seedmint.models.installation import install_command
from seedmint.models.version import __version__

_INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it
_TRAIN = "seedmint.training.cli.train"
_UNIX_COMMANDS = frozenset({"serve", "batch"})  # they lock files with fcntl
_RUNTIME_EXTRAS = {"onnxruntime": "cpu"}  # module -> extra, of modules that are not in the extra of each command

# Command -> module, extra with its dependencies, help text.
_COMMANDS = {
    "data": ("seedmint.training.cli.data", "train", "Look at your images before training."),
    "new": ("seedmint.training.cli.data", "train", "Write a recipe for your images, with comments."),
    "train": (_TRAIN, "train", "Train a generator with Algorithm 1."),
    "resume": (_TRAIN, "train", "Continue a run from its last checkpoint."),
    "watch": ("seedmint.training.cli.watch", "train", "Show runs on a page while they train."),
    "evaluate": ("seedmint.training.cli.evaluate", "train", "Measure a generator with all metrics for its data."),
    "report": ("seedmint.training.cli.report", "train", "Write an HTML report of a run or a generator."),
    "export": ("seedmint.training.cli.export", "train", "Export a checkpoint of a run as a generator file."),
    "theory": ("seedmint.training.cli.theory", "train", "Check the theory of the paper in numbers and plots."),
    "serve": ("seedmint.service.cli.serve", "serve", "Serve the generators of the models directory over HTTP."),
    "sample": ("seedmint.service.cli.sample", "serve", "Write images or samples to files, without a server."),
    "batch": ("seedmint.service.cli.batch", "batch", "Write large data sets of images or samples in shards."),
    "models": ("seedmint.service.cli.models", "serve", "List, show or import generators."),
    "package": ("seedmint.service.cli.package", "serve", "Pack generators into an OCI image for Kubernetes."),
    "keys": ("seedmint.service.cli.keys", "serve", "Create API keys for the server."),
    "completion": ("seedmint.completion", "serve", "Print the completion script of a shell."),
    "doctor": ("seedmint.service.cli.doctor", "serve", "Check this machine and this installation."),
}


class _LazyGroup(click.Group):
    """Imports the module of a command only when the command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(_COMMANDS[name][0]), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nAborted!", err=True)
            ctx.exit(_INTERRUPTED)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and args[0][:1].isalpha():
            raise click.NoSuchCommand(args[0], possibilities=_COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        items = [CompletionItem(name, help=text) for name, (_, _, text) in _COMMANDS.items() if name.startswith(incomplete)]
        return items if not incomplete.startswith("-") else click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


def _import_checkpoint(*arguments: Any) -> Any:
    """Import a checkpoint with the code of its network. Here, because service/ may not import the modules that need torch."""
    from seedmint.from_torch.importing import import_checkpoint

    return import_checkpoint(*arguments)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "obj": {"import_checkpoint": _import_checkpoint}},
)
@click.version_option(__version__, prog_name="seedmint")
def cli() -> None:
    """Train generators with Algorithm 1 of Generative Adversarial Nets, and serve them.

    \b
    Train, export and serve your own generator in about two minutes:
      seedmint train digits --out runs/d
      seedmint export runs/d --name mine
      seedmint sample mine --seeds 0-63 --out grid.png
      seedmint serve
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run one command.

    Prints an error that the user can correct as one line on standard error.

    Args:
        arguments: Arguments of the command line; None for the arguments of this process.

    Raises:
        SystemExit: Always. The exit status is 0, or 1 or 2 after an error, or 130 after Ctrl-C.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in _UNIX_COMMANDS and find_spec("fcntl") is None:
        click.echo(f"Error: `seedmint {words[0]}` does not run on {platform.system()}: use Linux, macOS or WSL", err=True)
        sys.exit(1)
    try:
        return cli.main(args=words, prog_name="seedmint")
    except UserError as error:
        click.echo(f"Error: {error_text(error, words)}", err=True)
        sys.exit(error.status)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "seedmint":
            raise
        name = next((word for word in words if word in _COMMANDS), "serve")
        click.echo(f"Error: {_missing_module_text(name, error.name)}", err=True)
    except OSError as error:
        file = f": {error.filename}" if error.filename else ""
        cure = "; free some space, then run the command again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        click.echo(f"Error: {error.strerror or error}{file}{cure}", err=True)
    sys.exit(1)


def _missing_module_text(command: str, module: str) -> str:
    """Return the message of an import that failed, with the cure."""
    cure = install_command(_RUNTIME_EXTRAS.get(module, _COMMANDS[command][1]))
    return f"`seedmint {command}` needs {module}, which is not installed: run `{cure}`"


def error_text(error: UserError, arguments: Sequence[str]) -> str:
    """Return the message of an error with the wrong parameter in front, and the options that can correct it at the end.

    The name is the option (`--shard-size`) or the argument (`MODEL`) of the command. If the option is absent from the command
    line and its environment variable is set, the name is the variable (`SEEDMINT_PORT`).

    Args:
        error: The error.
        arguments: Arguments of the command line.
    """
    message = str(error.args[0]) if error.args else str(error)
    command = _command(arguments)
    others = [_parameter(command, field) for field in error.other_fields]
    names = [max(parameter.opts, key=len) for parameter in others if parameter is not None]
    if names:
        message += f" (see {', '.join(names)})"
    if error.field is None:
        return message
    parameter = _parameter(command, error.field)
    variable = f"SEEDMINT_{error.field.upper()}"
    if isinstance(parameter, click.Argument):
        return f"{parameter.human_readable_name}: {message}"
    is_on_command_line = parameter is not None and any(word.partition("=")[0] in parameter.opts for word in arguments)
    if not is_on_command_line and variable in os.environ:
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
