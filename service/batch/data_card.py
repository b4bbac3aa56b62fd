"""README.md of a finished job: a data card for people, and front matter for the Hugging Face Hub and `datasets`.

The card is written once. Users edit it, for example to publish the data set.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from textwrap import indent

from seedmint.models.card import Card
from seedmint.service.batch.formats.base import EXTENSIONS
from seedmint.service.batch.formats.features import card_features
from seedmint.service.batch.label_weights import counts
from seedmint.service.batch.manifest import Totals
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.readers import programs
from seedmint.service.batch.storage.base import Output

DATA_CARD = "README.md"
_MAX_CLASSES = 100  # shown
_MAX_SEEDS_LENGTH = 100  # characters
# Size categories of the Hub; the upper bound of the first is 1000, and of each next one ten times more.
_SIZE_CATEGORIES = (
    *("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B"),
    *("1B<n<10B", "10B<n<100B", "100B<n<1T"),
)
_LARGEST_SIZE_CATEGORY = "n>1T"
_LABELS = {"per-seed": "the label of each seed", "balanced": "position in the sequence of seeds, modulo the number of classes"}
_BEFORE_FILTER = ("", ", before the filter")
_DETERMINISM = {
    "exact": "exact: every run of the plan writes the same bytes, in any order and with any number of workers",
    "approximate": "approximate: single values may differ in another run",
}


def write_data_card(output: Output, plan: Plan, totals: Totals) -> None:
    """Write README.md, unless it exists and has content.

    Args:
        output: The output of the job.
        plan: Its plan.
        totals: The totals of all shards.
    """
    with suppress(FileNotFoundError):
        if output.read(DATA_CARD):
            return
        output.remove(DATA_CARD)
    with suppress(FileExistsError):  # another process has just written it
        output.create(DATA_CARD, data_card(plan, totals).encode())


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

# {_title(plan)}

{totals.count:,} synthetic {noun}. {_makers(plan)} each of them from a seed; none is real data.

| | |
|---|---|
{table}

`manifest.json` lists the shards with their SHA-256.

## Reading the data

Run these programs in the folder of this file.

{_sections(plan)}"""


def _title(plan: Plan) -> str:
    return "; ".join(dict.fromkeys(generator.card.title for generator in plan.generators))


def _makers(plan: Plan) -> str:
    if not plan.others:
        return f"The generator `{plan.card.name}` makes"
    return f"The generators {', '.join(f'`{generator.reference}`' for generator in plan.generators)} make"


def _sections(plan: Plan) -> str:
    return "\n".join(f"### {library}\n\n```python\n{program}\n```\n" for library, program in programs(plan).items())


def _front_matter(plan: Plan, totals: Totals) -> str:
    size = next((name for power, name in enumerate(_SIZE_CATEGORIES, 3) if totals.count < 10**power), _LARGEST_SIZE_CATEGORY)
    lines = [
        f"pretty_name: {json.dumps(_title(plan), ensure_ascii=False)}",
        "tags: [synthetic, seedmint]",
        f"size_categories: [{size}]",
    ]
    pattern = "**" if plan.format == "png" else f"*.{EXTENSIONS[plan.format]}"
    lines.append("configs:\n- config_name: default\n  data_files:")
    lines += [f"  - split: {split.reader_name}\n    path: {split.folder}/{pattern}" for split in plan.layout]
    features = card_features(plan.format, plan.card.output, plan.keys)
    if features is not None:
        lines.append(f"dataset_info:\n  features:\n{indent(features, '  ')}")
    return "\n".join(lines)


def _rows(plan: Plan, totals: Totals, noun: str) -> list[tuple[str, str]]:
    cards = [generator.card for generator in plan.generators]
    shape = " x ".join(map(str, cards[0].output.shape))
    seeds = plan.seeds if len(plan.seeds) <= _MAX_SEEDS_LENGTH else plan.seeds[: _MAX_SEEDS_LENGTH - 3] + "..."
    rows = [("generator", f"`{generator.card.name}`, SHA-256 `{generator.model}`") for generator in plan.generators]
    rows += [("seeds", f"`{seeds}`" + (", by each generator" if plan.others else ""))]
    rows += _distinct("noise rule", [f"`{card.noise.rule}`, z of {card.noise.z_dim}" for card in cards], plan)
    rows += [(noun, f"{totals.count:,} of {shape} ({cards[0].output.dtype})")]
    if plan.splits is not None:
        rows.append(
            (
                "splits" + _BEFORE_FILTER[plan.filter is not None],
                ", ".join(f"`{split.name}` {split.count:,}" for split in plan.layout),
            )
        )
    if plan.labels is not None:
        rows += _label_rows(plan)
    if plan.filter is not None:
        filters = [generator.filter for generator in plan.generators if generator.filter is not None]
        texts = [f"`{each.rule}`, by the classifier `{each.classifier}`, SHA-256 `{each.model}`" for each in filters]
        kept = f"{totals.count:,} of {totals.tried:,} {noun}; `manifest.json` lists the refused seeds of each shard"
        rows += [*_distinct("filter", texts, plan), ("kept", kept)]
    if plan.truncation != 1.0:
        rows.append(("truncation", f"{plan.truncation}"))
    rows += [
        ("shards", f"{totals.shards:,}, {plan.format}, {totals.bytes:,} bytes"),
        ("reproducibility", _DETERMINISM[totals.determinism]),
    ]
    texts = [", ".join(f"{name} {version}" for name, version in each.toolchain.items()) for each in plan.generators]
    rows += _distinct("made with", texts, plan)
    licences = [(card.licence.data or "unknown", card.licence.weights or "unknown") for card in cards]
    if any(card.licence.data or card.licence.weights for card in cards):
        rows += _distinct("licences", [f"training data {data}, weights {weights}" for data, weights in licences], plan)
    return rows


def _distinct(name: str, values: Sequence[str], plan: Plan) -> list[tuple[str, str]]:
    """Return one row if the value is the same for all generators, or else one row for each generator."""
    if len(set(values)) == 1:
        return [(name, values[0])]
    return [(f"{name} of `{generator.reference}`", value) for generator, value in zip(plan.generators, values, strict=True)]


def _label_rows(plan: Plan) -> list[tuple[str, str]]:
    classes = plan.keys.classes or ()
    if isinstance(plan.labels, dict):
        shown = list(plan.labels)[:_MAX_CLASSES]
        found = [counts(plan.labels, part.count) for part in plan.parts]
        texts = [f"{classes[label] if classes else label} {sum(numbers[label] for numbers in found):,}" for label in shown]
        more_labels = f" and {len(plan.labels) - _MAX_CLASSES:,} more" if len(plan.labels) > _MAX_CLASSES else ""
        rows = [("labels" + _BEFORE_FILTER[plan.filter is not None], ", ".join(texts) + more_labels)]
    else:
        rows = [("labels", _LABELS.get(str(plan.labels), f"all {plan.labels}"))]
    if plan.format == "png":
        folder = ("" if plan.splits is None else "SPLIT/") + ("GENERATOR/" if plan.others else "")
        rows.append(("folders", f"`data/{folder}LABEL/SEED.png`; a label without images has no folder"))
    return rows + _distinct("classes", [_class_names(each.card) for each in plan.generators], plan)


def _class_names(card: Card) -> str:
    classes = card.classes or ()
    more = f" and {len(classes) - _MAX_CLASSES:,} more" if len(classes) > _MAX_CLASSES else ""
    return ", ".join(f"{i} {name}" for i, name in enumerate(classes[:_MAX_CLASSES])) + more
