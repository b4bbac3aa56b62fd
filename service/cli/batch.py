"""Commands of `seedmint batch`: run, estimate, verify and status. `batch_push` has push."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np

from seedmint.models.errors import UserError
from seedmint.models.runtime.processors import num_processors
from seedmint.service.batch.completeness import complete_shards, damaged_shards
from seedmint.service.batch.data_card import DATA_CARD
from seedmint.service.batch.engines.choice import EngineName
from seedmint.service.batch.estimate import check_free_space, estimate_size
from seedmint.service.batch.job import load_plan, open_plan_generators
from seedmint.service.batch.manifest import MANIFEST
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.batch.plan_comparison import differences_here, references
from seedmint.service.batch.plan_generator import PlanGenerator
from seedmint.service.batch.records import count_in_shards
from seedmint.service.batch.storage.base import PLAN_FILE, Output
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import Fault
from seedmint.service.batch.verify import verify as find_faults
from seedmint.service.cli.batch_documents import plan_document, print_json, show_plan, verification_document
from seedmint.service.cli.batch_options import JobOptions, OpenJob, job_options, open_job, parse_part, permanent_errors
from seedmint.service.cli.batch_progress import show_progress
from seedmint.service.cli.batch_push import push
from seedmint.service.cli.batch_run import nouns, repair_job, run_job, shards_text, stop_on_signals
from seedmint.service.cli.options import JSON, settings_with
from seedmint.service.places.lookup import find_file
from seedmint.service.settings import Settings

_MAX_FAULTS_SHOWN = 10
_MAX_SIZES_CHECKED = 20_000  # shards, whose records `status` reads


class _Group(click.Group):
    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the command that the user has left out, in an error for `seedmint batch MODEL`."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            if error.possibilities:
                raise
            message = f"{args[0]!r} is no command: write `seedmint batch run {args[0]} ...` to make a data set"
            raise click.UsageError(message, ctx) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def batch() -> None:
    """Generate images or samples by the million, in shards. The bytes are the same every time.

    \b
    seedmint batch estimate mnist --seeds 0-99999 --out out
    seedmint batch run mnist --seeds 0-99999 --out out
    seedmint batch status out
    seedmint batch verify out
    seedmint batch push out hf://datasets/user/digits
    """


batch.add_command(push)


@batch.command()
@job_options
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Number of processes that write shards. If there are fewer workers than processors, each worker uses up to three. "
    "[one for each processor]",
)
@click.option(
    "--engine",
    type=click.Choice(get_args(EngineName)),
    default="local",
    help="local: processes on this machine. ray: tasks of the Ray cluster at RAY_ADDRESS, or of a new local cluster. [local]",
)
@click.option(
    "--shard-index",
    type=click.IntRange(min=0),
    envvar="JOB_COMPLETION_INDEX",
    show_envvar=True,
    help="Index of this machine, from 0, if several machines share the job.",
)
@click.option(
    "--num-shards",
    type=click.IntRange(min=1),
    envvar="JOB_COMPLETIONS",
    show_envvar=True,
    help="Number of machines that share the job.",
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Show the shards and the size of the job or part. Write nothing.")
def run(
    workers: int | None,
    engine: EngineName,
    shard_index: int | None,
    num_shards: int | None,
    is_dry_run: bool,
    **options: Any,
) -> None:
    """Run a job, or resume it. Every run of the same job writes the same bytes.

    MODEL is the name of a generator in the models directory, NAME@DIGEST for one version, or a path to a generator file. With
    several generators, each makes all seeds, and the data name the generator of each image.

    \b
    seedmint batch run mnist --seeds 0-99999 --out out
    seedmint batch run mnist --seeds 0-99999 --out out --labels balanced --format parquet --workers 4
    seedmint batch run mnist --split train=0-59999 --split test=60000-69999 --labels 3:2,7:1 --out out
    seedmint batch run mnist fashion-mnist --seeds 0-59999 --format parquet --out out

    A job may be stopped or killed at any time. To resume it, run the same command again, or give only MODEL and --out. The
    finished job has the same bytes as a job that was never stopped.

    \b
    seedmint batch run mnist --out out

    Several machines can share a job if they write to the same output. Give each machine its index. The last machine to finish
    writes the manifest. In the pods of an Indexed Job, Kubernetes sets JOB_COMPLETION_INDEX, and its manifest must set
    JOB_COMPLETIONS. With the index alone, --dry-run shows the whole job.

    \b
    seedmint batch run mnist --seeds 0-999999 --out s3://bucket/digits --shard-index 2 --num-shards 8

    \b
    Exit status:
      0         the job, or the part of this machine, is done
      1         a later try may succeed: disk full, storage unreachable, another job is writing there
      2         a later try fails too: wrong arguments, another job's plan, another generator or other library versions
      130, 143  stopped by Ctrl-C or SIGTERM; a second signal does not wait for the workers
    """
    with permanent_errors():
        is_whole = is_dry_run and num_shards is None
        part, parts = (0, 1) if is_whole else parse_part(shard_index, num_shards)
    job = open_job(JobOptions(**options))
    if is_dry_run:
        _show_estimate(job, part, parts)
        return
    with stop_on_signals(job.output, job.plan):
        run_job(job.output, job.plan, job.paths, part, parts, engine, workers)


@batch.command()
@job_options
@JSON
def estimate(as_json: bool, **options: Any) -> None:
    """Show the number of shards and the size of a job. Writes nothing.

    The command takes the options of `seedmint batch run`.

    \b
    seedmint batch estimate ring-2d --seeds 0-999999 --out points
    seedmint batch estimate ring-2d --seeds 0-999999 --out points --json
    """
    _show_estimate(open_job(JobOptions(**options)), as_json=as_json)


def _show_estimate(job: OpenJob, part: int = 0, parts: int = 1, as_json: bool = False) -> None:
    """Print the shards and the size of a job, or of one part of it.

    Raises:
        UserError: The free space is too small.
    """
    output, plan = job.output, job.plan
    in_part = np.arange(plan.num_shards) % parts == part
    complete = complete_shards(output, plan) if job.exists else np.zeros_like(in_part)
    count, missing = count_in_shards(plan, in_part), count_in_shards(plan, in_part & ~complete)
    size = estimate_size(open_plan_generators(job.paths, plan), plan, missing)
    first, last, free = plan.size(0), plan.size(plan.num_shards - 1), output.free()
    if as_json:
        counts = {"count": count, "missing": missing, "shards": int(in_part.sum())}
        print_json(plan_document(plan) | counts | asdict(size) | {"free_bytes": free})
        check_free_space(output, size.disk_bytes)
        return
    show_plan(plan)
    if parts > 1:
        click.echo(f"part        {part} of {parts}")
    click.echo(f"{nouns(plan):<11} {count:,}" + (f", {missing:,} of them missing" if job.exists else ""))
    click.echo(f"shards      {int(in_part.sum()):,} of {first:,}" + (f", the last of {last:,}" if last != first else ""))
    click.echo(f"bytes       about {size.bytes:,}, with records")
    click.echo(f"disk        about {size.disk_bytes:,}")
    if free is not None:
        click.echo(f"free        {free:,}")
    check_free_space(output, size.disk_bytes)


@batch.command()
@click.argument("out", metavar="DIR_OR_URL")
@click.option(
    "--model",
    multiple=True,
    help="Name or path of the generator. Repeat the option for each generator of the job. [the names in the plan]",
)
@click.option("--models", "directory", help="Directory of generators. [SEEDMINT_MODELS]")
@click.option("--all", "every_value", is_flag=True, help="Generate every image again, not only four of each shard.")
@click.option(
    "--repair",
    "is_repair",
    is_flag=True,
    help="Make faulty shards again, and remove files in data/ and records/ that belong to no shard.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Number of shards at the same time. [one for each processor]")
@JSON
def verify(
    out: str,
    model: tuple[str, ...],
    directory: str | None,
    every_value: bool,
    is_repair: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Check the files of a job. Generates some images of each shard again and compares them.

    \b
    seedmint batch verify out
    seedmint batch verify out --model copies/mnist.onnx
    seedmint batch verify out --all --repair

    \b
    Exit status:
      0  the files agree with the records, or all faults were repaired
      1  the files have faults; one line for each on standard error
      2  there is no job in DIR_OR_URL, or the generator is not the generator of the job
    """
    output = open_output(out)
    plan = _read_plan(output)
    settings = settings_with(directory)
    with permanent_errors():
        if model and len(model) != len(plan.generators):
            raise PlanError(
                f"{len(model)} generators for a job of {references(plan)}: name each of them, or none",
                field="model",
                reason="other_generator",
            )
        if model:
            paths = [find_file(name, settings) for name in model]
        else:
            paths = [_find_generator(generator, settings) for generator in plan.generators]
    generators = open_plan_generators(paths, plan)
    for text in differences_here(plan, generators):
        click.echo(f"the job was written with {text}: values may differ in the last digit", err=True)
    threads = workers or num_processors()
    with show_progress(nouns(plan), plan.count, plan.num_shards) as on_progress:
        faults = list(find_faults(output, plan, generators, on_progress, every_value, threads))
    _show_faults(faults)
    repairs = repair_job(output, plan, paths, generators, faults, threads) if faults and is_repair else None
    if repairs is not None:
        text = f"repaired: {shards_text(len(repairs.shards))} made again, {len(repairs.removed):,} files removed"
        click.echo(text, err=as_json)
        faults = list(repairs.faults)
        _show_faults(faults)
    others = sorted(set(output.names("")) - {PLAN_FILE, MANIFEST, DATA_CARD, "data", "records"})
    if others:
        click.echo(f"not part of the job, ignored: {', '.join(others)}", err=True)
    if as_json:
        print_json(plan_document(plan) | verification_document(plan, faults, repairs, others))
    if faults:
        more = f", the first {_MAX_FAULTS_SHOWN} are shown" if len(faults) > _MAX_FAULTS_SHOWN else ""
        raise UserError(
            f"{output.url}: {len(faults):,} fault{'s' * (len(faults) != 1)}{more}", field="out", reason="faults_found"
        )
    if not as_json:
        click.echo(f"{plan.count:,} {nouns(plan)} in {shards_text(plan.num_shards)}: all agree with the records")


