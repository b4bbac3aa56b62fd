"""Every kind of source of the user's own images, and what is said about it."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from seedmint.models.directory import models_directory
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import open_generator
from seedmint.training.datasets import DataError
from seedmint.training.datasets.packed.detect import detect_kind
from seedmint.training.datasets.packed.files import Files
from seedmint.training.datasets.packed.packing import Packed, inspect_data, open_packed
from seedmint.training.datasets.packed.report import BrokenImagesError
from seedmint.training.recipes.data import Data
from tests.support import generators
from tests.support.batch_jobs import make_all, plan_for
from tests.support.errors import raises

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 9, 10, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3
CLASSES = ("ant", "bee", "cat")


def png(image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def inspect(path, **fields) -> Packed:
    kind = detect_kind(Files(str(path)))
    return inspect_data(Data(source=kind, path=str(path), **fields))


def contents(packed: Packed) -> set[tuple[bytes, str | None]]:
    """Return the pixels and the class of every image, training and held out."""
    pack = packed.pack
    names = [None] * len(pack.images) if pack.labels is None else [pack.classes[label] for label in pack.labels]
    return {(image.transpose(1, 2, 0).tobytes(), name) for image, name in zip(pack.images, names, strict=True)}


def reasons(packed: Packed) -> dict[str, int]:
    return {note.reason: note.count for note in packed.report.notes}


EXPECTED = {(image.tobytes(), CLASSES[label]) for image, label in zip(IMAGES, LABELS, strict=True)}


def write_folder(root: Path) -> Path:
    for i, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        (root / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        (root / CLASSES[label] / f"{i:02}.png").write_bytes(png(image))
    return root


def write_zip(root: Path) -> Path:
    with zipfile.ZipFile(root / "photos.zip", "w") as archive:
        archive.writestr("photos/", b"")
        for i, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
            archive.writestr(f"photos/{CLASSES[label]}/{i}.png", png(image))
        archive.writestr("__MACOSX/photos/._0.png", b"resource fork")
    return root / "photos.zip"


def write_npz(root: Path) -> Path:
    np.savez(root / "photos.npz", images=IMAGES, labels=LABELS, classes=np.array(CLASSES))
    return root / "photos.npz"


def write_tar(root: Path, suffix: str = ".tar") -> Path:
    path = root / f"photos{suffix}"
    with tarfile.open(path, "w:gz" if suffix == ".tar.gz" else "w") as archive:
        for i, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
            for name, content in ((f"{i:04}.png", png(image)), (f"{i:04}.cls", CLASSES[label].encode())):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def write_parquet(root: Path) -> Path:
    cells = [{"bytes": png(image), "path": None} for image in IMAGES]
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": list(CLASSES)}}
    table = pa.table(
        {"image": pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()})), "label": LABELS, "note": ["x"] * 12}
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, root / "photos.parquet")
    return root / "photos.parquet"


WRITERS = {
    "folder": write_folder,
    "zip": write_zip,
    "npz": write_npz,
    "webdataset": write_tar,
    "parquet": write_parquet,
    "tar.gz": lambda root: write_tar(root, ".tar.gz"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_gives_the_same_images_and_classes(tmp_path, kind):
    packed = inspect(WRITERS[kind](tmp_path))
    assert contents(packed) == EXPECTED
    report = packed.report
    assert (report.count, report.width, report.height, report.channels) == (12, 10, 9, 3)
    assert report.classes == tuple((name, 4) for name in CLASSES)
    assert report.value_range == (int(IMAGES.min()), int(IMAGES.max()))
    assert report.sizes == ((10, 9, 12),)
    assert report.broken == ()
    assert (report.held_out, len(packed.train())) == (12 - len(packed.train()), 12 - report.held_out)


def test_an_object_store_is_read_through_fsspec(tmp_path):
    memory = fsspec.filesystem("memory")
    for file in write_folder(tmp_path / "photos").rglob("*.png"):
        memory.pipe(f"/bucket/photos/{file.relative_to(tmp_path / 'photos')}", file.read_bytes())
    packed = inspect("memory://bucket/photos")
    assert contents(packed) == EXPECTED
    assert packed.train().name == "photos"
    with raises(DataError, "not_found", "data.path"):
        inspect("memory://bucket/nothing")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """The output of batch jobs of two small conditional generators in each format."""
    root = tmp_path_factory.mktemp("jobs")
    second = generators.write(tmp_path_factory.mktemp("second"), "second", 3, classes=tuple("0123456789"))
    pair = [open_generator(models_directory() / "digits.onnx"), open_generator(second)]
    for shard_format in ("png", "npy", "npz", "webdataset", "parquet"):
        plan = plan_for(pair, "0-11", shard_format, 12)
        make_all(open_output(str(root / shard_format)), plan, pair)
    return root


def test_the_output_of_batch_jobs(jobs):
    """Every format gives the same images, with the names of the generator's classes."""
    found = {path.name: inspect(path) for path in sorted(jobs.iterdir())}
    assert len(found) == 5
    assert {packed.report.kind for packed in found.values()} == {"batch"}
    pixels = contents(found["npz"])
    assert len(pixels) == 24
    for packed in found.values():
        assert contents(packed) == pixels
        assert packed.pack.classes == tuple("0123456789")
    (jobs / "png" / "manifest.json").rename(jobs / "png" / "away.json")
    with raises(DataError, "incomplete_job", "data.path"):
        inspect(jobs / "png")


