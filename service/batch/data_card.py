"""README.md of a finished job: a data card for people, and front matter for the Hugging Face Hub and `datasets`."""

import json

from seedmint.service.batch.manifest import Totals
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.storage.base import Output

DATA_CARD = "README.md"
_MAX_CLASSES = 100  # shown
_MAX_SEEDS_LENGTH = 100  # characters
# Size categories of the Hub; the upper bound of the first is 1000, and of each next one ten times more.
_SIZE_CATEGORIES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
_DATA_FILES = {"webdataset": "data/*.tar", "parquet": "data/*.parquet", "png": "data/**"}
_LABELS = {"per-seed": "the label of each seed", "balanced": "position in the sequence of seeds, modulo the number of classes"}
_DETERMINISM = {
    "exact": "exact: every run of the plan writes the same bytes, in any order and with any number of workers",
    "approximate": "approximate: single values may differ in another run",
}


def write_data_card(output: Output, plan: Plan, totals: Totals) -> None:
    """Write README.md.

    Args:
        output: The output of the job.
        plan: Its plan.
        totals: The totals of all shards.
    """
    with output.write(DATA_CARD) as file:
        file.write(data_card(plan, totals).encode())


def data_card(plan: Plan, totals: Totals) -> str:
    """Return the content of README.md.

    Args:
        plan: The plan of the job.
        totals: The totals of all shards.
    """
    noun = f"{plan.card.output.kind}s"
    table = "\n".join(f"| {name} | {value} |" for name, value in _rows(plan, totals, noun))
    return f"""---
{_front_matter(plan, totals)}
---

# {plan.card.title}

{totals.count:,} synthetic {noun}. The generator `{plan.card.name}` makes each of them from a seed; none is real data.

| | |
|---|---|
{table}

```python
{_example_code(plan)}
```

`manifest.json` lists the shards with their SHA-256.
"""


def _front_matter(plan: Plan, totals: Totals) -> str:
    size = next((name for power, name in enumerate(_SIZE_CATEGORIES, 3) if totals.count < 10**power), "n>1B")
    lines = [
        f"pretty_name: {json.dumps(plan.card.title, ensure_ascii=False)}",
        "tags: [synthetic, seedmint]",
        f"size_categories: [{size}]",
    ]
    if plan.format in _DATA_FILES:
        lines.append(f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {_DATA_FILES[plan.format]}")
    return "\n".join(lines)


def _rows(plan: Plan, totals: Totals, noun: str) -> list[tuple[str, str]]:
    card = plan.card
    shape = " x ".join(map(str, card.output.shape))
    seeds = plan.seeds if len(plan.seeds) <= _MAX_SEEDS_LENGTH else plan.seeds[: _MAX_SEEDS_LENGTH - 3] + "..."
    rows = [
        ("generator", f"`{card.name}`, SHA-256 `{plan.model}`"),
        ("seeds", f"`{seeds}`"),
        ("noise rule", f"`{card.noise.rule}`, z of {card.noise.z_dim}"),
        (noun, f"{totals.count:,} of {shape} ({card.output.dtype})"),
    ]
    if plan.labels is not None:
        rows += _label_rows(plan)
    if plan.truncation != 1.0:
        rows.append(("truncation", f"{plan.truncation}"))
    rows += [
        ("shards", f"{totals.shards:,}, {plan.format}, {totals.bytes:,} bytes"),
        ("reproducibility", _DETERMINISM[totals.determinism]),
        ("made with", ", ".join(f"{name} {version}" for name, version in plan.toolchain.items())),
    ]
    if card.licence.data or card.licence.weights:
        rows.append(
            ("licences", f"training data {card.licence.data or 'unknown'}, weights {card.licence.weights or 'unknown'}")
        )
    return rows


def _label_rows(plan: Plan) -> list[tuple[str, str]]:
    classes = plan.card.classes or ()
    more = f" and {len(classes) - _MAX_CLASSES:,} more" if len(classes) > _MAX_CLASSES else ""
    rows = [("labels", _LABELS.get(str(plan.labels), f"all {plan.labels}"))]
    if plan.format == "png":
        rows.append(("folders", "`data/LABEL/SEED.png`; a label without images has no folder"))
    rows.append(("classes", ", ".join(f"{i} {name}" for i, name in enumerate(classes[:_MAX_CLASSES])) + more))
    return rows


def _example_code(plan: Plan) -> str:
    """Return Python code that reads the data with the usual library for the format."""
    first, array = plan.file_name(0), f"{plan.card.output.kind}s"
    match plan.format:
        case "webdataset":
            suffix = "json" if plan.labels is None else "cls"
            return f"""import webdataset as wds

shards = "data/shard-{{000000..{plan.num_shards - 1:06}}}.tar"
for image, {suffix}, key in wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "{suffix}", "__key__"):
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

# Each folder is named after its label. ImageFolder numbers the folders, but labels without images have no folder.
images = ImageFolder("data", target_transform=lambda position: int(images.classes[position]))"""
        case "npz":
            return f"""import numpy as np

with np.load("{first}") as arrays:
    print(arrays["{array}"].shape, arrays["seeds"])"""
        case _:
            return f"""import numpy as np

{array} = np.load("{first}", mmap_mode="r")"""
