"""What `POST /v1/jobs` asks for, and the plan that it means. The same request is the same plan, and so the same job."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from seedmint.models.card import ImageOutput
from seedmint.models.errors import UserError
from seedmint.models.seeds import parse_seeds, seeds_from_list
from seedmint.service.api.bulk_samples import TRUNCATION_BOUNDS, Label, SeedList, SeedText
from seedmint.service.batch.formats import Form
from seedmint.service.batch.plan import Plan, make_plan
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import Generator
from seedmint.service.specs.values import require_label, require_truncation

MAX_SHARDS = 10_000  # of one job: each is a file and a record, which its page counts
SHARD_SIZE = 10_000


class JobRequest(BaseModel):
    """A data set to be made in shards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StrictStr = Field(description="Name of a generator, or name@digest12 to insist on a version.")
    seeds: SeedText | SeedList = Field(description='Seeds as text, "0-99999" (ranges are inclusive), or as a list; none twice.')
    labels: Label | Literal["balanced", "per-seed"] | None = Field(
        default=None,
        description="One label for all; balanced: position in the sequence, modulo their number; null or per-seed: the labels "
        "that the seeds name.",
    )
    truncation: Annotated[StrictFloat | StrictInt, Field(description="Factor on z.", json_schema_extra=TRUNCATION_BOUNDS)] = 1.0
    format: Form | None = Field(
        default=None, description="Images: any. Samples: parquet, npz, npy. null: webdataset, and parquet of samples."
    )
    shard_size: Annotated[StrictInt, Field(ge=1, description=f"Seeds in a shard; at most {MAX_SHARDS:,} shards.")] = SHARD_SIZE


def plan_of_request(asked: JobRequest, generator: Generator, max_images: int) -> Plan:
    """The plan of a request. A list of seeds takes a while: not for the event loop.

    Raises:
        Problem: 400, 413 or 422, naming the field.
    """
    truncation = require_truncation(asked.truncation)
    try:
        if isinstance(asked.seeds, str):
            seeds = parse_seeds(asked.seeds, max_images)
        else:
            seeds = seeds_from_list(asked.seeds, max_images)
    except UserError as error:
        raise Problem.of(error, "seeds") from None
    if isinstance(asked.labels, int):
        require_label(generator, asked.labels, "labels")
    usual: Form = "webdataset" if isinstance(generator.card.output, ImageOutput) else "parquet"
    try:
        plan = make_plan(
            generator.digest,
            generator.card,
            generator.provider,
            seeds,
            asked.labels,
            truncation,
            asked.format or usual,
            asked.shard_size,
        )
    except UserError as error:
        option, _, rest = str(error).removeprefix("--").partition(" ")  # as the command line would say it
        field = option.rstrip(":").replace("-", "_")
        raise Problem(422, f"{field}{':' * option.endswith(':')} {rest}", field) from None
    if plan.shards > MAX_SHARDS:
        least = -(-plan.count // MAX_SHARDS)
        raise Problem(
            422, f"shard_size {asked.shard_size} makes more than {MAX_SHARDS:,} shards: take at least {least:,}", "shard_size"
        )
    return plan
