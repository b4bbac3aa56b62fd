"""Reads shards back from the output, to hash them."""

import hashlib
from typing import IO

from seedmint.service.batch.plan import Plan
from seedmint.service.batch.png_folder import FileListing, recorded_files
from seedmint.service.batch.records import Record, write_record
from seedmint.service.batch.storage.base import Output

_BLOCK_BYTES = 1 << 20


def compute_sha256(file: IO[bytes]) -> str:
    """Return the SHA-256 of the rest of a file.

    Args:
        file: The file; it is read to its end.
    """
    digest = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def reconcile(output: Output, plan: Plan, record: Record) -> Record:
    """Rewrite the record of a shard until it agrees with the shard in the output.

    Only generators that are not deterministic need this. Another run may make the same shard at the same time, with other
    bytes, and replace the shard after this run has written its record. Every run therefore reads the shard back after it has
    written the record; after the last run, record and shard agree.

    Args:
        output: The output of the job.
        plan: Its plan.
        record: The record that was just written.

    Returns:
        The record that agrees with the shard.

    Raises:
        OSError: The output cannot be read or written.
        UserError: The same, for an object store.
    """
    while True:
        size, sha256 = _size_and_sha256(output, plan, record)
        if (size, sha256) == (record.bytes, record.sha256):
            return record
        record = record.model_copy(update={"bytes": size, "sha256": sha256})
        write_record(output, record)


def _size_and_sha256(output: Output, plan: Plan, record: Record) -> tuple[int, str]:
    if plan.format == "png":
        listing = FileListing()
        for name in recorded_files(plan, record):
            listing.add(name, output.read(name))
        return listing.bytes, listing.sha256
    with output.open(record.file) as file:
        sha256 = compute_sha256(file)
        return file.tell(), sha256
