"""Names and types of the columns of a data set, in the two notations of the Hugging Face library `datasets`."""

import json
from typing import Any

from seedmint.models.card import Card, ImageOutput
from seedmint.service.batch.formats.base import ShardFormat

INT64 = {"dtype": "int64", "_type": "Value"}
STRING = {"dtype": "string", "_type": "Value"}
IMAGE = {"_type": "Image"}


def label_feature(card: Card) -> dict[str, Any]:
    """Return the feature of the labels of a conditional generator, with the class names.

    Args:
        card: The card of the generator.
    """
    return {"names": list(card.classes or ()), "_type": "ClassLabel"}


def key_features(card: Card) -> dict[str, Any]:
    """Return the features of the columns `seed` and, for a conditional generator, `label`.

    Args:
        card: The card of the generator.
    """
    return {"seed": INT64} | ({} if card.classes is None else {"label": label_feature(card)})


def parquet_features(card: Card) -> dict[str, Any]:
    """Return the features of Parquet shards.

    Args:
        card: The card of the generator.
    """
    output = card.output
    if isinstance(output, ImageOutput):
        return {"image": IMAGE} | key_features(card)
    value: dict[str, Any] = {"dtype": "float32", "_type": "Value"}
    if len(output.shape) == 2:  # "Sequence" is understood by all versions of `datasets`, "List" only since version 4
        value = {"feature": value, "length": output.shape[0], "_type": "Sequence"}
    return key_features(card) | dict.fromkeys(output.names, value)


def arrow_metadata(features: dict[str, Any]) -> dict[str, str]:
    """Return the metadata of an Arrow schema from which `datasets` takes the features.

    Args:
        features: Name -> feature of each column.
    """
    return {"huggingface": json.dumps({"info": {"features": features}})}


def card_features(shard_format: ShardFormat, card: Card) -> str | None:
    """Return the features as YAML lines for the field `dataset_info` of a data card.

    Args:
        shard_format: The format of the shards.
        card: The card of the generator.

    Returns:
        The lines, or None for data whose features `datasets` takes from the shards only: series, npz and npy.
    """
    is_series = not isinstance(card.output, ImageOutput) and len(card.output.shape) == 2
    match shard_format:
        case "parquet" if not is_series:
            features = parquet_features(card)
        case "png":
            features = {"image": IMAGE} | key_features(card)
        case "webdataset":
            annotation = {"json": {"seed": INT64}} if card.classes is None else {"cls": label_feature(card)}
            features = {"png": IMAGE} | annotation | {"__key__": STRING, "__url__": STRING}
        case _:
            return None
    return "\n".join(line for name, feature in features.items() for line in _yaml_lines(name, feature))


def _yaml_lines(name: str, feature: dict[str, Any]) -> list[str]:
    first = f"- name: {_quoted(name)}"
    match feature.get("_type"):
        case "ClassLabel":
            names = [f"        '{i}': {_quoted(class_name)}" for i, class_name in enumerate(feature["names"])]
            return [first, "  dtype:", "    class_label:", "      names:", *names]
        case "Value":
            return [first, f"  dtype: {feature['dtype']}"]
        case "Image":
            return [first, "  dtype: image"]
        case _:  # a dictionary of features
            inner = [f"  {line}" for key, value in feature.items() for line in _yaml_lines(key, value)]
            return [first, "  struct:", *inner]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # JSON strings are YAML strings