def test_generators_with_different_classes_are_refused(tmp_path):
    second = generators.write(tmp_path, "second", 3, classes=("ant", "bee"))
    pair = [open_generator(models_directory() / "digits.onnx"), open_generator(second)]
    make_all(open_output(str(tmp_path / "out")), plan_for(pair, "0-3", "npz"), pair)
    with raises(DataError, "different_classes", "data.path"):
        inspect(tmp_path / "out")


def test_files_of_programs_are_skipped_and_reported(tmp_path):
    write_folder(tmp_path)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "a.png").write_bytes(png(IMAGES[0]))
    (tmp_path / "ant" / "._000.png").write_bytes(b"\0\5\x16\7 resource fork")
    (tmp_path / "ant" / "notes.txt").write_text("x")
    packed = inspect(tmp_path)
    assert contents(packed) == EXPECTED
    assert reasons(packed) == {"hidden_files": 2, "other_files": 1}


def test_nested_and_empty_folders_are_reported(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "ant" / "more").mkdir()
    (tmp_path / "ant" / "00.png").rename(tmp_path / "ant" / "more" / "00.png")
    (tmp_path / "dog").mkdir()
    packed = inspect(tmp_path)
    assert contents(packed) == EXPECTED
    assert reasons(packed) == {"nested_folder": 1, "empty_folder": 1}
    assert next(note.examples for note in packed.report.notes if note.reason == "empty_folder") == ("dog",)


def test_folders_of_splits_are_no_classes(tmp_path):
    write_folder(tmp_path / "train")
    (tmp_path / "test" / "ant").mkdir(parents=True)
    (tmp_path / "train" / "ant" / "00.png").rename(tmp_path / "test" / "ant" / "00.png")
    packed = inspect(tmp_path)
    assert contents(packed) == EXPECTED
    assert reasons(packed) == {"joined_splits": 2}


