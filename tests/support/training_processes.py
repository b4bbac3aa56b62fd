"""Commands in processes of their own that need not import torch again."""

import os
from pathlib import Path

import torch

from seedmint.cli import main


def run_command(arguments: list[str], output: Path, variables: dict[str, str] | None = None) -> None:
    """Run the command line, and exit with its status. It is the target of a process of the fixture `processes`.

    Args:
        arguments: The arguments of `seedmint`.
        output: File of standard output and standard error.
        variables: Environment variables to set.
    """
    os.environ |= variables or {}
    torch.set_num_threads(1)
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    main(arguments)
