"""Python programs for the data card: one for each library that reads the format of a job, to run in the folder of the job."""

from textwrap import indent

from seedmint.models.card import ImageOutput
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.row_index import ROW_INDEX

_MANIFEST_NAMES = 'names = json.loads(Path("manifest.json").read_text())["card"]["classes"]'
_NAMES_OF_GENERATORS = """manifest = json.loads(Path("manifest.json").read_text())
generators = [manifest, *manifest["others"]]
names = {f'{each["card"]["name"]}@{each["model"][:12]}': each["card"]["classes"] for each in generators}"""


def programs(plan: Plan) -> dict[str, str]:
    """Return the programs by the name of the library.

    Args:
        plan: The plan of the job.
    """
    match plan.format:
        case "webdataset":
            return {"webdataset": _webdataset(plan), "datasets": _datasets(plan), "PyTorch": _data_loader(plan)}
        case "parquet" if isinstance(plan.card.output, ImageOutput):
            loaders = {"datasets": _datasets(plan), "PyTorch": _data_loader(plan)}
            return loaders | _table_programs(plan) | {"MosaicML Streaming": _mosaic(plan)}
        case "parquet":
            return {"datasets": _datasets(plan)} | _table_programs(plan)
        case "png":
            programs = {"datasets": _datasets(plan), "PyTorch": _data_loader(plan)}
            return programs if plan.labels is None else programs | {"torchvision": _image_folder(plan)}
        case "npz":
            return {"NumPy": _npz(plan), "datasets": _npz_rows(plan)}
        case "npy":
            return {"NumPy": _npy(plan), "datasets": _npy_rows(plan)}


def _datasets(plan: Plan) -> str:
    split = plan.layout[0].reader_name
    return f"""from pathlib import Path

from datasets import load_dataset

folder = str(Path.cwd())
rows = load_dataset(folder, split="{split}")
streamed = load_dataset(folder, split="{split}", streaming=True)
tensors = rows.with_format("torch")"""


def _data_loader(plan: Plan) -> str:
    image = "png" if plan.format == "webdataset" else "image"
    return f"""from pathlib import Path

from datasets import load_dataset
from torch.utils.data import DataLoader

if __name__ == "__main__":  # worker processes import this program
    rows = load_dataset(str(Path.cwd()), split="{plan.layout[0].reader_name}").with_format("torch")
    for batch in DataLoader(rows, batch_size=64, num_workers=2, multiprocessing_context="spawn"):
        images = batch["{image}"]"""


def _webdataset(plan: Plan) -> str:
    split = plan.layout[0]
    shards = f'shards = "{split.folder}/shard-{{{split.first_shard:06}..{split.last_shard:06}}}.tar"'
    if plan.labels is None:
        generator = '\n    generator = annotation["generator"]' if plan.others else ""
        return f"""import webdataset as wds

{shards}
for image, annotation in wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "json"):
    seed = annotation["seed"]{generator}"""
    extensions, variables, assignments = '"__key__"', "key", "seed, name = int(key), names[label]"
    if plan.others:
        name = "names[label]" if plan.keys.classes else "names[generator][label]"
        extensions, variables = '"json"', "annotation"
        assignments = f'seed, generator = annotation["seed"], annotation["generator"]\n    name = {name}'
    return f"""import json
from pathlib import Path

import webdataset as wds

{_load_names(plan)}
{shards}
for image, label, {variables} in wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "cls", {extensions}):
    {assignments}"""


def _load_names(plan: Plan) -> str:
    """Return the statements that read the names of the classes; by generator, if they differ."""
    return _MANIFEST_NAMES if plan.keys.classes else _NAMES_OF_GENERATORS


def _table_programs(plan: Plan) -> dict[str, str]:
    columns = "*"
    if isinstance(plan.card.output, ImageOutput):
        columns = ", ".join(plan.keys.features)
    folder = plan.layout[0].folder
    return {
        "pandas": f"""import pandas as pd

frame = pd.read_parquet("{folder}")""",
        "Polars": f"""import polars as pl

frame = pl.read_parquet("{folder}/*.parquet")""",
        "DuckDB": f"""import duckdb

rows = duckdb.sql("select {columns} from '{folder}/*.parquet' order by seed limit 10").fetchall()""",
    }


def _mosaic(plan: Plan) -> str:
    label = "" if plan.labels is None else ', "label": "int"'
    generator = ', "generator": "str"' if plan.others else ""
    return f"""import io

import pyarrow.dataset as ds
from PIL import Image
from streaming import MDSWriter, StreamingDataset

# MosaicML Streaming reads only its own format: write the rows in this format to the folder "mds".
with MDSWriter(out="mds", columns={{"image": "png", "seed": "int"{label}{generator}}}) as writer:
    for batch in ds.dataset("{plan.layout[0].folder}").to_batches(batch_size=1000):
        for row in batch.to_pylist():
            writer.write(row | {{"image": Image.open(io.BytesIO(row["image"]["bytes"]))}})

rows = StreamingDataset(local="mds", shuffle=False, batch_size=1)"""


