"""External data are read from the folder of the ONNX file, and from nowhere else."""

import os

import onnx
import pytest
from onnx import external_data_helper

from seedmint.models.errors import UserError
from seedmint.service.importer.importing import import_files
from seedmint.service.importer.options import ImportOptions
from tests.service.importer.networks import DIM, images_of, import_small, small_model

OPTIONS = ImportOptions(name="g", title="G")
WEIGHT_BYTES = DIM * 48 * 4


def write(folder, location="g.onnx.data", offset=0, length=WEIGHT_BYTES, data=None):
    """Write a model whose largest weight lies in another file, and return the path of the model."""
    model = small_model()
    tensor = model.graph.initializer[0]
    raw = tensor.raw_data
    external_data_helper.set_external_data(tensor, location, offset, length)
    tensor.ClearField("raw_data")
    folder.mkdir(exist_ok=True)
    (folder / "g.onnx").write_bytes(model.SerializeToString())
    (folder / "g.onnx.data").write_bytes(raw if data is None else data)
    return folder / "g.onnx"


def reason_of(path):
    with pytest.raises(UserError) as refused:
        import_files([path], OPTIONS)
    return refused.value.reason


def test_data_beside_the_file_are_stored_in_the_generator(tmp_path):
    imported = import_files([write(tmp_path)], OPTIONS)
    assert images_of(imported).tobytes() == images_of(import_small()).tobytes()
    assert not any(tensor.external_data for tensor in onnx.load_model_from_string(imported.content).graph.initializer)


def test_data_in_a_subfolder(tmp_path):
    path = write(tmp_path, location="weights/w.bin")
    (tmp_path / "weights").mkdir()
    (tmp_path / "g.onnx.data").rename(tmp_path / "weights" / "w.bin")
    assert images_of(import_files([path], OPTIONS)).tobytes() == images_of(import_small()).tobytes()


@pytest.mark.parametrize(
    "location",
    ["../g.onnx.data", "a/../../g.onnx.data", "/etc/passwd", "", ".", "..\\secret", "C:\\secret", "\\secret", "a\0b"],
)
def test_locations_outside_the_folder(tmp_path, location):
    assert reason_of(write(tmp_path, location=location)) == "external_data_path"


def test_link_to_a_file(tmp_path):
    path = write(tmp_path / "a")
    (tmp_path / "a" / "g.onnx.data").rename(tmp_path / "elsewhere")
    (tmp_path / "a" / "g.onnx.data").symlink_to(tmp_path / "elsewhere")
    assert reason_of(path) == "external_data_link"


def test_link_to_a_folder(tmp_path):
    path = write(tmp_path / "a", location="weights/w.bin")
    (tmp_path / "weights").mkdir()
    (tmp_path / "a" / "g.onnx.data").rename(tmp_path / "weights" / "w.bin")
    (tmp_path / "a" / "weights").symlink_to(tmp_path / "weights")
    assert reason_of(path) == "external_data_link"


def test_pipe(tmp_path):
    path = write(tmp_path)
    (tmp_path / "g.onnx.data").unlink()
    os.mkfifo(tmp_path / "g.onnx.data")
    assert reason_of(path) == "external_data_link"


def test_missing_file(tmp_path):
    path = write(tmp_path)
    (tmp_path / "g.onnx.data").unlink()
    assert reason_of(path) == "external_data_missing"


@pytest.mark.parametrize("offset", [4, WEIGHT_BYTES, 1 << 62, -1])
def test_offset_beyond_the_end(tmp_path, offset):
    assert reason_of(write(tmp_path, offset=offset)) == "external_data_offset"


@pytest.mark.parametrize("length", [WEIGHT_BYTES - 4, WEIGHT_BYTES + 4, 1 << 50, -1])
def test_length_that_does_not_fit_the_tensor(tmp_path, length):
    assert reason_of(write(tmp_path, length=length, data=bytes(2 * WEIGHT_BYTES))) == "external_data_length"


def test_truncated_file(tmp_path):
    assert reason_of(write(tmp_path, data=bytes(100))) == "external_data_offset"


def test_sparse_file(tmp_path):
    path = write(tmp_path, data=b"")
    os.truncate(tmp_path / "g.onnx.data", 1 << 30)
    assert reason_of(path) == "external_data_sparse"


def test_more_than_a_file_can_hold(tmp_path):
    path = write(tmp_path)
    model = onnx.load_model_from_string(path.read_bytes())
    tensor = model.graph.initializer[0]
    next(entry for entry in tensor.external_data if entry.key == "length").value = str(1 << 40)
    tensor.dims[0] = (1 << 40) // 48 // 4
    path.write_bytes(model.SerializeToString())
    assert reason_of(path) == "external_data_too_large"


@pytest.mark.parametrize("location", ["a" * 5000, "/".join(["a"] * 3000), "weights"])
def test_locations_that_are_no_files(tmp_path, location):
    (tmp_path / "weights").mkdir()
    assert reason_of(write(tmp_path, location=location)) in ("external_data_missing", "external_data_link")


def test_file_itself_is_not_larger_than_its_data(tmp_path):
    """The ONNX file as its own external data: its bytes are no secret, but too few."""
    assert reason_of(write(tmp_path, location="g.onnx")) == "external_data_offset"
