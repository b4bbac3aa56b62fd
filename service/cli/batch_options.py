"""Options of `seedmint batch run` and `seedmint batch estimate`, and the job that they define."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.models.runtime.generator_file import GeneratorError, checked_card, digest_of, read_content
from seedmint.models.runtime.provider import ProviderError, choose_provider
from seedmint.models.seeds import Seeds, parse_seeds, quoted
from seedmint.service.batch.compatibility import check_compatible
from seedmint.service.batch.formats.base import FORMATS, ShardFormat
from seedmint.service.batch.job import load_plan, open_generator_file
from seedmint.service.batch.job_labels import parse_labels
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.batch.plan_comparison import check_same
from seedmint.service.batch.planning import SHARD_SIZE, JobSpec, join_splits, make_plan, spec_of
from seedmint.service.batch.storage.base import Output
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.cli.options import set_error_field, settings_with
from seedmint.service.places.lookup import find_file


@dataclass(frozen=True)
class JobOptions:
    """Options that define a job. None means the value of the job in the output, or the default of a new job.

    Attributes:
        model: Name or path of each generator.
        out: Path or URL of the output.
        seeds: The seeds, in the syntax of `parse_seeds`.
        split: The splits, each as NAME=SEEDS.
        labels: A label, the name of a class, "balanced", "per-seed", or weights as LABEL:WEIGHT,LABEL:WEIGHT.
        shard_format: Format of the shards.
        shard_size: Seeds in each shard.
        truncation: Factor on z.
        filter_rule: Rule of the images to keep.
        directory: Directory of generators.
    """

    model: tuple[str, ...]
    out: str
    seeds: str | None
    split: tuple[str, ...]
    labels: str | None
    shard_format: ShardFormat | None
    shard_size: int | None
    truncation: float | None
    filter_rule: str | None
    directory: str | None


@dataclass(frozen=True)
class OpenJob:
    """A job whose options have been checked.

    Attributes:
        output: Storage of the files of the job.
        plan: The plan that the options give.
        paths: The generator files, in the order of the plan.
        exists: Whether the output already contains this plan.
    """

    output: Output
    plan: Plan
    paths: tuple[Path, ...]
    exists: bool


_OPTIONS = (
    click.argument("model", nargs=-1, required=True),
    click.option("--out", required=True, metavar="DIR_OR_URL", help="Folder, or object store prefix (s3://bucket/prefix)."),
    click.option("--seeds", help='Seeds: "0-999999" or "0-9,100". Ranges include both ends.'),
    click.option(
        "--split",
        multiple=True,
        metavar="NAME=SEEDS",
        help="A split with its seeds, such as train=0-59999, in place of --seeds. Repeat the option for each split.",
    ),
    click.option(
        "--labels",
        help='One label for all (number or class name), "balanced", "per-seed" (the label of each seed), or weights such as '
        '"3:1000,7:500" (exact counts, if they add up to the number of images of a split). [per-seed]',
    ),
    click.option(
        "--format",
        "shard_format",
        type=click.Choice(FORMATS),
        help="Format of the shards. Samples: parquet, npz or npy. [webdataset for images, parquet for samples]",
    ),
    click.option("--shard-size", type=click.IntRange(min=1), help=f"Seeds in one shard. [{SHARD_SIZE:,}]"),
    click.option("--truncation", type=float, help="Factor on z, 0.001 to 1. Smaller values give less variety. [1]"),
    click.option(
        "--filter",
        "filter_rule",
        metavar="RULE",
        help='Keep only some of the images: "margin > 0.9". The scores are margin (largest probability of a class minus the '
        "second largest), confidence (the largest) and label_confidence (of the image's own label), by a shipped classifier.",
    ),
    click.option("--models", "directory", help="Directory of generators. [SEEDMINT_MODELS]"),
)


def job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `JobOptions` to a command.

    Args:
        command: The function of the command.
    """
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def open_job(options: JobOptions) -> OpenJob:
    """Check the options and make the plan.

    Args:
        options: The options.

    Raises:
        PlanError: An option is wrong, or the output holds another job.
    """
    with permanent_errors():
        settings = settings_with(options.directory)
        paths = tuple(find_file(model, settings) for model in options.model)
        contents, cards = zip(*map(_read, paths), strict=True)
    output = open_output(options.out)
    existing = load_plan(output)
    with permanent_errors():
        check_compatible([(digest_of(content), card) for content, card in zip(contents, cards, strict=True)])
        spec = _spec(options, existing, cards)
        provider = choose_provider(settings.provider if existing is None else existing.provider)
        first, *others = (open_generator_file(path, content, provider) for path, content in zip(paths, contents, strict=True))
        plan = make_plan(first, spec, others)
    if existing is not None:
        check_same(existing, plan, output.url)
    return OpenJob(output, plan, paths, existing is not None)


