"""Every example of docs/python.md runs, in order."""

import re
import shutil
from pathlib import Path

import pytest

from seedmint.models.directory import SHIPPED
from tests.support.servers import serving

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.slow
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDMINT_MODELS", str(tmp_path / "models"))
    shutil.copytree(
        SHIPPED, tmp_path / "models", ignore=lambda _, names: [name for name in names if not name.endswith(".onnx")]
    )
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7
    names: dict[str, object] = {}
    with serving(SHIPPED) as server:
        for block in blocks:
            exec(compile(block.replace("http://localhost:3000", server.url), str(PAGE), "exec"), names)
    assert {"grid.png", "mnist.zip", "digits", "runs"} <= {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "models" / "mine.onnx").is_file()
    assert names["job"].generated == 1000