def test_all_broken_images_are_named_at_once(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "ant" / "bad.png").write_bytes(b"no image")
    whole = (tmp_path / "bee" / "01.png").read_bytes()
    (tmp_path / "bee" / "cut.png").write_bytes(whole[: len(whole) // 2])
    packed = inspect(tmp_path)
    assert contents(packed) == EXPECTED
    assert {entry.name for entry in packed.report.broken} == {"ant/bad.png", "bee/cut.png"}
    data = Data(source="folder", path=str(tmp_path))
    with pytest.raises(BrokenImagesError) as caught:
        open_packed(data)
    assert len(caught.value.broken) == 2
    assert caught.value.field == "data.skip_broken"
    assert contents(open_packed(data.model_copy(update={"skip_broken": True}))) == EXPECTED


def test_without_a_readable_image_all_problems_are_named(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(BrokenImagesError) as caught:
        inspect(tmp_path)
    assert [entry.name for entry in caught.value.broken] == ["a.png", "b.png"]


@pytest.mark.parametrize(("bits", "shift"), [(8, 0), (12, 4), (16, 8)])
def test_the_bits_in_use_of_16_bit_images_are_kept(tmp_path, bits, shift):
    """12 bits in a file of 16 bits are not black."""
    ramp = np.linspace(0, (1 << bits) - 1, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    packed = inspect(tmp_path)
    np.testing.assert_array_equal(packed.pack.images[0, 0], ramp >> shift)
    assert packed.report.value_range == (0, 255)
    assert reasons(packed) == {"reduced_depth": 1}


def test_transparency_on_white_is_reported(tmp_path):
    Image.new("RGBA", (8, 8), (10, 200, 30, 0)).save(tmp_path / "a.png")
    packed = inspect(tmp_path)
    assert (packed.pack.images == 255).all()
    assert reasons(packed) == {"transparency_on_white": 1}
    assert reasons(inspect(tmp_path, channels=4)) == {}


def test_sizes_and_channels_are_chosen_and_reported(tmp_path):
    for i, size in enumerate([(300, 200)] * 30 + [(90, 200)]):
        Image.new("RGB", size, (i, 0, 0)).save(tmp_path / f"{i}.png")
    Image.new("L", (64, 64), 5).save(tmp_path / "gray.png")
    packed = inspect(tmp_path)
    assert (packed.report.width, packed.report.height, packed.report.channels) == (64, 64, 3)
    assert (packed.data.side, packed.data.channels) == (64, 3)
    assert reasons(packed) == {"resized": 31, "to_color": 1}
    assert inspect(tmp_path, side=32, channels=1).report.channels == 1


def test_npz_layouts(tmp_path):
    np.savez(tmp_path / "first.npz", images=IMAGES.transpose(0, 3, 1, 2), labels=LABELS, classes=np.array(CLASSES))
    packed = inspect(tmp_path / "first.npz")
    assert contents(packed) == EXPECTED
    assert reasons(packed) == {"channels_first": 12}
    np.savez(tmp_path / "named.npz", x_train=IMAGES, y_train=LABELS)
    named = inspect(tmp_path / "named.npz")
    assert {pixels for pixels, _ in contents(named)} == {pixels for pixels, _ in EXPECTED}
    assert next(note.examples for note in named.report.notes if note.reason == "unused_arrays") == ("y_train",)
    np.savez(tmp_path / "two.npz", a=IMAGES, b=IMAGES, c=LABELS)
    with pytest.raises(DataError) as caught:
        inspect(tmp_path / "two.npz")
    assert caught.value.reason == "no_array"
    assert all(name in str(caught.value) for name in ("a uint8[12, 9, 10, 3]", "c int64[12]"))
    np.save(tmp_path / "bare.npy", np.asfortranarray(IMAGES))
    assert {pixels for pixels, _ in contents(inspect(tmp_path / "bare.npy"))} == {pixels for pixels, _ in EXPECTED}


def test_parquet_without_images_or_with_empty_cells(tmp_path):
    parquet.write_table(pa.table({"x": [1.0]}), tmp_path / "numbers.parquet")
    with raises(DataError, "no_images", "data.path"):
        inspect(tmp_path / "numbers.parquet")
    cells = pa.array([{"bytes": png(IMAGES[0]), "path": None}, {"bytes": None, "path": "gone.png"}])
    parquet.write_table(pa.table({"image": cells, "label": ["a", "b"]}), tmp_path / "gone.parquet")
    packed = inspect(tmp_path / "gone.parquet")
    assert (packed.report.count, len(packed.report.broken)) == (1, 1)


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.parquet", "x.npz"])
def test_damaged_archives_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"not an archive" * 100)
    with raises(DataError, "unreadable", "data.path"):
        inspect(tmp_path / name)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    with raises(DataError, "unknown_suffix", "data.path"):
        inspect(tmp_path / "x.pdf")
    with raises(DataError, "not_found", "data.path"):
        inspect(tmp_path / "nowhere")
    with raises(DataError, "no_images", "data.path"):
        inspect(tmp_path)


def test_images_without_a_label_among_labeled_images_are_refused(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "loose.png").write_bytes(png(IMAGES[0]))
    with raises(DataError, "mixed_folder", "data.path"):
        inspect(tmp_path)