def _show_faults(faults: Sequence[Fault]) -> None:
    for fault in faults[:_MAX_FAULTS_SHOWN]:
        click.echo(str(fault), err=True)


@batch.command()
@click.argument("out", metavar="DIR_OR_URL")
@JSON
def status(out: str, as_json: bool) -> None:
    """Show the progress of a job, from its records. The job may run on any machine.

    \b
    seedmint batch status out
    seedmint batch status s3://bucket/digits --json
    """
    output = open_output(out)
    plan = _read_plan(output)
    complete = complete_shards(output, plan)
    are_sizes_checked = bool(complete.sum() <= _MAX_SIZES_CHECKED)
    damaged = damaged_shards(output, plan, complete) if are_sizes_checked else np.zeros_like(complete)
    images = count_in_shards(plan, complete)
    is_done = MANIFEST in set(output.names("")) and bool(complete.all())
    state = "damaged" if damaged.any() else "done" if is_done else "not done"
    if as_json:
        counts = {"shards": plan.num_shards, "complete_shards": int(complete.sum()), "count": plan.count, "complete": images}
        known = {"are_sizes_checked": are_sizes_checked, "damaged_shards": np.flatnonzero(damaged).tolist(), "state": state}
        print_json(plan_document(plan) | counts | known)
        return
    show_plan(plan)
    click.echo(f"shards      {int(complete.sum()):,} of {plan.num_shards:,}")
    click.echo(f"{nouns(plan):<11} {images:,} of {plan.count:,} ({images / plan.count:.1%})")
    if not are_sizes_checked:
        click.echo("sizes       not compared with the records, because there are many: seedmint batch verify compares them")
    if damaged.any():
        click.echo(f"damaged     {shards_text(int(damaged.sum()))}: seedmint batch verify {output.url} --repair")
    click.echo(f"state       {state}")


def _find_generator(generator: PlanGenerator, settings: Settings) -> Path:
    """Return the file of a generator of a job: of the version of the job, if there is one, else of the present version."""
    try:
        return find_file(generator.reference, settings)
    except UserError:
        return find_file(generator.card.name, settings)


def _read_plan(output: Output) -> Plan:
    plan = load_plan(output)
    if plan is None:
        raise PlanError(
            f"{output.url} holds no job; `seedmint batch run MODEL --seeds ... --out DIR` starts one",
            field="out",
            reason="no_job",
        )
    return plan
