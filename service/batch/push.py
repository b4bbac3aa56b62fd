"""Publishes a finished job as a data set on the Hugging Face Hub, in one commit.

Files are uploaded before the commit, so the data set appears with all of its files, or not at all. The Hub keeps
uploaded files by their SHA-256: a push that was interrupted uploads only the rest.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from seedmint.models.errors import UserError
from seedmint.service.batch.completeness import missing_shards
from seedmint.service.batch.data_card import DATA_CARD
from seedmint.service.batch.manifest import MANIFEST
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.batch.plan_comparison import references
from seedmint.service.batch.png_folder import recorded_files
from seedmint.service.batch.progress import BatchProgress, OnProgress
from seedmint.service.batch.records import read_record, read_records
from seedmint.service.batch.row_index import row_indices
from seedmint.service.batch.storage.base import PLAN_FILE, Output
from seedmint.service.batch.storage.local import LocalOutput

MAX_FILES = 20_000  # in one commit; the Hub is slow with more
_URL = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?/?", re.ASCII)
_FILES_AT_ONCE = 32  # small files of one upload
_NO_PERMISSION = (401, 403)
# The class of httpx or httpx2, by the version of the library. Without a connection, its own exceptions are of this class.
_TRANSPORT_ERROR: type[Exception] = next(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))


@dataclass(frozen=True)
class HubDataset:
    """A data set on the Hub.

    Attributes:
        repository: USER/NAME.
        revision: The branch.
    """

    repository: str
    revision: str

    @property
    def url(self) -> str:
        """The address, as `datasets.load_dataset` and fsspec take it."""
        return f"hf://datasets/{self.repository}"


@dataclass(frozen=True)
class Pushed:
    """The changes of a push.

    Attributes:
        files: Number of files of the commit; 0 if the data set was complete already.
        keeps_card: Whether the repository has a data card of its own, which stays.
    """

    files: int
    keeps_card: bool


def parse_hub_url(url: str) -> HubDataset:
    """Parse the address of a data set on the Hub.

    Args:
        url: hf://datasets/USER/NAME, with @BRANCH for another branch than main.

    Raises:
        PlanError: The address is malformed.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise PlanError(
            f"{url} is no data set on the Hub: use hf://datasets/USER/NAME", field="hub_url", reason="malformed_url"
        )
    return HubDataset(match[1], match[2] or "main")


def push(output: Output, plan: Plan, target: HubDataset, is_private: bool, on_progress: OnProgress) -> Pushed:
    """Publish a finished job. The same call continues a push that was interrupted.

    Args:
        output: The output of the job.
        plan: Its plan.
        target: The data set, which is created if it does not exist.
        is_private: Whether a new repository is private.
        on_progress: Receives an event after each uploaded file: one image and one shard stand for one file.

    Raises:
        PlanError: The job is not finished, has too many files, or the repository holds another data set.
        UserError: A shard differs from its record, the token has no permission, or the Hub does not answer.
        OSError: A file is not readable.
    """
    names = published_files(output, plan)
    api = HfApi()
    with _hub_errors(target):
        api.create_repo(target.repository, repo_type="dataset", private=is_private or None, exist_ok=True)
        info = api.dataset_info(target.repository, revision=target.revision, files_metadata=True)
    remote = {file.rfilename: None if file.lfs is None else file.lfs.sha256 for file in info.siblings or ()}
    _check_same_data_set(api, output, target, remote)
    keeps_card = DATA_CARD in remote
    hashes = _recorded_hashes(output, plan)
    waiting = [name for name in names if name not in remote or (name in hashes and remote[name] != hashes[name])]
    additions: list[CommitOperationAdd] = []
    for first in range(0, len(waiting), _FILES_AT_ONCE):
        part = waiting[first : first + _FILES_AT_ONCE]
        with _hub_errors(target):
            additions += _upload(api, output, target, part, hashes)
        on_progress(BatchProgress(len(part), len(part)))
    if additions:
        with _hub_errors(target):
            api.create_commit(
                target.repository,
                additions,
                commit_message=f"Add {plan.count:,} {plan.card.output.kind}s of {references(plan)}",
                repo_type="dataset",
                revision=target.revision,
                parent_commit=info.sha,
            )
    return Pushed(len(additions), keeps_card)


