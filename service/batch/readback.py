"""What a shard holds, read back from the output."""

import hashlib
from typing import IO

from seedmint.service.batch.plan import Plan
from seedmint.service.batch.png_folder import Listing, file_names
from seedmint.service.batch.records import Record, write_record
from seedmint.service.batch.storage.base import Output

_BLOCK = 1 << 20


def sha256_of(file: IO[bytes]) -> str:
    """Of all that is still to be read."""
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def confirmed(output: Output, plan: Plan, record: Record) -> Record:
    """The record of a shard by a generator that is only approximate, which is there already: of the bytes that are there.

    Another run may have made the shard at the same time, with other bytes, and put its own in place between data and record
    of this one. So each reads back what it finds after it has written, until record and data fit: then they do after the last.

    Raises:
        OSError, UserError: it cannot be read or written.
    """
    while True:
        size, sha256 = _content(output, plan, record)
        if (size, sha256) == (record.bytes, record.sha256):
            return record
        record = record.model_copy(update={"bytes": size, "sha256": sha256})
        write_record(output, record)


def _content(output: Output, plan: Plan, record: Record) -> tuple[int, str]:
    """Bytes and SHA-256, as a record has them."""
    if plan.format == "png":
        listing = Listing()
        for name in file_names(plan, plan.shard(record.shard)):
            listing.add(name, output.read(name))
        return listing.bytes, listing.sha256
    with output.open(record.file) as file:
        sha256 = sha256_of(file)
        return file.tell(), sha256
