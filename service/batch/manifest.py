"""manifest.json of a finished job: its plan, its shards with their SHA-256, and the totals."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from seedmint.service.batch.plan import Plan
from seedmint.service.batch.records import Record
from seedmint.service.batch.storage.base import Output

MANIFEST = "manifest.json"


@dataclass
class Totals:
    """Totals of all shards.

    Attributes:
        shards: Number of shards.
        count: Number of images or samples in the data.
        tried: Number of seeds. With a filter, some of them have no image in the data.
        bytes: Size of the data files.
        determinism: "exact" if every shard is exact.
    """

    shards: int = 0
    count: int = 0
    tried: int = 0
    bytes: int = 0
    determinism: Literal["exact", "approximate"] = "exact"

    def add(self, record: Record) -> None:
        """Add one shard.

        Args:
            record: The record of the shard.
        """
        self.shards += 1
        self.count += record.num_images
        self.tried += record.count
        self.bytes += record.bytes
        if record.determinism == "approximate":
            self.determinism = "approximate"


def write_manifest(output: Output, plan: Plan, records: Iterable[Record]) -> Totals:
    """Write manifest.json.

    Args:
        output: The output of the job.
        plan: Its plan.
        records: The records of all shards, in order.

    Returns:
        The totals of all shards.
    """
    totals = Totals()
    with output.write(MANIFEST) as file:
        for part in manifest(plan, records, totals):
            file.write(part)
    return totals


def manifest(plan: Plan, records: Iterable[Record], totals: Totals) -> Iterator[bytes]:
    """Yield the content of manifest.json in parts, because a job may have a million shards.

    The content depends only on the plan and the records. It contains no time.

    Args:
        plan: The plan of the job.
        records: The records of all shards, in order.
        totals: Receives the records.
    """
    document: dict[str, Any] = plan.model_dump(mode="json", by_alias=True)
    document |= {"noise": document["card"]["noise"], "plan": plan.digest}
    yield (_json(document).removesuffix("\n}") + ',\n  "shards": [').encode()
    for record in records:
        yield ("," if totals.shards else "").encode() + manifest_entry(record)
        totals.add(record)
    tried = {} if plan.filter is None else {"seeds": totals.tried}
    end = {"totals": {"shards": totals.shards, f"{plan.card.output.kind}s": totals.count, **tried, "bytes": totals.bytes}}
    yield ("\n  ]," + _json(end | {"determinism": totals.determinism}).removeprefix("{") + "\n").encode()


def manifest_entry(record: Record) -> bytes:
    """Return the line of one shard.

    Args:
        record: The record of the shard.
    """
    fields = {"shard", "file", "seeds", "count", "accepted", "refused", "bytes", "sha256"}
    return ("\n    " + json.dumps(record.model_dump(include=fields))).encode()


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
