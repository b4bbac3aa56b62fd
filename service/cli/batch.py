"""The command `batch`: makes a job or goes on with it, tells its size, checks it, shows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import click

from seedmint.models.card import Card
from seedmint.models.directory import find_generator
from seedmint.models.errors import UserError
from seedmint.models.runtime.provider import ProviderError, choose_provider
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.completeness import done
from seedmint.service.batch.estimate import bytes_of, check_room
from seedmint.service.batch.formats import FORMS, Form
from seedmint.service.batch.job import open_planned, plan_of
from seedmint.service.batch.manifest import DATA_CARD, MANIFEST
from seedmint.service.batch.plan import Plan, PlanError, check_same, difference, make_plan
from seedmint.service.batch.records import images_of
from seedmint.service.batch.storage.base import MARK, Output
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.cli.batch_progress import shown
from seedmint.service.cli.batch_run import Engine, ended_by_signals, make_job, nouns, shards_text
from seedmint.service.cli.options import label_number, settings_with
from seedmint.service.runtime.generator import GeneratorError, checked_card, digest_of, read_content

_SHARD_SIZE = 10_000
_FAULTS_TOLD = 10
_LONGEST = 60  # characters of seeds in a line


class _Batch(click.Group):
    """`batch MODEL ...` makes a job; `batch status DIR` shows one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "", make, args


@click.group(
    cls=_Batch,
    add_help_option=False,
    invoke_without_command=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.pass_context
def batch(ctx: click.Context) -> None:
    """Make images or samples by the million, in shards."""
    if ctx.invoked_subcommand is None:
        click.echo(make.get_help(click.Context(make, info_name="", parent=ctx)))


@click.command()
@click.argument("model")
@click.option("--out", required=True, metavar="DIR_OR_URL", help="Folder, or prefix of an object store: s3://bucket/prefix.")
@click.option("--seeds", help='Which seeds: "0-999999", "0-9,100" (ranges are inclusive).')
@click.option(
    "--labels", help='One for all (number or class name), "balanced", or "per-seed": those the seeds name. [per-seed]'
)
@click.option(
    "--format", "form", type=click.Choice(FORMS), help="Of images: all. Of samples: parquet, npz, npy. [webdataset, parquet]"
)
@click.option("--shard-size", type=click.IntRange(min=1), help=f"Seeds in a shard. [{_SHARD_SIZE:,}]")
@click.option("--truncation", type=float, help="Factor on z, 0.001 to 1: less variety, more typical. [1]")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that make shards; fewer than there are processors use up to three each. [one for each processor]",
)
@click.option(
    "--engine",
    type=click.Choice(get_args(Engine)),
    default="local",
    help="Processes of this machine, or tasks of the Ray cluster at RAY_ADDRESS, without which one is begun here. [local]",
)
@click.option(
    "--index", type=click.IntRange(min=0), envvar="JOB_COMPLETION_INDEX", show_envvar=True, help="Of several machines, which."
)
@click.option(
    "--of", "parts", type=click.IntRange(min=1), envvar="JOB_COMPLETIONS", show_envvar=True, help="Number of machines."
)
@click.option("--dry-run", is_flag=True, help="Tell shards and bytes, and write nothing.")
@click.option("--verify", "verifying", is_flag=True, help="Check files against their records, and make some images again.")
@click.option("--models", "directory", help="Directory of generators [SEEDMINT_MODELS].")
def make(
    model: str,
    out: str,
    seeds: str | None,
    labels: str | None,
    form: Form | None,
    shard_size: int | None,
    truncation: float | None,
    workers: int | None,
    engine: Engine,
    index: int | None,
    parts: int | None,
    dry_run: bool,
    verifying: bool,
    directory: str | None,
) -> None:
    """Make images or samples by the million, in shards: the same bytes every time, whoever makes them.

    MODEL is the name of a generator in the models directory, or a path to a generator file.

    \b
    seedmint batch mnist --seeds 0-99999 --out out
    seedmint batch mnist --seeds 0-99999 --out out --labels balanced --format parquet --workers 4
    seedmint batch ring-2d --seeds 0-999999 --out points --dry-run

    A job may be stopped or killed at any moment. The same command, or one with --out alone, goes on with it: what is missing
    is made, and no byte differs from those of a job that was never stopped.

    \b
    seedmint batch mnist --out out
    seedmint batch mnist --out out --verify
    seedmint batch status out

    On several machines that write to one place, each makes its part, and the last to finish writes the manifest. A Kubernetes
    Indexed Job sets the index by itself:

    \b
    seedmint batch mnist --seeds 0-999999 --out s3://bucket/digits --index 2 --of 8

    \b
    Exit status:
      0         done, or this part of it
      1         may succeed when it is tried again: no room, no answer, another job at work there; or --verify found faults
      2         cannot succeed: wrong arguments, another job's plan, another generator or other versions than the plan's
      130, 143  stopped by Ctrl-C, SIGTERM; a second one does not wait for the workers to end
    """
    with _wrong_for_ever():
        settings = settings_with(directory)
        part, parts = _share(index, parts)
        path = find_generator(model, settings.models)
        content, card = _read(path)
    output = open_output(out)
    there = plan_of(output)
    with _wrong_for_ever():
        plan = _plan(there, card, digest_of(content), settings.provider, seeds, labels, form, shard_size, truncation)
    if there is not None:
        same = plan.model_copy(update={"libraries": there.libraries}) if verifying else plan
        check_same(there, same, f"--out {output.url}")
    if verifying:
        if there is None:
            raise PlanError(f"--out {output.url} holds no job to verify")
        if plan.libraries != there.libraries:
            click.echo(
                f"made with {difference(there.libraries, plan.libraries)}: images may differ in the last place", err=True
            )
        _verify(output, there, path)
    elif dry_run:
        _dry_run(output, plan, path, there is not None)
    else:
        with ended_by_signals(output, plan):
            make_job(output, plan, path, part, parts, engine, workers)


