"""What a finished job says about itself: manifest.json for programs, README.md for people and for the Hugging Face Hub."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from seedmint.service.batch.plan import Plan
from seedmint.service.batch.records import Record
from seedmint.service.batch.storage.base import Output

MANIFEST = "manifest.json"
DATA_CARD = "README.md"
_CLASSES_TOLD = 100


@dataclass
class Totals:
    """Sums over all shards. Determinism is exact if it was for each of them."""

    shards: int = 0
    count: int = 0
    bytes: int = 0
    determinism: Literal["exact", "approximate"] = "exact"

    def add(self, record: Record) -> None:
        self.shards += 1
        self.count += record.count
        self.bytes += record.bytes
        if record.determinism == "approximate":
            self.determinism = "approximate"


def write_manifest(output: Output, plan: Plan, records: Iterable[Record]) -> Totals:
    """Write it, and give the sums over all shards."""
    totals = Totals()
    with output.write(MANIFEST) as file:
        for piece in manifest(plan, records, totals):
            file.write(piece)
    return totals


def manifest(plan: Plan, records: Iterable[Record], totals: Totals) -> Iterator[bytes]:
    """The manifest piece by piece, since there may be a million shards, while the records are added to `totals`.

    It names no time and no order of work: the same plan gives the same bytes.
    """
    described: dict[str, Any] = plan.model_dump(mode="json", by_alias=True)
    described |= {"noise": described["card"]["noise"], "plan": plan.digest}
    yield (_json(described).removesuffix("\n}") + ',\n  "shards": [').encode()
    for record in records:
        kept = record.model_dump(include={"shard", "file", "seeds", "count", "bytes", "sha256"})
        yield ((",\n    " if totals.shards else "\n    ") + json.dumps(kept)).encode()
        totals.add(record)
    end = {"totals": {"shards": totals.shards, f"{plan.card.output.kind}s": totals.count, "bytes": totals.bytes}}
    yield ("\n  ]," + _json(end | {"determinism": totals.determinism}).removeprefix("{") + "\n").encode()


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")  # each to ten times the last
_PATTERNS = {"webdataset": "data/*.tar", "parquet": "data/*.parquet", "png": "data/**"}


def write_data_card(output: Output, plan: Plan, totals: Totals) -> None:
    """Write README.md. Its front matter tells the Hugging Face Hub and `datasets` where the data are."""
    with output.write(DATA_CARD) as file:
        file.write(data_card(plan, totals).encode())


def data_card(plan: Plan, totals: Totals) -> str:
    """What README.md says."""
    card, noun = plan.card, f"{plan.card.output.kind}s"
    size = next((name for power, name in enumerate(_SIZES, 3) if totals.count < 10**power), "n>1B")
    front = [
        f"pretty_name: {json.dumps(card.title, ensure_ascii=False)}",
        "tags: [synthetic, seedmint]",
        f"size_categories: [{size}]",
    ]
    if plan.format in _PATTERNS:
        front.append(f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {_PATTERNS[plan.format]}")
    shape = " x ".join(map(str, card.output.shape))
    rows = [
        ("generator", f"`{card.name}`, SHA-256 `{plan.model}`"),
        ("seeds", f"`{plan.seeds if len(plan.seeds) <= 100 else plan.seeds[:97] + '...'}`"),
        ("noise rule", f"`{card.noise.rule}`, z of {card.noise.z_dim}"),
        (noun, f"{totals.count:,} of {shape} ({card.output.dtype})"),
    ]
    if plan.labels is not None:
        told = {"per-seed": "those that the seeds name", "balanced": "position in the sequence of seeds, modulo their number"}
        rows.append(("labels", told.get(str(plan.labels), f"all {plan.labels}")))
        classes = card.classes or ()
        more = f" and {len(classes) - _CLASSES_TOLD:,} more" if len(classes) > _CLASSES_TOLD else ""
        if plan.format == "png":
            rows.append(("folders", "`data/LABEL/SEED.png`; a label without images has no folder"))
        rows.append(("classes", ", ".join(f"{i} {name}" for i, name in enumerate(classes[:_CLASSES_TOLD])) + more))
    if plan.truncation != 1.0:
        rows.append(("truncation", f"{plan.truncation}"))
    rows += [
        ("shards", f"{totals.shards:,}, {plan.format}, {totals.bytes:,} bytes"),
        ("same bytes again", _DETERMINISM[totals.determinism]),
        ("made with", ", ".join(f"{name} {version}" for name, version in plan.libraries.items())),
    ]
    if card.licence.data or card.licence.weights:
        rows.append(
            ("licences", f"training data {card.licence.data or 'unknown'}, weights {card.licence.weights or 'unknown'}")
        )
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"""---
{chr(10).join(front)}
---

# {card.title}

{totals.count:,} {noun}, none of them of anything real: each is what the generator `{card.name}` makes of a seed.

| | |
|---|---|
{table}

```python
{_reading(plan)}
```

`manifest.json` lists the shards with their SHA-256.
"""


_DETERMINISM = {
    "exact": "exact: the plan gives them, in whatever order and by however many workers",
    "approximate": "approximate: another run may differ in single values",
}


def _reading(plan: Plan) -> str:
    """How the format is read, in its own tool."""
    first, array = plan.file_name(0), f"{plan.card.output.kind}s"
    match plan.format:
        case "webdataset":
            beside = "json" if plan.labels is None else "cls"
            return f"""import webdataset as wds

shards = "data/shard-{{000000..{plan.shards - 1:06}}}.tar"
for image, {beside}, key in wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "{beside}", "__key__"):
    ..."""
        case "parquet":
            return """from datasets import load_dataset

rows = load_dataset("parquet", data_files="data/*.parquet", split="train")"""
        case "png" if plan.labels is None:
            return """from pathlib import Path

from PIL import Image

images = (Image.open(path) for path in Path("data").glob("*.png"))"""
        case "png":
            return """from torchvision.datasets import ImageFolder

# A folder is named by its label. ImageFolder counts the folders there are, and a label without images has none.
images = ImageFolder("data", target_transform=lambda position: int(images.classes[position]))"""
        case "npz":
            return f"""import numpy as np

with np.load("{first}") as arrays:
    print(arrays["{array}"].shape, arrays["seeds"])"""
        case _:
            return f"""import numpy as np

{array} = np.load("{first}", mmap_mode="r")"""
