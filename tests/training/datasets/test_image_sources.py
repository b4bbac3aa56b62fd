import gzip
import hashlib
import socket
import struct
import threading

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits as sklearn_digits

from seedmint.training.datasets import DataError, load_dataset, load_splits
from seedmint.training.datasets import idx as idx_module
from seedmint.training.datasets.idx import read_idx
from seedmint.training.datasets.packed.report import BrokenImagesError
from seedmint.training.recipes.data import Data
from tests.support.errors import raises


def write_idx(path, array):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(directory, count=7):
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    arrays = {}
    for prefix in ("train", "t10k"):
        arrays[prefix] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8), random.integers(0, 10, count, dtype=np.uint8)
        write_idx(directory / f"{prefix}-images-idx3-ubyte.gz", arrays[prefix][0])
        write_idx(directory / f"{prefix}-labels-idx1-ubyte", arrays[prefix][1])
    return arrays


def test_digits_match_scikit_learn():
    found, bunch = load_dataset(Data(source="digits")), sklearn_digits()
    assert found.images.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(found.images[:, 0], np.rint(bunch.images / 16 * 255))
    assert found.labels.tolist() == bunch.target.tolist()
    train, test = load_splits(Data(source="digits"))
    assert (len(train.images), len(test.images)) == (1437, 360)
    assert (test.images[1] == found.images[5]).all()
    assert (train.images[4] == found.images[6]).all()


def test_first_n_examples():
    whole, subset = load_dataset(Data(source="digits")), load_dataset(Data(source="digits", first=50))
    np.testing.assert_array_equal(subset.images, whole.images[whole.draw_order[:50]])
    assert subset.labels.tolist() == whole.labels[whole.draw_order[:50]].tolist()
    assert subset.classes == whole.classes
    assert subset.name == "digits, 50 by draw-v1"
    stored = load_dataset(Data(source="digits", first=50, order="stored"))
    np.testing.assert_array_equal(stored.images, whole.images[:50])
    assert subset.digest != whole.digest
    everything = load_dataset(Data(source="digits", first=1797))
    assert (everything.name, everything.digest) == (whole.name, whole.digest)
    assert (
        len(load_splits(Data(source="digits", first=50))[0].images) == 1437
    )  # evaluation also uses the examples that training leaves out
    with raises(DataError, "too_few_examples", "data.first"):
        load_dataset(Data(source="digits", first=1798))


def test_idx_files_from_a_path_or_the_data_directory(tmp_path, monkeypatch):
    arrays = write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("SEEDMINT_DATA", str(tmp_path))
    for data in (Data(source="mnist", path=str(tmp_path / "mnist")), Data(source="mnist")):
        train, test = load_splits(data)
        for found, key in ((train, "train"), (test, "t10k")):
            assert (found.images[:, 0] == arrays[key][0]).all()
            assert (found.labels == arrays[key][1]).all()
        assert train.classes == tuple("0123456789")


