"""The command `package`: generator files as an OCI image."""

import os
import shutil
import subprocess
from pathlib import Path

import click

from seedmint.models.errors import UserError, one_line
from seedmint.service.cli.options import settings_with
from seedmint.service.places.lookup import find_file


@click.command()
@click.argument("model", nargs=-1, required=True)
@click.option("--tag", required=True, help="Name of the image, REPOSITORY:TAG.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="OCI archive to write. Default: NAME-TAG.tar.")
@click.option(
    "--base",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="OCI archive of an image that contains cp, for init containers. Default: none.",
)
@click.option("--push", is_flag=True, help="Push the image to its registry with skopeo.")
@click.option("--models", "directory", help="Directory of generator files [SEEDMINT_MODELS].")
def package(model: tuple[str, ...], tag: str, out: Path | None, base: Path | None, push: bool, directory: str | None) -> None:
    """Pack generators into an OCI image, so that a new generator is rolled out like a new version of a program.

    \b
    seedmint package faces --tag registry.example/faces:2026.11
    seedmint package faces old/faces@97b749bd861e.onnx --tag registry.example/faces:2026.12 --push
    seedmint package faces --tag registry.example/faces:2026.11 --base busybox.tar

    MODEL is the name of a generator in the models directory, or the path of a generator file. The image has one layer with the
    files, and labels with their digests and cards. Kubernetes mounts the image as a volume, or an init container copies its
    directory /models. Equal files give an equal image; SOURCE_DATE_EPOCH sets its time. The command prints
    REPOSITORY:TAG@DIGEST, the value of `models.image.reference` in the Helm chart.
    """
    from seedmint.service.packaging.generator_image import build_image, image_digest, packed_file, split_tag
    from seedmint.service.packaging.oci_layout import OciArchive

    repository, version = split_tag(tag)
    time = _source_date_epoch()
    if push and shutil.which("skopeo") is None:
        raise UserError("skopeo is not installed: install it, or copy the archive with another program", field="push")
    paths = [find_file(name, settings_with(directory)) for name in model]
    archive = build_image([packed_file(path) for path in paths], tag, time, None if base is None else OciArchive.read(base))
    out = out or Path(f"{repository.rpartition('/')[2]}-{version}.tar")
    archive.write(out)
    click.echo(f"wrote {out}", err=True)
    if push:
        _push(out, tag)
    click.echo(f"{tag}@{image_digest(archive)}")


def _source_date_epoch() -> int:
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not text.isdecimal() or len(text) > 10:
        raise UserError(f"{one_line(text)!r} is not a number of seconds since 1970", field="SOURCE_DATE_EPOCH")
    return int(text)


def _push(archive: Path, tag: str) -> None:
    command = ["skopeo", "copy", "--all", "--preserve-digests", f"oci-archive:{archive}", f"docker://{tag}"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"skopeo: {one_line(done.stderr.strip())}", field="push", reason="push_failed")
