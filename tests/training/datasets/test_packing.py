"""The packed file: the hold-out split, reuse, and the same bytes with any number of threads."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from seedmint.training.datasets import DataError, load_dataset, load_test, load_train
from seedmint.training.datasets.cache import cache_directory
from seedmint.training.datasets.dataset import Dataset
from seedmint.training.datasets.packed import packing
from seedmint.training.datasets.packed.pack_file import held_out_rows, read_pack
from seedmint.training.datasets.packed.packing import inspect_data, open_packed
from seedmint.training.recipes.data import Data
from tests.support.errors import raises

N = 60


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "icons"
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8), dtype=np.uint8)
    images[1] = images[0]
    for i, image in enumerate(images):
        directory = root / ("even" if i % 2 == 0 else "odd")
        directory.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(directory / f"{i:02}.png")
    return root


def packs():
    return sorted((cache_directory() / "packs").glob("*.safetensors"))


def test_the_published_draw_of_held_out_images(folder):
    """Image i is held out if the first 8 bytes of the SHA-256 of its pixels, little-endian, are a multiple of 10."""
    data = Data(source="folder", path=str(folder))
    train, test = load_train(data), load_test(data)
    assert len(train) + len(test) == N
    assert len(test)
    for part, held_out in ((train, False), (test, True)):
        for image in part.images:
            word = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "little")
            assert (word % 10 == 0) == held_out


def test_the_draw_depends_only_on_the_images():
    words = np.random.default_rng(0).integers(0, 1 << 63, 500_000, dtype=np.uint64)
    rows = held_out_rows(words[:5000])
    order = np.random.default_rng(1).permutation(5000)
    np.testing.assert_array_equal(held_out_rows(words[:5000][order]), rows[order])
    assert 400 < rows.sum() < 600
    assert abs(int(held_out_rows(words).sum()) - 10_000) < 500
    assert held_out_rows(np.array([11] * 9 + [7, 13], np.uint64)).tolist() == [False] * 9 + [True, False]
    assert not held_out_rows(np.zeros(20, np.uint64)).any()
    assert not held_out_rows(words[:9]).any()


def test_equal_images_are_on_the_same_side_and_counted(folder):
    packed = open_packed(Data(source="folder", path=str(folder)))
    assert packed.report.duplicates == 1
    twin = {name: i for i, name in enumerate(packed.pack.names)}
    first, second = twin["even/00.png"], twin["odd/01.png"]
    assert (first < packed.pack.num_train) == (second < packed.pack.num_train)


def test_an_unchanged_source_is_not_decoded_again(folder, monkeypatch):
    data = Data(source="folder", path=str(folder))
    before = inspect_data(data)
    with monkeypatch.context() as patch:
        patch.setattr(packing, "open_source", None)  # any use fails
        again = open_packed(data)
    assert (again.pack.digest, again.report) == (before.pack.digest, before.report)
    Image.new("L", (8, 8), 9).save(folder / "odd" / "new.png")
    changed = open_packed(data)
    assert changed.report.count == N + 1
    assert changed.pack.digest != before.pack.digest


def test_the_number_of_threads_changes_nothing(folder, monkeypatch, tmp_path):
    contents = []
    for threads in (1, 4):
        monkeypatch.setenv("SEEDMINT_CACHE", str(tmp_path / str(threads)))
        inspect_data(Data(source="folder", path=str(folder), side=16), threads=threads)
        (pack,) = packs()
        contents.append((pack.name, pack.read_bytes()))
    assert contents[0] == contents[1]


def test_the_file_is_a_memory_map_that_other_programs_can_read(folder):
    packed = open_packed(Data(source="folder", path=str(folder)))
    train = packed.train()
    base = train.images
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    tensors = load_file(packed.pack.path)
    np.testing.assert_array_equal(tensors["images"][: len(train)], train.images)
    np.testing.assert_array_equal(tensors["labels"][: len(train)], train.labels)
    copied = Dataset(train.name, np.array(train.images), train.labels, train.classes, None)
    assert train.digest == copied.digest  # the stored digest is the digest of the training images


def test_damaged_and_deleted_files_are_written_again(folder):
    data = Data(source="folder", path=str(folder))
    digest = load_dataset(data).digest
    (pack,) = packs()
    whole = pack.read_bytes()
    for content in (whole[:-1], b"", b"\xff" * 64):
        pack.write_bytes(content)
        with raises(DataError, "damaged_pack"):
            read_pack(pack)
        assert load_dataset(data).digest == digest
        assert pack.read_bytes() == whole
    pack.unlink()
    assert load_dataset(data).digest == digest


def test_a_full_disk_leaves_no_file(folder, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        inspect_data(Data(source="folder", path=str(folder)))
    assert packs() == []
    assert [path.name for path in (cache_directory() / "packs").iterdir()] == [".lock"]
