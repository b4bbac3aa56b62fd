"""API keys: created once, stored as digests, found in constant time, and absent from every error message."""

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from seedmint.cli import cli
from seedmint.models.errors import UserError
from seedmint.service.server.api_keys import Keyring, key_from_headers, new_key, read_keyring
from seedmint.service.settings import SettingsError, read_settings


def ring_of(*lines: str) -> Keyring:
    return Keyring([(line, "api_keys", "entry") for line in lines])


def test_a_new_key_is_random_and_its_line_contains_only_its_digest():
    created = [new_key("alice") for _ in range(100)]
    assert len({key for key, _ in created}) == 100
    for key, line in created:
        assert len(key) >= 43  # 256 bits in base 64
        assert line == f"alice:{hashlib.sha256(key.encode()).hexdigest()}"


def test_the_command_prints_the_key_once_and_separate_from_its_line():
    done = CliRunner().invoke(cli, ["keys", "new", "build-server.2"], catch_exceptions=False)
    assert done.exit_code == 0
    key, line = done.stderr.strip(), done.stdout.strip()
    assert ring_of(line).name_of(key.encode()) == "build-server.2"
    assert key not in line


@pytest.mark.parametrize("name", ["", "Alice", "a b", "a:b", "a\n", "é", "-a", "a" * 65])
def test_an_invalid_name_is_an_error(name: str):
    with pytest.raises(UserError) as error:
        new_key(name)
    assert (error.value.field, error.value.reason) == ("name", "invalid_name")


def test_only_the_keys_of_the_ring_have_a_name():
    created = {name: [new_key(name) for _ in range(2)] for name in ("alice", "bob")}
    ring = ring_of(*(line for pairs in created.values() for _, line in pairs))
    for name, pairs in created.items():
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
def test_the_key_is_read_from_either_header(headers: list[tuple[bytes, bytes]], key: bytes | None):
    assert key_from_headers(headers) == key


def test_keys_are_read_from_the_environment_and_from_a_file(tmp_path: Path):
    created = [new_key(name) for name in ("a", "b", "c")]
    file = tmp_path / "keys"
    file.write_text(f"# comment\n\n  {created[2][1]}\n")
    variables = {"SEEDMINT_API_KEYS": f"{created[0][1]}, {created[1][1]}", "SEEDMINT_API_KEYS_FILE": str(file)}
    settings = read_settings(variables)
    assert read_settings(settings.to_environment()) == settings
    ring = read_keyring(settings)
    assert ring is not None
    assert [ring.name_of(key.encode()) for key, _ in created] == ["a", "b", "c"]
    assert read_keyring(read_settings({})) is None


SECRET = "sm_IShouldNotBeShown"


@pytest.mark.parametrize(
    ("field", "content", "reason", "place"),
    [
        ("api_keys", "", "empty", ""),
        ("api_keys", " ", "not_a_key_line", "entry 1"),
        ("api_keys", SECRET, "not_a_key_line", "entry 1"),
        ("api_keys", f"a:{'0' * 64},b:{SECRET}", "not_a_key_line", "entry 2"),
        ("api_keys_file", "", "empty", ""),
        ("api_keys_file", None, "unreadable", ""),
        ("api_keys_file", b"# no key\n\n", "empty", ""),
        ("api_keys_file", b"\xff\xfe", "not_text", ""),
        ("api_keys_file", f"# x\na:{SECRET}\n".encode(), "not_a_key_line", "line 2"),
    ],
)
def test_missing_and_invalid_keys_are_errors_that_do_not_quote_them(
    tmp_path: Path, field: str, content: str | bytes | None, reason: str, place: str
):
    value = content if isinstance(content, str) else str(tmp_path / "keys")
    if isinstance(content, bytes):
        (tmp_path / "keys").write_bytes(content)
    with pytest.raises(SettingsError) as error:
        read_keyring(read_settings({f"SEEDMINT_{field.upper()}": value}))
    assert (error.value.field, error.value.reason) == (field, reason)
    assert place in str(error.value)
    assert SECRET not in str(error.value)
