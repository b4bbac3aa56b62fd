"""The body of `POST /v1/jobs` and the plan of a request. Equal requests have equal plans and so are the same job."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from seedmint.models.errors import UserError
from seedmint.models.seeds import Seeds
from seedmint.service.api.bulk_samples import TRUNCATION_BOUNDS, Label, SeedList, SeedText, read_seeds
from seedmint.service.batch.formats.base import ShardFormat
from seedmint.service.batch.job_labels import parse_labels
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.planning import SHARD_SIZE, JobSpec, check_num_shards, join_splits, make_plan
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.values import require_label, require_truncation

MAX_SPLITS = 16
MAX_GENERATORS = 16
MAX_SHARDS = 10_000  # in one job: each shard is a file and a record, and the job's page counts them


class JobRequest(BaseModel):
    """A request for a data set in shards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StrictStr | None = Field(
        default=None, description="Name of a generator, or name@digest12 for one version. Required without models."
    )
    models: Annotated[list[StrictStr], Field(min_length=1, max_length=MAX_GENERATORS)] | None = Field(
        default=None,
        description="Several generators, in place of model. Each makes all seeds. The data name the generator of each image or "
        "sample. Their images or samples have the same shape.",
        examples=[["mnist", "fashion-mnist"]],
    )
    seeds: SeedText | SeedList | None = Field(
        default=None,
        description='Seeds as text, "0-99999" (ranges include both ends), or as a list. No seed may occur twice. '
        "Required without splits.",
    )
    splits: Annotated[dict[StrictStr, SeedText], Field(min_length=1, max_length=MAX_SPLITS)] | None = Field(
        default=None,
        description="The seeds of each split by its name, in place of seeds.",
        examples=[{"train": "0-59999", "test": "60000-69999"}],
    )
    labels: Label | StrictStr | None = Field(
        default=None,
        description="A number or the name of a class: one label for all. balanced: the position in the sequence of seeds, "
        "modulo the number of classes. Weights, such as 3:1000,7:500: exact counts, if they add up to the number of images of "
        "a split. null or per-seed: the label of each seed.",
    )
    truncation: Annotated[StrictFloat | StrictInt, Field(description="Factor on z.", json_schema_extra=TRUNCATION_BOUNDS)] = 1.0
    filter: StrictStr | None = Field(
        default=None,
        description="Keeps only some of the images, by a shipped classifier. The scores are margin, confidence and "
        "label_confidence. The number of images of the job counts all seeds that are tried; its manifest has the kept ones.",
        examples=["margin > 0.9"],
    )
    format: ShardFormat | None = Field(
        default=None,
        description="Format of the shards. Images: any. Samples: parquet, npz or npy. "
        "null: webdataset for images, parquet for samples.",
    )
    shard_size: Annotated[StrictInt, Field(ge=1, description=f"Seeds in each shard. A job may have {MAX_SHARDS:,} shards.")] = (
        SHARD_SIZE
    )


def references(request: JobRequest) -> list[str]:
    """Return the generators of a request, as names or name@digest12.

    Args:
        request: The body of the request.

    Raises:
        Problem: 400, the request has neither model nor models, or both.
    """
    if (request.model is None) == (request.models is None):
        raise Problem(400, "give either model or models", "model" if request.model is None else "models")
    return [request.model] if request.model is not None else request.models or []


def create_plan(request: JobRequest, generators: Sequence[Generator], max_images: int) -> Plan:
    """Return the plan of a request. Parsing a list of seeds takes time, so do not call this on the event loop.

    Args:
        request: The body of the request.
        generators: The generators that it names.
        max_images: Largest number of images or samples in a job.

    Raises:
        UserError: An option does not fit; `field` names it.
        Problem: 400, 413 or 422; the same.
    """
    first, *others = generators
    with _members(bool(others)):
        return _create_plan(request, first, others, max_images)


@contextmanager
def _members(has_several: bool) -> Iterator[None]:
    """Name the members of the request in errors of batch jobs, which have the names of options."""
    names = {"split": "splits"} | ({"model": "models"} if has_several else {})
    try:
        yield
    except UserError as error:
        error.field = names.get(error.field or "", error.field)
        raise


def _create_plan(request: JobRequest, first: Generator, others: Sequence[Generator], max_images: int) -> Plan:
    generators = [first, *others]
    seeds, splits = _seeds(request, max_images)
    if seeds.count * len(generators) > max_images:
        raise Problem(413, f"more than {max_images} images of {len(generators)} generators", "models")
    labels = request.labels
    if isinstance(labels, int):
        for generator in generators:
            require_label(generator, labels, "labels")
    spec = JobSpec(
        seeds,
        splits,
        parse_labels(labels, [generator.card for generator in generators]) if isinstance(labels, str) else labels,
        max(require_truncation(generator, request.truncation) for generator in generators),
        request.format,
        request.shard_size,
        request.filter,
    )
    plan = make_plan(first, spec, others)
    check_num_shards(plan.count, plan.shard_size, MAX_SHARDS)
    return plan


def _seeds(request: JobRequest, max_images: int) -> tuple[Seeds, dict[str, int] | None]:
    """Return the seeds, and the number of seeds of each split."""
    if (request.seeds is None) == (request.splits is None):
        raise Problem(400, "give either seeds or splits", "seeds" if request.seeds is None else "splits")
    if request.splits is None:
        assert request.seeds is not None
        return read_seeds(request.seeds, max_images), None
    seeds, splits = join_splits([(name, read_seeds(text, max_images, "splits")) for name, text in request.splits.items()])
    if seeds.count > max_images:
        raise Problem(413, f"more than {max_images} seeds", "splits")
    return seeds, splits
