"""docs/import.md: its code runs, and its table has every reason."""

import re
import sys
from pathlib import Path

import pytest
import torch

from seedmint.cli import main

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/import.md").read_text(encoding="utf-8")
NETWORK = """
from torch import nn

class Generator(nn.Sequential):
    def __init__(self):
        super().__init__(nn.ConvTranspose2d(100, 4, 4), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh())
"""


def test_every_reason_is_in_the_table():
    sources = [*(ROOT / "service/importer").glob("*.py"), ROOT / "service/cli/models_add.py"]
    reasons = set()
    for path in sources:
        text = path.read_text(encoding="utf-8")
        reasons |= set(re.findall(r'reason="(\w+)"', text)) | set(re.findall(r'"(external_data_\w+)"', text))
    kinds = (ROOT / "service/importer/file_kinds.py").read_text(encoding="utf-8")
    reasons |= set(re.findall(r'^    "(\w+)": ', kinds, re.MULTILINE))
    table = PAGE[PAGE.index("## Reasons of a refusal") :]
    assert reasons - {"import_failed"} <= set(re.findall(r"`(\w+)`", table))


def test_code_for_a_pytorch_checkpoint_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "netg.py").write_text(NETWORK)
    (tmp_path / "models").mkdir()
    torch.manual_seed(0)
    namespace: dict[str, object] = {}
    try:
        exec("from netg import Generator\nimport torch\ntorch.save(Generator().state_dict(), 'netG.pth')", namespace)
        blocks = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "pickle" not in block]
        blocks = [block for block in blocks if "keras" not in block]
        fixed, dynamic, reference = blocks
        for block in (fixed + reference, dynamic):
            exec(block, namespace)
            with pytest.raises(SystemExit) as ended:
                main(["models", "add", "g.onnx", "--models", "models", "--replace", "--reference", "reference.npy"])
            assert ended.value.code == 0
    finally:
        sys.modules.pop("netg", None)
