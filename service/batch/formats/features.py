"""Names and types of the columns of a data set, in the two notations of the Hugging Face library `datasets`."""

import json
from dataclasses import dataclass
from typing import Any

from seedmint.models.card import ImageOutput, SampleOutput
from seedmint.service.batch.formats.base import ShardFormat
from seedmint.service.batch.formats.typed_columns import feature

INT64 = {"dtype": "int64", "_type": "Value"}
STRING = {"dtype": "string", "_type": "Value"}
IMAGE = {"_type": "Image"}


@dataclass(frozen=True)
class Keys:
    """The columns that identify an image or sample of a data set.

    Attributes:
        classes: Names of the classes. Empty if several generators have different names: the labels are then plain numbers. None
            for unconditional generators, which have no labels.
        has_origin: Whether a column names the generator, because the data set has several.
    """

    classes: tuple[str, ...] | None
    has_origin: bool = False

    @property
    def features(self) -> dict[str, Any]:
        """The features of the columns: `seed`; `label` of conditional generators; `generator`, if there are several."""
        label = {} if self.classes is None else {"label": self.label_feature}
        return {"seed": INT64} | label | ({"generator": STRING} if self.has_origin else {})

    @property
    def label_feature(self) -> dict[str, Any]:
        """The feature of the labels."""
        return {"names": list(self.classes), "_type": "ClassLabel"} if self.classes else INT64


def parquet_features(output: ImageOutput | SampleOutput, keys: Keys) -> dict[str, Any]:
    """Return the features of Parquet shards.

    Args:
        output: The output in the card of the generator.
        keys: The columns that identify an image or sample.
    """
    if isinstance(output, ImageOutput):
        return {"image": IMAGE} | keys.features
    if output.columns is not None:
        key = {name: value for name, value in keys.features.items() if name != "label"}
        return key | {column.name: feature(column) for column in output.table_schema(keys.classes is not None)}
    value: dict[str, Any] = {"dtype": "float32", "_type": "Value"}
    if len(output.shape) == 2:  # "Sequence" is understood by all versions of `datasets`, "List" only since version 4
        length = -1 if output.has_lengths else output.shape[0]
        value = {"feature": value, "length": length, "_type": "Sequence"}
    return keys.features | dict.fromkeys(output.names, value)


def arrow_metadata(features: dict[str, Any]) -> dict[str, str]:
    """Return the metadata of an Arrow schema from which `datasets` takes the features.

    Args:
        features: Name -> feature of each column.
    """
    return {"huggingface": json.dumps({"info": {"features": features}})}


def card_features(shard_format: ShardFormat, output: ImageOutput | SampleOutput, keys: Keys) -> str | None:
    """Return the features as YAML lines for the field `dataset_info` of a data card.

    Args:
        shard_format: The format of the shards.
        output: The output in the card of the generator.
        keys: The columns that identify an image or sample.

    Returns:
        The lines, or None for data whose features `datasets` takes from the shards only: series, npz and npy.
    """
    is_series = not isinstance(output, ImageOutput) and len(output.shape) == 2
    match shard_format:
        case "parquet" if not is_series:
            features = parquet_features(output, keys)
        case "png":
            features = {"image": IMAGE} | keys.features
        case "webdataset":
            features = {"png": IMAGE} | ({} if keys.classes is None else {"cls": keys.label_feature})
            if keys.classes is None or keys.has_origin:
                features["json"] = {"seed": INT64} | ({"generator": STRING} if keys.has_origin else {})
            features |= {"__key__": STRING, "__url__": STRING}
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
