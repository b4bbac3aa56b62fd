"""The supervisor reads changed API keys, and refuses invalid keys."""

from pathlib import Path
from typing import Any

import pytest

from seedmint.service.server import key_leader
from seedmint.service.server.api_keys import new_key
from seedmint.service.server.key_leader import KeyLeader
from seedmint.service.settings import Settings, read_settings


class Link:
    def __init__(self) -> None:
        self.names: list[list[str]] = []

    def send(self, message: dict[str, Any], file: int | None = None) -> None:
        self.names.append([line.partition(":")[0] for line, _, _ in message["entries"]])


def line(name: str) -> str:
    return new_key(name)[1]


def settings_of(path: Path) -> Settings:
    return read_settings({"SEEDMINT_API_KEYS_FILE": str(path), "SEEDMINT_API_KEYS": line("fixed")})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    path.write_text(line("alice"))
    return path


def test_workers_get_the_keys_at_their_start_and_after_a_change(path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(key_leader.time, "monotonic", lambda: now[0])
    leader, link = KeyLeader(settings_of(path)), Link()
    leader.attach(link)
    assert link.names == [["fixed", "alice"]]
    path.write_text(line("bob"))
    for _ in range(3):
        now[0] += 1
        leader.poll()
    assert link.names[1:] == [["fixed", "bob"]]
    late = Link()
    leader.attach(late)
    assert late.names == [["fixed", "bob"]]
    leader.detach(link)
    path.write_text(line("carol"))
    leader.reload()  # SIGHUP does not wait
    assert len(link.names) == 2
    assert late.names[1:] == [["fixed", "carol"]]


@pytest.mark.parametrize("content", [b"not a key\n", b"", b"\xff\xfe", None], ids=["line", "empty", "binary", "removed"])
def test_invalid_keys_are_refused_with_one_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, content: bytes | None
):
    now = [0.0]
    monkeypatch.setattr(key_leader.time, "monotonic", lambda: now[0])
    leader, link = KeyLeader(settings_of(path)), Link()
    leader.attach(link)
    if content is None:
        path.unlink()
        leader.reload()
    else:
        path.write_bytes(content)
    for _ in range(5):
        now[0] += 1
        leader.poll()
    assert len(caplog.records) == 1
    assert "not a key" not in caplog.text
    late = Link()
    leader.attach(late)
    assert link.names + late.names == 2 * [["fixed", "alice"]]
