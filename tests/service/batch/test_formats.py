"""Shards hold the outputs of the generator, as the usual libraries read them."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seedmint.models.columns import Column
from seedmint.service.batch.data_card import data_card
from seedmint.service.batch.formats.tar import headers
from seedmint.service.batch.formats.typed_columns import codes_of
from seedmint.service.batch.job import begin, finish
from seedmint.service.batch.manifest import Totals
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.encoders.images import ENCODERS, encode, text_of
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import make_all, plan_for

SEEDS = "0-69,1000-1029"
EVERY = np.array([*range(70), *range(1000, 1030)])


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def make_job(tmp_path: Path, generator: Generator, form: str, **changes: Any) -> tuple[Path, Plan]:
    out = tmp_path / "out"
    plan = plan_for(generator, SEEDS, form, **changes)
    make_all(open_output(str(out)), plan, generator)
    return out, plan


def load(tmp_path: Path, *arguments: Any, **options: Any) -> Any:
    import datasets

    return datasets.load_dataset(*arguments, split="train", cache_dir=str(tmp_path / "cache"), **options)


def pixels(picture: Any) -> np.ndarray[Any, Any]:
    values = np.asarray(picture)
    return values[:, :, None] if values.ndim == 2 else values


@pytest.mark.parametrize("conditional", [True, False])
def test_webdataset_reads_the_tars(tmp_path: Path, grey: Generator, rgb: Generator, conditional: bool):
    import webdataset

    generator = rgb if conditional else grey
    out, plan = make_job(tmp_path, generator, "webdataset")
    beside = "cls" if conditional else "json"
    rows = webdataset.WebDataset(str(out / "data/shard-{000000..000003}.tar"), shardshuffle=False).decode("pil")
    rows = list(rows.to_tuple("__key__", "png", beside))
    assert [row[0] for row in rows] == [f"{seed:019}" for seed in EVERY]
    np.testing.assert_array_equal(
        np.stack([pixels(row[1])[:, :, : plan.card.output.shape[-1]] for row in rows]), generator.generate(EVERY)
    )
    assert [row[2] for row in rows] == (generator.labels(EVERY).tolist() if conditional else [{"seed": seed} for seed in EVERY])  # type: ignore[union-attr]


def test_a_tar_has_no_time_owner_or_group(tmp_path: Path, rgb: Generator):
    out, plan = make_job(tmp_path, rgb, "webdataset", truncation=0.5)
    content = (out / "data/shard-000001.tar").read_bytes()
    assert len(content) % tarfile.RECORDSIZE == 0
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = tar.getmembers()
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
        first = tar.extractfile(members[0])
        assert first is not None
        seed = int(plan.shard(1).seeds.array()[0])
        label = int(rgb.labels(np.array([seed]))[0])  # type: ignore[index]
        image = rgb.generate(np.array([seed]), truncation=0.5)[0]
        assert first.read() == encode(image, "png", text_of(rgb, seed, label, 0.5))


def test_tar_headers_equal_those_of_the_standard_library():
    names = [f"{seed:019}.png" for seed in (0, 42, 2**63 - 1)]
    sizes = [0, 511, 8**11 - 1]
    expected = []
    for name, size in zip(names, sizes, strict=True):
        info = tarfile.TarInfo(name)
        info.size = size
        expected.append(info.tobuf(tarfile.USTAR_FORMAT))
    assert headers(names, sizes) == expected


@pytest.mark.parametrize("conditional", [True, False])
def test_datasets_reads_parquet_with_images_decoded(tmp_path: Path, grey: Generator, rgb: Generator, conditional: bool):
    import datasets

    generator = rgb if conditional else grey
    out, _ = make_job(tmp_path, generator, "parquet")
    rows = load(tmp_path, "parquet", data_files=str(out / "data/*.parquet"))
    assert isinstance(rows.features["image"], datasets.Image)
    assert rows[:]["seed"] == EVERY.tolist()
    np.testing.assert_array_equal(np.stack([pixels(row["image"]) for row in rows]), generator.generate(EVERY))
    if conditional:
        assert rows.features["label"].names == ["ant", "bee", "cat"]
        assert rows[:]["label"] == generator.labels(EVERY).tolist()  # type: ignore[union-attr]
    else:
        assert set(rows.features) == {"image", "seed"}


def test_a_folder_of_pngs_is_an_image_folder(tmp_path: Path, rgb: Generator):
    out, _ = make_job(tmp_path, rgb, "png")
    labels = rgb.labels(EVERY)
    assert labels is not None
    images = rgb.generate(EVERY)
    assert len(list((out / "data").rglob("*.png"))) == 100
    for seed, label, image in zip(EVERY, labels, images, strict=True):
        content = (out / "data" / str(label) / f"{seed}.png").read_bytes()
        assert content == encode(image, "png", text_of(rgb, int(seed), int(label), 1.0))
    index = pq.read_table(out / "data/metadata.parquet").to_pydict()
    assert (index["seed"], index["label"]) == (EVERY.tolist(), labels.tolist())
    assert index["file_name"] == [f"{label}/{seed}.png" for seed, label in zip(EVERY, labels, strict=True)]


@pytest.mark.parametrize("labels", ["per-seed", 7])
def test_an_image_folder_has_its_labels_where_some_have_no_image(tmp_path: Path, labels: str | int):
    """`datasets` numbers the folders if there is no metadata.parquet, and drops the labels if there is one folder."""
    generator = open_generator(generators.write(tmp_path, "many", classes=tuple(f"class {i}" for i in range(100))))
    out, _ = make_job(tmp_path, generator, "png", labels=labels)
    rows = load(tmp_path, "imagefolder", data_dir=str(out / "data"))
    expected = generator.labels(EVERY).tolist() if labels == "per-seed" else [7] * 100  # type: ignore[union-attr]
    assert dict(zip(rows[:]["seed"], rows[:]["label"], strict=True)) == dict(zip(EVERY.tolist(), expected, strict=True))
    assert rows.features["label"].names == [f"class {i}" for i in range(100)]


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_datasets_never_takes_the_plan_for_data(tmp_path: Path, rgb: Generator, form: str):
    import datasets

    out, _ = make_job(tmp_path, rgb, form)
    with pytest.raises(datasets.exceptions.DataFilesNotFoundError):
        load(tmp_path, str(out))


def test_the_index_of_npy_names_each_row(tmp_path: Path, rgb: Generator):
    out, _ = make_job(tmp_path, rgb, "npy")
    rows = pq.read_table(out / "data/metadata.parquet").to_pylist()
    assert [row["seed"] for row in rows] == EVERY.tolist()
    images = np.stack([np.load(out / "data" / row["file_name"])[row["row"]] for row in rows])
    np.testing.assert_array_equal(images, rgb.generate(EVERY))
    assert [row["label"] for row in rows] == rgb.labels(EVERY).tolist()  # type: ignore[union-attr]


def test_folders_sort_in_the_order_of_labels(tmp_path: Path):
    path = generators.write(tmp_path, "many", classes=tuple(f"class {i}" for i in range(12)))
    out, _ = make_job(tmp_path, open_generator(path), "png", labels="balanced")
    folders = sorted(path for path in (out / "data").iterdir() if path.is_dir())
    assert [folder.name for folder in folders] == [f"{i:02}" for i in range(12)]
    assert [len(list(folder.iterdir())) for folder in folders] == [9] * 4 + [8] * 8


@pytest.mark.parametrize("name", ["rgb", "point", "wave"])
def test_numpy_reads_the_arrays(tmp_path: Path, name: str, request: pytest.FixtureRequest):
    generator: Generator = request.getfixturevalue(name)
    noun = "images" if name == "rgb" else "samples"
    out, _ = make_job(tmp_path / "npz", generator, "npz")
    parts = [np.load(path) for path in sorted((out / "data").iterdir())]
    assert [len(part["seeds"]) for part in parts] == [32, 32, 32, 4]
    values = np.concatenate([part[noun] for part in parts])
    np.testing.assert_array_equal(values, generator.generate(EVERY))
    np.testing.assert_array_equal(np.concatenate([part["seeds"] for part in parts]), EVERY)
    if name == "wave":
        assert "labels" not in parts[0]
    else:
        np.testing.assert_array_equal(np.concatenate([part["labels"] for part in parts]), generator.labels(EVERY))
    out, _ = make_job(tmp_path / "npy", generator, "npy")
    alone = np.concatenate([np.load(path, mmap_mode="r") for path in sorted((out / "data").glob("*.npy"))])
    assert alone.dtype == values.dtype
    np.testing.assert_array_equal(alone, values)


@pytest.mark.parametrize("name", ["point", "wave"])
def test_samples_are_columns_of_parquet(tmp_path: Path, name: str, request: pytest.FixtureRequest):
    generator: Generator = request.getfixturevalue(name)
    out, plan = make_job(tmp_path, generator, "parquet")
    expected = generator.generate(EVERY)
    table = pq.read_table(out / "data").sort_by("seed")
    rows = load(tmp_path, "parquet", data_files=str(out / "data/*.parquet"))
    for i, column in enumerate(plan.card.output.names):  # type: ignore[union-attr]
        np.testing.assert_array_equal(np.array(table[column].to_pylist(), np.float32), expected[..., i])
        np.testing.assert_array_equal(np.array(rows[:][column], np.float32), expected[..., i])
    assert ("label" in table.column_names) == (name == "point")


def test_row_groups_of_parquet_do_not_depend_on_batches(tmp_path: Path, models: Path):
    contents = []
    for batch in (1500, 64, 7):
        generator = open_generator(models / "rgb.onnx", "cpu", 1, batch)
        out = tmp_path / str(batch)
        make_all(open_output(str(out)), plan_for(generator, "0-2499", "parquet", 2500), generator)
        contents.append((out / "data/shard-000000.parquet").read_bytes())
    assert contents[0] == contents[1] == contents[2]
    about = pq.ParquetFile(io.BytesIO(contents[0])).metadata
    assert [about.row_group(i).num_rows for i in range(about.num_row_groups)] == [1000, 1000, 500]
    columns = [about.row_group(0).column(i) for i in range(about.num_columns)]
    assert all(column.has_offset_index for column in columns)
    assert {column.path_in_schema for column in columns if column.has_column_index} == {"seed", "label"}
    assert about.created_by.startswith("parquet-cpp-arrow version")


def test_row_groups_of_tables_are_large(tmp_path: Path, sample_models: Path):
    contents = []
    for batch in (70_000, 64):
        generator = open_generator(sample_models / "point.onnx", "cpu", 1, batch)
        out = tmp_path / str(batch)
        make_all(open_output(str(out)), plan_for(generator, "0-100499", "parquet", 200_000), generator)
        contents.append((out / "data/shard-000000.parquet").read_bytes())
    assert contents[0] == contents[1]
    about = pq.ParquetFile(io.BytesIO(contents[0])).metadata
    assert [about.row_group(i).num_rows for i in range(about.num_row_groups)] == [100_000, 500]
    assert all(about.row_group(0).column(i).has_column_index for i in range(about.num_columns))


def test_series_are_described_for_old_and_new_versions_of_datasets(tmp_path: Path, wave: Generator):
    """Version 3 knows only "Sequence"; later versions read it as a list."""
    out, _ = make_job(tmp_path, wave, "parquet")
    metadata = json.loads(pq.read_schema(out / "data/shard-000000.parquet").metadata[b"huggingface"])
    columns = [feature for name, feature in metadata["info"]["features"].items() if name not in ("seed", "label")]
    assert columns
    assert {feature["_type"] for feature in columns} == {"Sequence"}


@pytest.mark.parametrize(
    ("count", "category"),
    [
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (10**9 - 1, "100M<n<1B"),
        (10**9, "1B<n<10B"),
        (10**12 - 1, "100B<n<1T"),
        (10**12, "n>1T"),
    ],
)
def test_size_categories_of_the_hub(rgb: Generator, count: int, category: str):
    card = data_card(plan_for(rgb), Totals(shards=1, count=count, bytes=1))
    assert f"size_categories: [{category}]" in card.splitlines()


def test_the_data_card_keeps_the_edits_of_users(tmp_path: Path, rgb: Generator):
    out, plan = make_job(tmp_path, rgb, "npy")
    (out / "README.md").write_text("mine")
    assert finish(open_output(str(out)), plan)
    assert (out / "README.md").read_text() == "mine"


def test_the_manifest_and_the_data_card(tmp_path: Path, rgb: Generator):
    out, _ = make_job(tmp_path, rgb, "webdataset", labels="balanced")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["model"] == rgb.digest
    assert manifest["card"] == json.loads(rgb.card.to_json())
    assert manifest["noise"] == {"rule": "philox-normal-v1", "z_dim": 20}
    assert (manifest["seeds"], manifest["labels"], manifest["determinism"]) == (SEEDS, "balanced", "exact")
    assert manifest["totals"] == {"shards": 4, "images": 100, "bytes": sum(p.stat().st_size for p in (out / "data").iterdir())}
    assert [shard["seeds"] for shard in manifest["shards"]] == ["0-31", "32-63", "64-69,1000-1025", "1026-1029"]
    assert manifest["toolchain"] == {"determinism": "exact", "png": ENCODERS["png"]}
    card = (out / "README.md").read_text()
    assert rgb.digest in card
    assert "size_categories: [n<1K]" in card


def test_the_data_card_of_an_approximate_generator(tmp_path: Path, models: Path):
    generator = open_generator(models / "grey.onnx")
    plan, output = plan_for(generator, form="npy"), open_output(str(tmp_path / "out"))
    begin(output, plan)
    make_shard(generator, plan, 0, output)
    generators.make_approximate(generator)  # on another machine, with a GPU, say
    make_all(output, plan, generator)
    assert json.loads((tmp_path / "out/manifest.json").read_text())["determinism"] == "approximate"


def test_a_png_of_a_shard_equals_the_image_of_its_seed(tmp_path: Path, rgb: Generator):
    out, _ = make_job(tmp_path, rgb, "parquet")
    row = pq.read_table(out / "data/shard-000003.parquet").to_pylist()[-1]
    picture = Image.open(io.BytesIO(row["image"]["bytes"]))
    assert picture.info["seed"] == "1029" == str(row["seed"])
    np.testing.assert_array_equal(np.asarray(picture), rgb.generate(np.array([1029]))[0])


@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("webdataset", {"png"}),
        ("png", {"png"}),
        ("parquet", {"png", "pyarrow", "parquet"}),
        ("npz", {"numpy", "python"}),
        ("npy", {"numpy"}),
    ],
)
def test_the_toolchain_of_each_format(rgb: Generator, form: str, more: set[str]):
    assert set(plan_for(rgb, form=form).toolchain) == {"determinism"} | more


def test_codes_come_back_from_large_numbers_with_decimals():
    """Units near 2^52 come from the numbers with an error of up to one unit."""
    column = Column(name="c", type="number", first=2**52 - 3 * 10**7, step=1000, count=50_000, decimals=5)
    codes = np.arange(50_000, dtype=np.float32)
    assert np.array_equal(codes_of(pa.chunked_array([column.numbers(codes)]), column), codes)
