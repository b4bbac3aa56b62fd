"""API keys: made once, kept as hashes, found in constant time, and never shown by an error."""

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from seedmint.cli import cli
from seedmint.models.errors import UserError
from seedmint.service.server.api_keys import Keyring, new_key, presented, read_keyring
from seedmint.service.settings import SettingsError, read_settings


def test_a_new_key_is_fresh_and_its_line_holds_its_hash_alone():
    made = [new_key("alice") for _ in range(100)]
    assert len({key for key, _ in made}) == 100
    for key, line in made:
        assert len(key) >= 43  # 256 bits in base 64
        assert line == f"alice:{hashlib.sha256(key.encode()).hexdigest()}"


def test_the_command_shows_the_key_once_and_apart_from_its_line():
    done = CliRunner().invoke(cli, ["keys", "new", "build-server.2"], catch_exceptions=False)
    assert done.exit_code == 0
    key, line = done.stderr.strip(), done.stdout.strip()
    assert Keyring([(line, "here")]).name_of(key.encode()) == "build-server.2"
    assert key not in line


@pytest.mark.parametrize("name", ["", "Alice", "a b", "a:b", "a\n", "é", "-a", "a" * 65])
def test_a_name_that_will_not_do_is_refused(name: str):
    with pytest.raises(UserError, match="write 1 to 64 lower-case letters"):
        new_key(name)


def test_only_the_keys_of_the_ring_are_known_by_name():
    made = {name: [new_key(name) for _ in range(2)] for name in ("alice", "bob")}
    lines = [(line, "here") for pairs in made.values() for _, line in pairs]
    ring = Keyring(lines)
    for name, pairs in made.items():
        for key, line in pairs:
            assert ring.name_of(key.encode()) == name
            for wrong in (key[:-1], key + "0", key.swapcase(), line, line.partition(":")[2], ""):
                assert ring.name_of(wrong.encode()) is None


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], None),
        ([(b"authorization", b"Bearer k")], b"k"),
        ([(b"authorization", b"bearer  k ")], b"k"),
        ([(b"authorization", b"Basic k")], None),
        ([(b"authorization", b"Bearer")], None),
        ([(b"x-api-key", b" k ")], b"k"),
        ([(b"x-api-key", b"a"), (b"authorization", b"Bearer b")], b"b"),
        ([(b"authorization", b"Basic a"), (b"x-api-key", b"b")], b"b"),
    ],
)
def test_where_a_key_stands_in_a_request(headers: list[tuple[bytes, bytes]], key: bytes | None):
    assert presented(headers) == key


def test_keys_come_from_the_environment_and_from_a_file(tmp_path: Path):
    made = [new_key(name) for name in ("a", "b", "c")]
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n  {made[2][1]}\n")
    given = {"SEEDMINT_API_KEYS": f"{made[0][1]}, {made[1][1]}", "SEEDMINT_API_KEYS_FILE": str(file)}
    settings = read_settings(given)
    assert read_settings(settings.to_environment()) == settings
    ring = read_keyring(settings)
    assert ring is not None
    assert [ring.name_of(key.encode()) for key, _ in made] == ["a", "b", "c"]
    assert read_keyring(read_settings({})) is None


SECRET = "sm_IShouldNotBeShown"


@pytest.mark.parametrize(
    ("variable", "content", "said"),
    [
        ("API_KEYS", "", "SEEDMINT_API_KEYS is empty: unset it to serve without keys"),
        ("API_KEYS", " ", "SEEDMINT_API_KEYS: entry 1 is not name:sha256"),
        ("API_KEYS", SECRET, "SEEDMINT_API_KEYS: entry 1 is not name:sha256"),
        ("API_KEYS", f"a:{'0' * 64},b:{SECRET}", "SEEDMINT_API_KEYS: entry 2 is not name:sha256"),
        ("API_KEYS_FILE", "", "SEEDMINT_API_KEYS_FILE is empty"),
        ("API_KEYS_FILE", None, "SEEDMINT_API_KEYS_FILE: the file cannot be read: No such file"),
        ("API_KEYS_FILE", b"# nothing\n\n", "SEEDMINT_API_KEYS_FILE: the file holds no key"),
        ("API_KEYS_FILE", b"\xff\xfe", "SEEDMINT_API_KEYS_FILE: the file is not UTF-8"),
        ("API_KEYS_FILE", f"# x\na:{SECRET}\n".encode(), "SEEDMINT_API_KEYS_FILE: line 2 is not name:sha256"),
    ],
)
def test_keys_that_did_not_arrive_open_no_door(tmp_path: Path, variable: str, content: str | bytes | None, said: str):
    value = content if isinstance(content, str) else str(tmp_path / "keys")
    if isinstance(content, bytes):
        (tmp_path / "keys").write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        read_keyring(read_settings({f"SEEDMINT_{variable}": value}))
    assert str(refused.value).startswith(said)
    assert SECRET not in str(refused.value)
