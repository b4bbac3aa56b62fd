"""Bytes of images, contact sheets and archives, compared with other readers."""

import gc
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedmint.models.card import ImageOutput
from seedmint.models.errors import UserError
from seedmint.models.files import whole_file
from seedmint.models.seeds import parse_seeds
from seedmint.service.encoders.archives import archive_writer
from seedmint.service.encoders.images import contact_sheet, encode, max_scale
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.pieces import check_distinct, pieces

IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def test_the_largest_scale_keeps_the_sides_within_the_limit():
    assert max_scale(ImageOutput(height=28, width=28, channels=1)) == 146
    assert max_scale(ImageOutput(height=4096, width=8, channels=1)) == 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", ["png", "webp", "npy"])
def test_every_format_keeps_the_pixels(channels: int, form: str):
    image = IMAGE[:, :, :channels]
    data = encode(image, form, {"seed": "1"})  # type: ignore[arg-type]
    assert data == encode(image.copy(), form, {"seed": "1"})  # type: ignore[arg-type]
    if form == "npy":
        back = np.load(io.BytesIO(data))
    else:
        back = np.asarray(Image.open(io.BytesIO(data)))
        back = back[:, :, :channels] if back.ndim == 3 else back[:, :, None]
    np.testing.assert_array_equal(back, image)


def test_contact_sheet_fills_rows_and_leaves_the_rest_white():
    sheet = contact_sheet(np.array([10, 20, 30], np.uint8).reshape(3, 1, 1, 1), columns=2)
    white = 255
    assert sheet[:, :, 0].tolist() == [
        [10, white, white, 20],
        [white] * 4,
        [white] * 4,
        [30, white, white, white],
    ]


@pytest.mark.parametrize("form", ["zip", "npz", "npy"])
def test_archive_is_independent_of_the_pieces(rgb: Generator, form: str):
    def archive(cuts: list[int]) -> bytes:
        writer = archive_writer(form, rgb, 100, 1.0)  # type: ignore[arg-type]
        data = b""
        for seeds in np.split(np.arange(100), cuts):
            data += writer.add(seeds, rgb.labels(seeds), rgb.generate(seeds))
        return data + b"".join(writer.finish())

    whole = archive([])
    assert whole == archive([1, 7, 64, 99])
    if form != "npy":
        with zipfile.ZipFile(io.BytesIO(whole)) as read:
            assert {(entry.date_time, entry.create_system, entry.external_attr >> 16) for entry in read.infolist()} == {
                ((1980, 1, 1, 0, 0, 0), 3, 0o644)
            }


@pytest.mark.parametrize("form", ["zip", "npz", "npy"])
def test_unfinished_archive_prints_nothing(rgb: Generator, form: str, capfd: pytest.CaptureFixture[str]):
    writer = archive_writer(form, rgb, 100, 1.0)  # type: ignore[arg-type]
    writer.add(np.arange(3), np.zeros(3, np.int64), rgb.generate(np.arange(3)))
    writer.itself = writer  # type: ignore[attr-defined]  # a cycle, which the garbage collector finalises in any order
    del writer
    gc.collect()
    assert capfd.readouterr().err == ""


def test_pieces_keep_labels_with_their_seeds(rgb: Generator, grey: Generator):
    seeds = parse_seeds("0-99,5")
    labels = np.arange(101) % 3
    parts = list(pieces(rgb, seeds, labels))
    assert [len(part) for part, _ in parts] == [64, 37]
    assert np.concatenate([part for part, _ in parts]).tolist() == [*range(100), 5]
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts if part is not None]), labels)
    assert [part for _, part in pieces(grey, seeds, None)] == [None, None]
    assert {int(label) for _, part in pieces(rgb, seeds, 2) if part is not None for label in part} == {2}


def test_repeated_pair_of_seed_and_label_is_refused():
    check_distinct(parse_seeds("1,1"), np.array([0, 1]))
    for seeds, labels in ((parse_seeds("1,1"), np.array([1, 1])), (parse_seeds("0-9,3"), 2), (parse_seeds("0-9,3"), None)):
        with pytest.raises(UserError):
            check_distinct(seeds, labels)


def test_written_file_is_complete_or_absent(tmp_path: Path):
    path = tmp_path / "new" / "file"
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert list(path.parent.iterdir()) == []
    with whole_file(path) as file:
        file.write(b"old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half of the n", None])  # type: ignore[list-item]
    assert path.read_bytes() == b"old"
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode  # the permissions of any new file