def published_files(output: Output, plan: Plan) -> list[str]:
    """Return the names of the files that a push publishes: the data, the index, the manifest and the data card.

    Args:
        output: The output of the job.
        plan: Its plan.

    Raises:
        PlanError: The job is not finished, or has more than `MAX_FILES` files.
    """
    if len(missing_shards(output, plan)) or MANIFEST not in set(output.names("")):
        raise PlanError(f"{output.url} is not finished: run the job first", field="out", reason="not_finished")
    count = plan.count if plan.format == "png" else plan.num_shards
    if count > MAX_FILES:
        raise PlanError(
            f"{output.url} has {count:,} data files, more than {MAX_FILES:,}: make the data set as parquet or webdataset, with "
            f"larger shards",
            field="out",
            reason="too_many_files",
        )
    if plan.format == "png":
        records = read_records(output, plan)
        data = [name for record in records for name in recorded_files(plan, record)]
    else:
        data = [plan.file_name(index) for index in range(plan.num_shards)]
    return [DATA_CARD, MANIFEST, PLAN_FILE, *row_indices(plan), *data]


def _check_same_data_set(api: HfApi, output: Output, target: HubDataset, remote: dict[str, Any]) -> None:
    """Check that the repository does not hold the data of another job.

    Raises:
        PlanError: It holds another job.
    """
    if PLAN_FILE not in remote:
        return
    with tempfile.TemporaryDirectory() as folder, _hub_errors(target):
        options: dict[str, Any] = {"repo_type": "dataset", "revision": target.revision, "local_dir": folder}
        found = Path(api.hf_hub_download(target.repository, PLAN_FILE, **options)).read_bytes()
    if found != output.read(PLAN_FILE):
        raise PlanError(
            f"{target.url} holds the data of another job: use another name, or another branch with @BRANCH",
            field="hub_url",
            reason="other_plan",
        )


def _recorded_hashes(output: Output, plan: Plan) -> dict[str, str]:
    """Return the SHA-256 of each shard file, from the records. The format png has hashes of many files together only."""
    if plan.format == "png":
        return {}
    return {plan.file_name(index): read_record(output, plan, index).sha256 for index in range(plan.num_shards)}


def _upload(
    api: HfApi, output: Output, target: HubDataset, names: list[str], hashes: dict[str, str]
) -> list[CommitOperationAdd]:
    additions = []
    for name in names:
        content: str | bytes = output.read(name) if not isinstance(output, LocalOutput) else str(output.root / name)
        addition = CommitOperationAdd(name, content)
        if name in hashes and addition.upload_info.sha256.hex() != hashes[name]:
            raise UserError(
                f"{name} differs from its record: run `seedmint batch verify {output.url}`", field="out", reason="other_hash"
            )
        additions.append(addition)
    api.preupload_lfs_files(target.repository, additions, repo_type="dataset", revision=target.revision, free_memory=True)
    return additions


@contextmanager
def _hub_errors(target: HubDataset) -> Iterator[None]:
    """Turn errors of the Hub into one line."""
    try:
        yield
    except (RepositoryNotFoundError, HfHubHTTPError) as error:
        status = error.response.status_code
        if status in _NO_PERMISSION or isinstance(error, RepositoryNotFoundError):
            raise PlanError(
                f"no permission to write {target.url}: log in with hf auth login, or set HF_TOKEN to a token that may write",
                field="hub_url",
                reason="no_permission",
            ) from None
        raise UserError(
            f"{target.url}: the Hub answered {status}: run the same command again to continue",
            field="hub_url",
            reason="hub_unavailable",
        ) from None
    except (_TRANSPORT_ERROR, RuntimeError) as error:  # RuntimeError: of an upload
        cause = (str(error) or repr(error)).splitlines()[0]
        raise UserError(
            f"{target.url}: {cause}: run the same command again to continue", field="hub_url", reason="hub_unavailable"
        ) from None
