"""A job in its output: begin or resume it, open its generator, finish it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from seedmint.models.errors import UserError
from seedmint.models.runtime.generator_file import GeneratorError, digest_of, read_content
from seedmint.models.runtime.provider import Provider, choose_provider
from seedmint.service.batch.completeness import missing_shards
from seedmint.service.batch.data_card import write_data_card
from seedmint.service.batch.manifest import Totals, write_manifest
from seedmint.service.batch.plan import BATCH, Plan, PlanError, read_plan
from seedmint.service.batch.plan_comparison import check_same
from seedmint.service.batch.records import read_records
from seedmint.service.batch.row_index import write_row_indices
from seedmint.service.batch.storage.base import PLAN_FILE, InvalidOutputError, Output, OutputError
from seedmint.service.runtime.generator import Generator

_THREADS = 1  # for each run of the generator: the workers share the processors


def load_plan(output: Output) -> Plan | None:
    """Read the plan of the job in an output.

    Args:
        output: The output.

    Returns:
        The plan, or None if the output holds no job.

    Raises:
        PlanError: The plan is not readable.
    """
    try:
        content = output.read(PLAN_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return read_plan(content, f"{output.url}/{PLAN_FILE}")


def begin(output: Output, plan: Plan) -> None:
    """Write the plan, or check that the output already holds the same plan. Several processes may call this at once.

    Args:
        output: The output of the job.
        plan: The plan.

    Raises:
        PlanError: The output holds another job.
        InvalidOutputError: The output holds files that are not a job.
        OSError: The output is not writable.
    """
    existing = load_plan(output)
    if existing is None:
        output.prepare()
        names = set(output.names(""))
        if names and PLAN_FILE not in names:  # with PLAN_FILE, another process has begun the job in the meantime
            raise InvalidOutputError(
                f"{output.url} is not empty and holds no job: use a new folder", field="out", reason="not_a_job"
            )
        with suppress(FileExistsError):  # another process has just written it
            output.create(PLAN_FILE, plan.to_json())
        existing = load_plan(output)
        if existing is None:
            raise OutputError(f"{output.url}: {PLAN_FILE} was removed", field="out", reason="output_removed")
    check_same(existing, plan, output.url)


def open_plan_generators(paths: Sequence[Path], plan: Plan) -> tuple[Generator, ...]:
    """Open the generators of a plan.

    Args:
        paths: The generator files, in the order of the plan.
        plan: The plan.

    Raises:
        PlanError: A file is not the generator file of the plan.
        UserError: A file is not a generator.
        OSError: A file is not readable.
    """
    return tuple(open_plan_generator(path, plan, index) for index, path in enumerate(paths))


def open_plan_generator(path: Path, plan: Plan, index: int = 0) -> Generator:
    """Open one generator of a plan.

    Args:
        path: The generator file.
        plan: The plan.
        index: Index of the generator in the plan.

    Raises:
        PlanError: The file is not the generator file of the plan.
        UserError: The file is not a generator.
        OSError: The file is not readable.
    """
    return open_generator_content(read_plan_generator(path, plan, index), plan)


def read_plan_generator(path: Path, plan: Plan, index: int = 0) -> bytes:
    """Read the file of one generator of a plan.

    Args:
        path: The generator file.
        plan: The plan.
        index: Index of the generator in the plan.

    Raises:
        PlanError: The file is not the generator file of the plan.
        OSError: The file is not readable.
    """
    content, of_plan = read_content(path), plan.generators[index]
    digest = digest_of(content)
    if digest != of_plan.model:
        raise PlanError(
            f"{path} has changed: its digest is {digest[:12]}, and the job uses {of_plan.reference}: "
            f"restore that file, or use another output",
            field="model",
            reason="other_generator",
        )
    return content


class ShardGenerators:
    """The generators of a plan for the shards of one process, each opened when its first shard is made."""

    def __init__(self, plan: Plan, read: Callable[[int], bytes]) -> None:
        """
        Args:
            plan: The plan.
            read: Returns the content of the file of a generator by its index.
        """
        self._plan = plan
        self._read = read
        self._opened: dict[int, Generator] = {}

    def of_shard(self, shard: int) -> Generator:
        """Return the generator of a shard.

        Args:
            shard: Index of the shard.

        Raises:
            PlanError: A file is not the generator file of the plan.
            UserError: A file is not a generator.
            OSError: A file is not readable.
        """
        index = self._plan.part_of(shard).generator
        if index not in self._opened:
            self._opened[index] = open_generator_content(self._read(index), self._plan)
        return self._opened[index]


def open_generator_content(content: bytes, plan: Plan) -> Generator:
    """Open a generator of a plan from the content of its file.

    Args:
        content: The content.
        plan: The plan.

    Raises:
        UserError: The content is not a generator, or the provider of the plan does not work here.
    """
    return Generator(content, choose_provider(plan.provider), _THREADS, plan.batch)


def open_generator_file(path: Path, content: bytes, provider: Provider) -> Generator:
    """Open a generator file as jobs run it.

    Args:
        path: The file, for the error message.
        content: The content of the file.
        provider: ONNX Runtime execution provider.

    Raises:
        GeneratorError: The file is not a generator. The message names the file.
    """
    try:
        return Generator(content, provider, _THREADS, BATCH)
    except UserError as error:
        raise GeneratorError(f"{path}: {error}", field="model", reason=error.reason) from None


def finish(output: Output, plan: Plan) -> Totals | None:
    """Write the index, the manifest and the data card if every shard is complete. Every process writes the same bytes.

    An existing data card stays as it is, because users edit it.

    Args:
        output: The output of the job.
        plan: Its plan.

    Returns:
        The totals of all shards, or None if a shard is missing.

    Raises:
        RecordError: A record is damaged, or belongs to another job.
    """
    if len(missing_shards(output, plan)):
        return None
    write_row_indices(output, plan)
    totals = write_manifest(output, plan, read_records(output, plan))
    write_data_card(output, plan, totals)
    return totals
