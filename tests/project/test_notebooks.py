"""The notebooks in docs/notebooks run from the first cell to the last, without a server."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEEDMINT_MODELS", raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    displayed = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type != "stream"]
    assert any("text/html" in output.data and "data:image/png;base64," in output.data["text/html"] for output in displayed)
    assert sum("image/png" in output.data for output in displayed) >= 2


def test_there_is_a_notebook():
    assert NOTEBOOKS
