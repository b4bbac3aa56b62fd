"""The body of `POST /v1/jobs` and the plan of a request. Equal requests have equal plans and so are the same job."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from seedmint.service.api.bulk_samples import TRUNCATION_BOUNDS, Label, SeedList, SeedText, read_seeds
from seedmint.service.batch.formats.base import ShardFormat
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.planning import SHARD_SIZE, JobSpec, check_num_shards, make_plan
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.values import require_label, require_truncation

MAX_SHARDS = 10_000  # in one job: each shard is a file and a record, and the job's page counts them


class JobRequest(BaseModel):
    """A request for a data set in shards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StrictStr = Field(description="Name of a generator, or name@digest12 for one version.")
    seeds: SeedText | SeedList = Field(
        description='Seeds as text, "0-99999" (ranges include both ends), or as a list. No seed may occur twice.'
    )
    labels: Label | Literal["balanced", "per-seed"] | None = Field(
        default=None,
        description="A number: one label for all. balanced: the position in the sequence of seeds, modulo the number of "
        "classes. null or per-seed: the label of each seed.",
    )
    truncation: Annotated[StrictFloat | StrictInt, Field(description="Factor on z.", json_schema_extra=TRUNCATION_BOUNDS)] = 1.0
    format: ShardFormat | None = Field(
        default=None,
        description="Format of the shards. Images: any. Samples: parquet, npz or npy. "
        "null: webdataset for images, parquet for samples.",
    )
    shard_size: Annotated[StrictInt, Field(ge=1, description=f"Seeds in each shard. A job may have {MAX_SHARDS:,} shards.")] = (
        SHARD_SIZE
    )


def create_plan(request: JobRequest, generator: Generator, max_images: int) -> Plan:
    """Return the plan of a request. Parsing a list of seeds takes time, so do not call this on the event loop.

    Args:
        request: The body of the request.
        generator: The generator that it names.
        max_images: Largest number of images or samples in a job.

    Raises:
        UserError: An option does not fit; `field` names it.
        Problem: 400, 413 or 422; the same.
    """
    truncation = require_truncation(generator, request.truncation)
    seeds = read_seeds(request.seeds, max_images)
    if isinstance(request.labels, int):
        require_label(generator, request.labels, "labels")
    spec = JobSpec(seeds, None, request.labels, truncation, request.format, request.shard_size)
    plan = make_plan(generator, spec)
    check_num_shards(plan.count, plan.shard_size, MAX_SHARDS)
    return plan