def test_stacked_mnist_labels(tmp_path):
    write_mnist(tmp_path, count=40)
    data = Data(source="stacked-mnist", path=str(tmp_path))
    (digits, test_digits), (train, test) = load_splits(Data(source="mnist", path=str(tmp_path))), load_splits(data)
    assert (train.images.shape, test.images.shape) == ((128_000, 3, 28, 28), (26_000, 3, 28, 28))
    for stacked, single in ((train, digits), (test, test_digits)):
        number_of = {image.tobytes(): label for image, label in zip(single.images[:, 0], single.labels, strict=True)}
        for image, label in zip(stacked.images[:200], stacked.labels, strict=False):
            assert "".join(str(number_of[channel.tobytes()]) for channel in image) == stacked.classes[label] == f"{label:03}"
    assert load_dataset(data).digest == train.digest
    share = np.bincount(train.labels // 100, minlength=10) / len(train.labels)
    np.testing.assert_allclose(share, np.bincount(digits.labels, minlength=10) / 40, atol=0.01)


def test_first_n_examples_of_idx_files(tmp_path):
    write_mnist(tmp_path)
    whole = load_dataset(Data(source="mnist", path=str(tmp_path)))
    subset = load_dataset(Data(source="mnist", path=str(tmp_path), first=3, order="stored"))
    assert (subset.images == whole.images[:3]).all()
    assert subset.labels.tolist() == whole.labels[:3].tolist()
    assert subset.digest != whole.digest
    with raises(DataError, "too_few_examples", "data.first"):
        load_dataset(Data(source="mnist", path=str(tmp_path), first=8))


def test_mnist_is_the_published_data_set(mnist):
    train, test = load_splits(Data(source="mnist"))
    assert train.images.shape == (60000, 1, 28, 28)
    assert test.images.shape == (10000, 1, 28, 28)
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    unpacked = struct.pack(">4I", 2051, 60000, 28, 28) + train.images.tobytes()
    assert hashlib.md5(unpacked).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"


def test_incomplete_download_tries_every_mirror(tmp_path, monkeypatch):
    def serve_incomplete_files(listener):
        for _ in range(2):
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ntoo few")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_incomplete_files, args=(listener,), daemon=True).start()
        mirror = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        monkeypatch.delenv("SEEDMINT_DATA", raising=False)
        monkeypatch.setenv("SEEDMINT_CACHE", str(tmp_path))
        monkeypatch.setitem(idx_module._MIRRORS, "mnist", (mirror, mirror))
        with raises(DataError, "download_failed"):
            load_dataset(Data(source="mnist"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not_idx"),
        (b"\0\0\x0d\x01\0\0\0\x01", "not_idx"),
        (b"\0\0\x08\x02\0\0", "not_idx"),
        (b"\0\0\x08\x01\0\0\0\x05abc", "damaged"),
        (b"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xffab", "damaged"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, content, reason):
    for path, raw in ((tmp_path / "x", content), (tmp_path / "x.gz", gzip.compress(content))):
        path.write_bytes(raw)
        with raises(DataError, reason):
            read_idx(path)
    (tmp_path / "y.gz").write_bytes(gzip.compress(b"abc" * 100)[:-9])
    with raises(DataError, "damaged"):
        read_idx(tmp_path / "y.gz")


def test_download_is_verified_and_cached(tmp_path, monkeypatch):
    write_mnist(tmp_path / "mirror")
    for file in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        path = tmp_path / "mirror" / f"{file}.gz"
        if not path.exists():
            path.write_bytes(gzip.compress((tmp_path / "mirror" / file).read_bytes()))
        monkeypatch.setitem(idx_module._CHECKSUMS["mnist"], file, hashlib.sha256(path.read_bytes()).hexdigest())
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (tmp_path / "mirror").glob("train-*.gz"):
        (broken / path.name).write_bytes(b"<html>not found</html>")
    monkeypatch.delenv("SEEDMINT_DATA", raising=False)
    monkeypatch.setenv("SEEDMINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(idx_module._MIRRORS, "mnist", (f"{broken.as_uri()}/", f"{(tmp_path / 'mirror').as_uri()}/"))
    assert len(load_dataset(Data(source="mnist")).images) == 7
    monkeypatch.setitem(idx_module._MIRRORS, "mnist", ())
    assert len(load_dataset(Data(source="mnist")).images) == 7  # from the cache
    for path in (tmp_path / "cache").rglob("*.gz"):
        path.unlink()
    monkeypatch.setitem(idx_module._MIRRORS, "mnist", (f"{broken.as_uri()}/", "http://127.0.0.1:9/"))
    with raises(DataError, "download_failed"):
        load_dataset(Data(source="mnist"))
    assert not list((tmp_path / "cache").rglob("*.gz"))


def test_folder_with_labels(tmp_path):
    random = np.random.default_rng(0)
    for label in ("cat", "ant"):
        (tmp_path / label).mkdir()
        for i in range(3):
            Image.fromarray(random.integers(0, 256, (10, 14, 3), dtype=np.uint8)).save(tmp_path / label / f"{i}.png")
    found = load_dataset(Data(source="folder", path=str(tmp_path), licence="CC0-1.0"))
    assert found.images.shape == (6, 3, 10, 14)
    assert found.classes == ("ant", "cat")
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    expected = np.asarray(Image.open(tmp_path / "cat" / "1.png"))
    assert (found.images[4].transpose(1, 2, 0) == expected).all()
    assert load_dataset(Data(source="folder", path=str(tmp_path), side=8, channels=1)).images.shape == (6, 1, 8, 8)


def test_folder_without_labels(tmp_path):
    Image.new("L", (9, 9), 7).save(tmp_path / "a.png")
    Image.new("L", (9, 9), 8).save(tmp_path / "b.jpg")
    found = load_dataset(Data(source="folder", path=str(tmp_path)))
    assert (found.images.shape, found.labels) == ((2, 1, 9, 9), None)
    Image.new("L", (9, 12)).save(tmp_path / "c.png")
    with raises(DataError, "mixed_sizes", "data.side"):
        load_dataset(Data(source="folder", path=str(tmp_path)))
    (tmp_path / "c.png").unlink()
    (tmp_path / "b.jpg").write_bytes(b"no image")
    with raises(DataError, "unreadable_image"):
        load_dataset(Data(source="folder", path=str(tmp_path)))


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_npz_images(tmp_path, channels):
    shape = (5, 12, 9) if channels is None else (5, 12, 9, channels)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.array([0, 1, 2, 1, 0], dtype=np.uint8), classes=["a", "b", "c"])
    found = load_dataset(Data(source="npz", path=str(tmp_path / "x.npz")))
    assert found.images.shape == (5, channels or 1, 12, 9)
    assert (found.images.transpose(0, 2, 3, 1).reshape(shape) == images).all()
    assert (found.classes, found.labels.tolist()) == (("a", "b", "c"), [0, 1, 2, 1, 0])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"photos": np.zeros((1, 8, 8), np.uint8), "masks": np.zeros((1, 8, 8), np.uint8)}, "no_array"),
        ({"images": np.zeros((1, 8, 8), np.float32)}, "wrong_array"),
        ({"images": np.zeros((1, 8, 8, 2), np.uint8)}, "wrong_array"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": np.zeros(1, int)}, "wrong_labels"),
        ({"images": np.zeros((1, 8, 8), np.uint8), "labels": np.zeros(1)}, "wrong_labels"),
        ({"images": np.zeros((1, 8, 8), np.uint8), "labels": np.array([-1])}, "wrong_labels"),
        ({"images": np.array([{}], dtype=object)}, "unreadable"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": np.arange(2), "classes": ["a", "a"]}, "duplicate_class"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": np.arange(2), "classes": "a"}, "wrong_labels"),
        ({"images": np.zeros((1, 8, 8), np.uint8), "labels": np.array([2**40])}, "wrong_labels"),
    ],
)
def test_wrong_npz_files_are_refused(tmp_path, arrays, reason):
    np.savez(tmp_path / "x.npz", **arrays)
    with raises(DataError, reason):
        load_dataset(Data(source="npz", path=str(tmp_path / "x.npz")))


