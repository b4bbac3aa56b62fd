"""The command `models upgrade`: rewrites the cards of generator files in the present schema."""

from pathlib import Path

import click

from seedmint.models.errors import UserError, one_line
from seedmint.models.files import write_whole


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), nargs=-1, required=True)
def upgrade(file: tuple[Path, ...]) -> None:
    """Rewrite the cards of generator files in the present schema, and add the reference of this machine.

    \b
    seedmint models upgrade models/*.onnx

    The weights stay the same, so every seed gives the same image. The file has a new digest, and the generator has new URLs. A
    file whose card is up to date does not change.
    """
    from seedmint.models.runtime.generator_file import DIGEST12, digest_of, read_content
    from seedmint.service.importer.file_kinds import check_file_kind
    from seedmint.service.importer.upgrade import upgrade as upgrade_content

    for path in file:
        content = read_content(path)
        try:
            check_file_kind(path)
            upgraded = upgrade_content(content)
        except UserError as error:
            raise UserError(f"{path}: {one_line(error, 600)}", field=error.field, reason=error.reason) from None
        if upgraded == content:
            click.echo(f"{path} is up to date")
            continue
        write_whole(path, upgraded)
        click.echo(f"{path} {digest_of(content)[:DIGEST12]} -> {digest_of(upgraded)[:DIGEST12]}")