def _image_folder(plan: Plan) -> str:
    return f"""import os

from torchvision.datasets import ImageFolder


class LabelFolder(ImageFolder):
    # Each folder is named after its label. A label without images has no folder, so the position of a folder is not its label.
    def find_classes(self, directory):
        folders = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        return folders, {{folder: int(folder) for folder in folders}}


images = LabelFolder("{plan.image_folder(plan.parts[0])}")"""


def _npz(plan: Plan) -> str:
    label = "" if plan.labels is None else '\n    labels = arrays["labels"]'
    generator = '\n    generator = str(arrays["generator"])' if plan.others else ""
    noun = f"{plan.card.output.kind}s"
    return f"""import numpy as np

with np.load("{plan.file_name(0)}") as arrays:
    {noun}, seeds = arrays["{noun}"], arrays["seeds"]{label}{generator}"""


def _npy(plan: Plan) -> str:
    first, folder = plan.file_name(0), plan.layout[0].folder
    label = "" if plan.labels is None else '\nlabels = index["label"].to_numpy()'
    if plan.others:
        label += '\ngenerators = index["generator"].to_pylist()'
    return f"""import numpy as np
import pyarrow.parquet as pq

{plan.card.output.kind}s = np.load("{first}", mmap_mode="r")
index = pq.read_table("{folder}/{ROW_INDEX}", filters=[("file_name", "==", "{first.removeprefix(f"{folder}/")}")])
seeds = index["seed"].to_numpy(){label}"""


def _npz_rows(plan: Plan) -> str:
    noun = plan.card.output.kind
    label = "" if plan.labels is None else ', "label": int(arrays["labels"][i])'
    if plan.others:
        label += ', "generator": str(arrays["generator"])'
    body = f"""for path in paths:
    with np.load(path) as file:
        arrays = dict(file)
    for i, seed in enumerate(arrays["seeds"].tolist()):
        yield {{"{noun}": {_value(plan, f'arrays["{noun}s"][i]')}, "seed": seed{label}}}"""
    return _from_generator(plan, ["numpy as np"], body, "npz")


def _npy_rows(plan: Plan) -> str:
    noun = plan.card.output.kind
    label = "" if plan.labels is None else ', "label": entry["label"]'
    if plan.others:
        label += ', "generator": entry["generator"]'
    body = f"""for path in paths:
    {noun}s = np.load(path, mmap_mode="r")
    index = pq.read_table("{plan.layout[0].folder}/{ROW_INDEX}", filters=[("file_name", "==", Path(path).name)])
    for entry in index.to_pylist():
        yield {{"{noun}": {_value(plan, f'{noun}s[entry["row"]]')}, "seed": entry["seed"]{label}}}"""
    return _from_generator(plan, ["numpy as np", "pyarrow.parquet as pq"], body, "npy")


def _from_generator(plan: Plan, modules: list[str], body: str, extension: str) -> str:
    """Return a program that gives rows to `datasets`, which has no reader for NumPy files."""
    output = plan.card.output
    is_image = isinstance(output, ImageOutput)
    types = {output.kind: "Image()" if is_image else _sample_type(output.shape), "seed": 'Value("int64")'}
    names = ["Dataset", "Features", "Value"] + (
        ["Image"] if is_image else ["Sequence"] if len(output.shape) == 1 else ["Array2D"]
    )
    has_names = bool(plan.keys.classes)
    if plan.labels is not None:
        types["label"] = "ClassLabel(names=names)" if has_names else 'Value("int64")'
        names += ["ClassLabel"] * has_names
    if plan.others:
        types["generator"] = 'Value("string")'
    imports = "\n".join(f"import {module}" for module in modules)
    features = ", ".join(f'"{name}": {kind}' for name, kind in types.items())
    load_names = f"{_MANIFEST_NAMES}\n" if has_names else ""
    return f"""{"import json" + chr(10) if has_names else ""}from pathlib import Path

{imports}
from datasets import {", ".join(sorted(names))}


def read(paths):
{indent(body, "    ")}


{load_names}features = Features({{{features}}})
paths = sorted(map(str, Path("{plan.layout[0].folder}").glob("*.{extension}")))
rows = Dataset.from_generator(read, features=features, gen_kwargs={{"paths": paths}})"""


def _value(plan: Plan, expression: str) -> str:
    """Return the expression of an image or sample. Pillow reads gray images only without their last axis."""
    output = plan.card.output
    return f"{expression}[:, :, 0]" if isinstance(output, ImageOutput) and output.channels == 1 else expression


def _sample_type(shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return f'Sequence(Value("float32"), length={shape[0]})'
    return f'Array2D({shape}, "float32")'