def test_missing_data_are_refused(tmp_path):
    for source in ("folder", "npz", "mnist"):
        with raises(DataError, field="data.path"):
            load_dataset(Data(source=source, path=str(tmp_path / "nowhere")))


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip"])
def test_damaged_npz_files_are_refused(tmp_path, content):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, images=np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8))
    whole = bytearray(path.read_bytes())
    whole[60:120] = b"x" * 60
    for damaged in (content, bytes(whole)):
        path.write_bytes(damaged)
        with raises(DataError, "unreadable", "data.path"):
            load_dataset(Data(source="npz", path=str(path)))


def test_16_bit_rotated_and_transparent_images(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    found = load_dataset(Data(source="folder", path=str(tmp_path))).images[0, 0]
    np.testing.assert_array_equal(found, ramp >> 8)
    upright = np.zeros((8, 8), np.uint8)
    upright[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(upright[::-1, ::-1]).save(tmp_path / "a.png", exif=exif)
    assert (load_dataset(Data(source="folder", path=str(tmp_path))).images[0, 0] == upright).all()
    Image.new("RGBA", (8, 8), (10, 200, 30, 0)).save(tmp_path / "a.png")
    assert (load_dataset(Data(source="folder", path=str(tmp_path))).images == 255).all()
    Image.new("I", (8, 8), 70000).save(tmp_path / "a.tiff")
    with raises(BrokenImagesError, "unreadable_image"):
        load_dataset(Data(source="folder", path=str(tmp_path)))


def test_mixed_grayscale_and_color_images(tmp_path):
    Image.new("L", (8, 8), 7).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "b.png")
    with raises(DataError, "mixed_channels", "data.channels"):
        load_dataset(Data(source="folder", path=str(tmp_path)))
    for channels in (1, 3):
        assert load_dataset(Data(source="folder", path=str(tmp_path), channels=channels)).images.shape == (2, channels, 8, 8)


def test_opacity_is_kept_on_request(tmp_path):
    Image.new("RGBA", (9, 8), (10, 20, 30, 40)).save(tmp_path / "a.png")
    Image.new("L", (9, 8), 50).save(tmp_path / "b.png")
    found = load_dataset(Data(source="folder", path=str(tmp_path), channels=4))
    assert found.images.shape == (2, 4, 8, 9)
    assert found.images[:, :, 0, 0].tolist() == [[10, 20, 30, 40], [50, 50, 50, 255]]
