"""docs/import.md: its commands and its code run on small files, its links lead to sections, and its table has every reason."""

import pickle
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from seedmint.cli import cli
from seedmint.service.importer.guide import SECTIONS, section_of
from tests.support import generators
from tests.support.in_process import Answer, application

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/import.md").read_text(encoding="utf-8")
NETWORK = """
from torch import nn

class Generator(nn.Sequential):
    def __init__(self, nz=100):
        super().__init__(nn.ConvTranspose2d(nz, 4, 4), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh())

class Mapping(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 6)

    def forward(self, z, c):
        return self.layer(z / z.norm(dim=1, keepdim=True))[:, None].repeat(1, 3, 1)

class Synthesis(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 48)

    def forward(self, ws):
        return self.layer(ws.mean(1)).view(-1, 3, 4, 4)

class Style(nn.Module):
    z_dim, num_ws, w_dim, c_dim = 8, 3, 6, 0

    def __init__(self):
        super().__init__()
        self.mapping, self.synthesis = Mapping(), Synthesis()

    def forward(self, z, c):
        return self.synthesis(self.mapping(z, c))
"""
pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters of torch
NOT_RUN = ("hf download", "KERAS_BACKEND", "import keras")  # need a network or a package


def slug(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """Return the text of each section of the second level, by title."""
    parts = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str) -> list[tuple[str, str]]:
    """Return language and text of each code block of a section that can run here."""
    found = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    return [(language, code) for language, code in found if not any(word in code for word in NOT_RUN)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the files that the page begins with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SEEDMINT_MODELS", "models")
    Path("netg.py").write_text(NETWORK)
    Path("models").mkdir()
    torch.manual_seed(0)
    namespace: dict[str, type[nn.Module]] = {}
    exec("from netg import Generator, Style", namespace)
    torch.save(namespace["Generator"]().state_dict(), "netG.pth")
    torch.onnx.export(namespace["Generator"](), (torch.zeros(1, 100, 1, 1),), "g.onnx", dynamo=False)
    Path("network.pkl").write_bytes(pickle.dumps({"G_ema": namespace["Style"]()}))
    yield tmp_path
    sys.modules.pop("netg", None)


def run(command: str) -> None:
    words = shlex.split(command)
    assert words[0] == "seedmint", command
    cli.main(words[1:], standalone_mode=False)


def follow(models: Path, path: str) -> Answer:
    """Follow redirects, as `curl -L` does."""
    with application(models) as service:
        answer = service.send(service.routes, "GET", path)
        while (location := answer.header(b"location")) is not None:
            answer = service.send(service.routes, "GET", location.decode())
        return answer


def test_first_commands_end_at_a_url(folder: Path, capsys: pytest.CaptureFixture[str]):
    ((_, text),) = blocks(sections()[""])
    commands = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    assert [command.split()[:2] for command in commands[-2:]] == [["seedmint", "serve"], ["curl", "-L"]]
    for command in commands[:-2]:
        run(command)
    assert Path("faces.png").read_bytes().startswith(b"\x89PNG")
    url = commands[-1].split()[-1]
    answer = follow(Path("models"), url.removeprefix("http://localhost:3000"))
    assert (answer.status, answer.body[:4]) == (200, b"\x89PNG")


@pytest.mark.parametrize("title", [title for title, text in sections().items() if title and blocks(text)])
def test_code_of_each_section_runs(title: str, folder: Path):
    namespace: dict[str, object] = {}
    exec("from netg import Generator\ngenerator = Generator().eval()", namespace)
    if "Seedmint" in title:
        generators.write(Path("models"), "faces")
    elif "reference" in sections()[title]:  # the original of g.onnx
        exec("import torch\ntorch.onnx.export(generator, (torch.zeros(1, 100, 1, 1),), 'g.onnx', dynamo=False)", namespace)
    for language, code in blocks(sections()[title]):
        if language == "python":
            exec(code, namespace)
        else:
            for command in code.splitlines():
                run(command)


def test_links_lead_to_sections():
    titles = {slug(title) for title in re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([\w-]+)\)", PAGE))
    assert links <= titles
    assert set(SECTIONS) <= titles


def test_every_reason_is_in_the_table_with_its_section():
    reasons = set()
    for path in (
        *ROOT.glob("service/importer/*.py"),
        *ROOT.glob("seedmint/from_torch/*.py"),
        *ROOT.glob("service/cli/*import*.py"),
    ):
        text = path.read_text(encoding="utf-8")
        reasons |= set(re.findall(r'reason="(\w+)"', text)) | set(re.findall(r'"(external_data_\w+)"', text))
    kinds = (ROOT / "service/importer/file_kinds.py").read_text(encoding="utf-8")
    reasons |= set(re.findall(r'^    "(\w+)": ', kinds, re.MULTILINE))
    rows = re.findall(r"^\| (.*) \| .* \| \[.*\]\((#.*)\) \|$", PAGE[PAGE.index("## Reasons of a refusal") :], re.MULTILINE)
    table = {reason: anchor for cell, anchor in rows for reason in re.findall(r"`(\w+)`", cell)}
    assert reasons - {"import_failed"} <= table.keys()
    assert table == {reason: section_of(reason).removeprefix("docs/import.md") for reason in table}
    assert table.keys() == {reason for group in SECTIONS.values() for reason in group}
