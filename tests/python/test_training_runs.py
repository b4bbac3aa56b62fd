"""`seedmint.train`: callbacks, stopping, resuming with the same weights, and the export."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import seedmint
from seedmint.models.errors import UserError
from tests.support.recipes import recipe_document


class _Recorder(seedmint.TrainingHook):
    """Records the calls, and stops the training after a step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.calls: list[str] = []
        self.steps: list[int] = []
        self._stop_after = stop_after

    def on_fit_start(self, trainer: Any) -> None:
        self.calls.append("start")

    def on_step_end(self, trainer: Any) -> None:
        self.steps.append(trainer.state.step)
        if trainer.state.step == self._stop_after:
            trainer.stop()

    def on_statistics(self, trainer: Any, statistics: dict[str, float]) -> None:
        self.calls.append("statistics")

    def on_preview(self, trainer: Any, outputs: Any, labels: Any) -> None:
        self.calls.append("preview")

    def on_checkpoint(self, trainer: Any, path: Path) -> None:
        assert path.is_file()
        self.calls.append("checkpoint")

    def on_interrupt(self, trainer: Any) -> None:
        self.calls.append("interrupt")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[seedmint.TrainingRun, _Recorder, list[int]]:
    recorder, steps = _Recorder(), []
    run = seedmint.train(
        recipe_document(),
        tmp_path_factory.mktemp("whole") / "run",
        device="cpu",
        callbacks=[recorder],
        on_progress=lambda event: steps.append(event.step),
    )
    return run, recorder, steps


def test_callbacks_are_called(whole: tuple[seedmint.TrainingRun, _Recorder, list[int]]):
    run, recorder, steps = whole
    assert (run.step, run.is_finished, run.interrupted_by) == (20, True, None)
    assert recorder.steps == list(range(1, 21))
    assert recorder.calls[0] == "start"
    assert {name: recorder.calls.count(name) for name in ("statistics", "preview", "checkpoint", "interrupt")} == {
        "statistics": 4,
        "preview": 2,
        "checkpoint": 4,
        "interrupt": 0,
    }
    assert {5, 10, 15, 20} <= set(steps)


def test_a_stopped_run_continues_with_the_same_weights(
    whole: tuple[seedmint.TrainingRun, _Recorder, list[int]], tmp_path: Path
):
    recorder = _Recorder(stop_after=7)
    run = seedmint.train(recipe_document(), tmp_path / "run", device="cpu", callbacks=[recorder], resume=True)
    assert (run.step, run.is_finished, run.interrupted_by) == (7, False, None)
    assert recorder.calls[-2:] == ["interrupt", "checkpoint"] or recorder.calls[-2:] == ["checkpoint", "interrupt"]
    run = seedmint.train(recipe_document(), tmp_path / "run", device="cpu", resume=True)
    assert run.is_finished
    here, there = (one.export("mine", models=tmp_path / name) for one, name in ((run, "a"), (whole[0], "b")))
    assert here.digest == there.digest
    np.testing.assert_array_equal(here.images(range(8)), there.images(range(8)))
    again = seedmint.train(recipe_document(), tmp_path / "run", device="cpu", resume=True)  # nothing is left to do
    assert (again.step, again.is_finished) == (20, True)


def test_overrides_change_a_recipe(tmp_path: Path):
    overrides = {"steps": 2, "generator.width": 8, "discriminator.width": 8, "m": 10, "every.evaluate": None}
    run = seedmint.train("digits", tmp_path / "run", overrides=overrides, device="cpu")
    assert (run.step, run.is_finished) == (2, True)


@pytest.mark.parametrize(
    ("recipe", "arguments", "field", "reason"),
    [
        ("no-such-recipe", {}, "recipe", "not_found"),
        (recipe_document(stepz=3), {}, "stepz", None),
        (recipe_document(), {"overrides": {"steps": -1}}, "steps", None),
        (recipe_document(), {"device": "mps"}, "device", "no_gpu"),
    ],
)
def test_a_wrong_argument_names_its_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Any, arguments: dict[str, Any], field: str, reason: str | None
):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(UserError) as error:
        seedmint.train(recipe, tmp_path / "run", **arguments)
    assert error.value.field == field
    assert reason in (None, error.value.reason)


def test_a_directory_with_a_run_is_refused_without_resume(whole: tuple[seedmint.TrainingRun, _Recorder, list[int]]):
    with pytest.raises(UserError) as error:
        seedmint.train(recipe_document(), whole[0].directory, device="cpu")
    assert (error.value.field, error.value.reason) == ("out", "run_exists")


@pytest.mark.parametrize("name", ["mine.onnx", "Mine", ""])
def test_a_malformed_name_is_refused(whole: tuple[seedmint.TrainingRun, _Recorder, list[int]], name: str, tmp_path: Path):
    with pytest.raises(UserError) as error:
        whole[0].export(name, models=tmp_path)
    assert (error.value.field, error.value.reason) == ("name", "invalid_name")


@pytest.mark.parametrize("networks", [{}, {"generator.capacity": "small"}, {"discriminator.kind": "residual"}], ids=str)
def test_a_folder_of_images_needs_no_recipe(tmp_path: Path, networks: dict[str, str]):
    (tmp_path / "photos").mkdir()
    for index in range(24):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{index}.png")
    overrides = {"steps": 1, "every.evaluate": None, "data.side": 8} | networks
    run = seedmint.train(tmp_path / "photos", tmp_path / "run", overrides=overrides, device="cpu")
    assert (run.step, run.is_finished) == (1, True)


@pytest.mark.parametrize(("name", "reads"), [("people.csv", 1), ("names.txt", 1), ("sensors.csv", 2)])
def test_a_table_is_read_once_before_the_training(name: str, reads: int, tmp_path: Path, file_reads: list[str]):
    """Of series, the second reading knows the columns of the names and times of the series."""
    lines = {
        "people.csv": ["age,height", *(f"{20 + i % 50},{150 + i % 40}" for i in range(100))],
        "names.txt": [f"name {i % 60}" for i in range(100)],
        "sensors.csv": ["time,value", *(f"2024-01-{1 + i // 24:02} {i % 24:02}:00,{i % 7}" for i in range(240))],
    }
    (tmp_path / name).write_text("\n".join(lines[name]) + "\n")
    overrides = {"steps": 1, "m": 4, "every.evaluate": None}
    for out in ("a", "b"):  # the second run reads the file again
        file_reads.clear()
        assert seedmint.train(tmp_path / name, tmp_path / out, overrides=overrides, device="cpu").is_finished
        assert len(file_reads) == reads


@pytest.fixture
def file_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the tables and strings that were read."""
    from seedmint.training.datasets import table, texts

    reads: list[str] = []
    for module in (table, texts):
        name = "read_cells" if module is table else "read_content"
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda path, *rest, real=real: reads.append(path) or real(path, *rest))
    return reads
