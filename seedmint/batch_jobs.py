"""`seedmint.batch`: writes data sets in shards, as `seedmint batch run` does. Needs the extra `batch`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seedmint.arguments import SeedsLike, seeds_text, split_texts, whole_number
from seedmint.generator import Generator
from seedmint.models.errors import UserError
from seedmint.models.installation import needs_extra
from seedmint.sources import local_file, resolve_source

if TYPE_CHECKING:
    from seedmint.service.batch.formats.base import ShardFormat
    from seedmint.service.batch.progress import OnProgress


@dataclass(frozen=True)
class BatchResult:
    """A finished job.

    Attributes:
        url: Path or URL of the output.
        count: Images or samples in the data; with a filter, those that it keeps.
        shards: Shards of the job.
        generated: Images or samples that this call generated; the others were complete before.
    """

    url: str
    count: int
    shards: int
    generated: int


def batch(
    model: str | Path | Generator | Sequence[str | Path | Generator],
    out: str | Path,
    seeds: SeedsLike | None = None,
    *,
    splits: Mapping[str, SeedsLike] | None = None,
    labels: int | str | Mapping[int | str, int] | None = None,
    format: "ShardFormat | None" = None,
    shard_size: int | None = None,
    truncation: float | None = None,
    filter: str | None = None,
    workers: int | None = None,
    engine: Literal["local", "ray"] = "local",
    models: str | Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BatchResult:
    """Write the images or samples of seeds as a data set of shards, or resume the job in `out`.

    Args:
        model: An open generator, or a name, path or URL as for `seedmint.load`. A list of several: each makes all seeds.
        out: Folder, or URL of an object store. A job that is already there is resumed; the arguments then may be omitted.
        seeds: A range, a text such as "0-63,100", or any iterable or array of seeds, no seed twice.
        splits: Name -> seeds of each split, in place of `seeds`.
        labels: A class number or name for all, "balanced", "per-seed", or label -> weight. None for the default of a new job,
            "per-seed", or the value of the job in `out`.
        format: "webdataset", "parquet", "png", "npz" or "npy". None for webdataset (images) or parquet (samples).
        shard_size: Seeds in one shard. None for 10,000.
        truncation: Factor on z, 0.001 to 1. None for 1.
        filter: Rule of the images to keep, such as "margin > 0.9".
        workers: Shards that are made at the same time. None for one on each processor.
        engine: "local" for processes of this machine, "ray" for tasks of a Ray cluster.
        models: Directory of generators; None for `SEEDMINT_MODELS`, or else the default directory.
        on_progress: Called with the number of images or samples that are done, and the number of the whole job.

    Raises:
        UserError: An argument is wrong, `out` holds another job, or the job failed. Finished shards stay; the same call
            resumes the job.
        OSError: The output is not writable.
    """
    with needs_extra("batch"):
        from seedmint.service.batch.engines.choice import choose_engine
        from seedmint.service.batch.execute import execute
        from seedmint.service.cli.batch_options import JobOptions, open_job

    for field, value in (("shard_size", shard_size), ("workers", workers)):
        if value is not None:
            whole_number(value, field)
    sources = [model] if isinstance(model, str | Path | Generator) else model
    if not sources:
        raise UserError("is empty: pass at least one generator", field="model", reason="missing")
    files = [_generator_file(source, models) for source in sources]
    options = JobOptions(
        model=tuple(str(path.absolute()) for path, _ in files),
        out=str(out),
        seeds=None if seeds is None else seeds_text(seeds),
        split=tuple(f"{name}={part}" for name, part in split_texts(splits or {}).items()),
        labels=_labels_text(labels),
        shard_format=format,
        shard_size=shard_size,
        truncation=truncation,
        filter_rule=filter,
        directory=None if models is None else str(models),
    )
    try:
        job = open_job(options)
    except UserError as error:
        error.field = "splits" if error.field == "split" else error.field
        raise
    for (path, digest), generator in zip(files, job.plan.generators, strict=True):
        if digest is not None and not generator.model.startswith(digest):
            raise UserError(
                f"{path} has the digest {generator.model[:12]}, not {digest[:12]}", field="model", reason="wrong_digest"
            )

    def display(images: int, shards: int, images_done: int, shards_done: int) -> "AbstractContextManager[OnProgress]":
        return _reported(on_progress, images, images_done)

    make_shards = choose_engine(engine, job.paths, job.output.url, job.plan, workers)
    result = execute(job.output, job.plan, job.paths, make_shards, display)
    if result.totals is None:
        raise UserError(
            f"files were removed from {job.output.url} while the job ran: run it again", field="out", reason="output_removed"
        )
    return BatchResult(job.output.url, result.totals.count, job.plan.num_shards, result.count)


def _generator_file(model: str | Path | Generator, models: str | Path | None) -> tuple[Path, str | None]:
    """Return the file of a generator, and its expected digest or first digits; None if any version is accepted."""
    source, digest = (model.source, model.digest) if isinstance(model, Generator) else resolve_source(model, models)
    return local_file(source, digest), digest


def _labels_text(labels: int | str | Mapping[int | str, int] | None) -> str | None:
    if isinstance(labels, Mapping):
        return ",".join(f"{label}:{weight}" for label, weight in labels.items())
    return None if labels is None else str(labels)


@contextmanager
def _reported(on_progress: Callable[[int, int], None] | None, total: int, done: int) -> "Iterator[OnProgress]":
    """Turn the events of a job, which count since the last event, into totals."""

    def report(event: Any) -> None:
        nonlocal done
        done += event.images
        if on_progress is not None:
            on_progress(done, total)

    yield report