def _read(path: Path) -> tuple[bytes, Card]:
    """A generator file, and its card.

    Raises:
        GeneratorError: it is none, naming the file.
    """
    try:
        content = read_content(path)
        return content, checked_card(content)
    except UserError as error:
        raise GeneratorError(f"{path}: {error}") from None


@contextmanager
def _wrong_for_ever() -> Iterator[None]:
    """Arguments that are wrong are so whenever they are given."""
    try:
        yield
    except ProviderError:
        raise
    except UserError as error:
        raise PlanError(str(error)) from None


def _share(index: int | None, parts: int | None) -> tuple[int, int]:
    """Which part of how many."""
    if index is None and parts is None:
        return 0, 1
    if index is None or parts is None:
        raise PlanError("--index and --of (or JOB_COMPLETION_INDEX and JOB_COMPLETIONS) go together")
    if index >= parts:
        raise PlanError(f"--index {index} is out of range: 0 to {parts - 1}, for --of {parts}")
    return index, parts


def _plan(
    there: Plan | None,
    card: Card,
    digest: str,
    provider: Literal["auto", "cpu", "cuda"],
    seeds: str | None,
    labels: str | None,
    form: Form | None,
    shard_size: int | None,
    truncation: float | None,
) -> Plan:
    """The plan that the options ask for; what they leave out is as in the output's plan, if there is one."""
    if seeds is None and there is None:
        raise UserError('--seeds is missing: which seeds, like "0-999999"')
    kept: Any = there
    number: int | Literal["balanced", "per-seed"] | None
    match labels:
        case None:
            number = kept.labels if kept else None
        case "balanced" | "per-seed":
            number = labels
        case _:
            number = label_number(labels, card, "--labels")
    usual: Form = "webdataset" if card.output.kind == "image" else "parquet"
    return make_plan(
        digest,
        card,
        choose_provider(kept.provider if kept else provider),
        parse_seeds(seeds) if seeds is not None else kept.sequence,
        number,
        truncation if truncation is not None else (kept.truncation if kept else 1.0),
        form or (kept.format if kept else usual),
        shard_size or (kept.shard_size if kept else _SHARD_SIZE),
    )


def _dry_run(output: Output, plan: Plan, path: Path, begun: bool) -> None:
    left = plan.count - (images_of(plan, done(output, plan)) if begun else 0)
    needed = bytes_of(open_planned(path, plan), plan, left)
    first, last = plan.size(0), plan.size(plan.shards - 1)
    _tell_plan(plan)
    click.echo(f"{nouns(plan):<11} {plan.count:,}" + (f", of which {left:,} are to be made" if begun else ""))
    click.echo(f"shards      {plan.shards:,} of {first:,}" + (f", the last of {last:,}" if last != first else ""))
    click.echo(f"bytes       about {needed:,}" + (" on the disk" if plan.format == "png" else ""))
    free = output.free()
    if free is not None:
        click.echo(f"free        {free:,}")
    check_room(output, needed)


def _tell_plan(plan: Plan) -> None:
    click.echo(f"generator   {plan.card.name}@{plan.model[:12]}, {plan.card.title}")
    click.echo(f"seeds       {plan.seeds if len(plan.seeds) <= _LONGEST else plan.seeds[: _LONGEST - 3] + '...'}")
    click.echo(f"format      {plan.format}" + ("" if plan.labels is None else f", labels {plan.labels}"))


def _verify(output: Output, plan: Plan, path: Path) -> None:
    generator = open_planned(path, plan)
    faults = []
    with shown(nouns(plan), plan.count, plan.shards) as show:
        for fault in verify(output, plan, generator, lambda images: show(images, 1)):
            faults.append(fault)
    for fault in faults[:_FAULTS_TOLD]:
        click.echo(fault, err=True)
    others = sorted(set(output.names("")) - {MARK, MANIFEST, DATA_CARD, "data", "records"})
    if others:
        click.echo(f"not of the job, and left alone: {', '.join(others)}", err=True)
    if faults:
        more = f", of which the first {_FAULTS_TOLD} are told" if len(faults) > _FAULTS_TOLD else ""
        raise UserError(f"--out {output.url}: {len(faults):,} fault{'s' * (len(faults) != 1)}{more}")
    click.echo(f"{plan.count:,} {nouns(plan)} in {shards_text(plan.shards)}: all as recorded")


@batch.command()
@click.argument("out", metavar="DIR_OR_URL")
def status(out: str) -> None:
    """Show a job from its records, whoever runs it."""
    output = open_output(out)
    plan = plan_of(output)
    if plan is None:
        raise PlanError(f"{output.url} holds no job")
    marked = done(output, plan)
    images = images_of(plan, marked)
    _tell_plan(plan)
    click.echo(f"shards      {int(marked.sum()):,} of {plan.shards:,}")
    click.echo(f"{nouns(plan):<11} {images:,} of {plan.count:,} ({images / plan.count:.1%})")
    click.echo(f"state       {'done' if MANIFEST in set(output.names('')) and marked.all() else 'not done'}")