def _read(path: Path) -> tuple[bytes, Card]:
    """Read a generator file and its card.

    Raises:
        GeneratorError: The file is not a generator. The message names the file.
    """
    try:
        content = read_content(path)
        return content, checked_card(content)
    except UserError as error:
        raise GeneratorError(f"{path}: {error}", field="model", reason=error.reason) from None


@contextmanager
def permanent_errors() -> Iterator[None]:
    """Turn errors in the arguments into `PlanError`, whose exit status 2 means that the same command always fails."""
    try:
        yield
    except ProviderError:
        raise
    except UserError as error:
        raise PlanError(str(error), field=error.field, reason=error.reason) from None


def parse_part(index: int | None, count: int | None) -> tuple[int, int]:
    """Check the index of this machine and the number of machines.

    Args:
        index: Value of `--shard-index`; None if the option is absent.
        count: Value of `--num-shards`; None if the option is absent.

    Returns:
        The index and the number.

    Raises:
        PlanError: Only one is given, or the index is too large.
    """
    if index is None and count is None:
        return 0, 1
    if index is None or count is None:
        missing = "shard_index" if index is None else "num_shards"
        raise PlanError(
            "is missing: --shard-index and --num-shards (or JOB_COMPLETION_INDEX and JOB_COMPLETIONS) go together",
            field=missing,
            reason="missing",
        )
    if index >= count:
        raise PlanError(
            f"{index} is out of range: 0 to {count - 1} for {count} shards", field="shard_index", reason="out_of_range"
        )
    return index, count


def _spec(options: JobOptions, existing: Plan | None, cards: Sequence[Card]) -> JobSpec:
    """Return the options as data. A missing option has the value of the job in the output, or the default of a new job."""
    seeds, splits = _seeds(options)
    changes: dict[str, Any] = {
        "labels": None if options.labels is None else parse_labels(options.labels, cards),
        "truncation": options.truncation,
        "format": options.shard_format,
        "shard_size": options.shard_size,
        "filter": options.filter_rule,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    if existing is None:
        if seeds is None:
            raise UserError('is missing: pass the seeds, such as "0-999999"', field="seeds", reason="missing")
        return JobSpec(seeds, splits, **given)
    spec = spec_of(existing)
    return replace(spec, **given) if seeds is None else replace(spec, seeds=seeds, splits=splits, **given)


def _seeds(options: JobOptions) -> tuple[Seeds | None, dict[str, int] | None]:
    """Return the seeds and the sizes of the splits, or None without these options."""
    if options.seeds is not None and options.split:
        raise UserError("excludes --seeds: give the seeds of each split", field="split", reason="conflict")
    if options.split:
        return join_splits([_parse_split(text) for text in options.split])
    return (None if options.seeds is None else _parse_seeds(options.seeds)), None


def _parse_split(text: str) -> tuple[str, Seeds]:
    name, equals, seeds = text.partition("=")
    if not equals:
        raise UserError(f"{quoted(text)} has no seeds: use NAME=SEEDS", field="split", reason="malformed_split")
    with set_error_field("split"):
        return name, parse_seeds(seeds)


def _parse_seeds(text: str) -> Seeds:
    with set_error_field("seeds"):
        return parse_seeds(text)
