"""Signed URLs: each part is covered, encodings and the order of parameters do not matter, and expiry is bounded."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedmint
from seedmint.models.errors import UserError
from seedmint.service.server.api_keys import Keyring, new_signing_key
from seedmint.service.server.url_signatures import SignatureError, parse_signing_line, sign_url, split_query, verify

LINE = "web:hmac:" + "0f" * 32
KEY = parse_signing_line(LINE)
assert KEY is not None
PATH = "/v1/models/mnist@9faa6f89c7f5/images/42.png"
NOW = 1_000_000.0
WEEK = 604800


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seedmint.service.server.url_signatures.time.time", lambda: NOW)


def reason_of(path: str, query: str, now: float = NOW, keys: list[tuple[str, bytes]] | None = None) -> str:
    """Return the reason of a refusal, or the rest of the query."""
    try:
        return verify(path, query, [KEY] if keys is None else keys, WEEK, now).query
    except SignatureError as error:
        return error.reason


def query_of(url: str) -> str:
    return urlsplit(sign_url(url, LINE, 60)).query


def test_the_signature_is_as_documented():
    query = query_of(f"{PATH}?scale=2&label=3")
    lines = f"{quote(PATH, safe='')}\nexpires=1000060\nkey=web\nlabel=3\nscale=2".encode()
    import hmac

    signature = hmac.new(bytes.fromhex("0f" * 32), lines, "sha256").hexdigest()
    assert query == f"expires=1000060&key=web&label=3&scale=2&signature={signature}"
    assert reason_of(PATH, query) == "label=3&scale=2"


def test_prefixes_encodings_and_order_do_not_matter():
    url = sign_url(f"https://images.example/gan{PATH}?scale=2&seeds=0-3%2C7", LINE, 60)
    assert urlsplit(url).netloc == "images.example"
    pairs = split_query(urlsplit(url).query)
    query = "&".join(f"{name}={value}" for name, value in reversed(pairs))
    for path in (PATH, f"/gan{PATH}", PATH.replace("@", "%40")):
        assert "scale=2" in reason_of(path, query)
        assert "scale=2" in reason_of(path, query.replace("%2C", ","))


@given(st.integers(0, 200), st.characters(codec="ascii", categories=("L", "N")))
def test_no_character_can_be_changed(position: int, replacement: str):
    url = f"{PATH}?{query_of(f'{PATH}?label=3')}"
    position %= len(url)
    changed = url[:position] + replacement + url[position + 1 :]
    path, _, query = changed.partition("?")
    if changed == url or not path.startswith("/v1/") or "signature=" not in query:
        return
    assert reason_of(path, query) in ("wrong_signature", "malformed_signature")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda query: query + "&scale=2", "wrong_signature"),
        (lambda query: query.replace("&label=3", ""), "wrong_signature"),
        (lambda query: query.replace("expires=1000060", "expires=1000061"), "wrong_signature"),
        (lambda query: query.replace("key=web", "key=other"), "wrong_signature"),
        (lambda query: query.replace("expires=1000060&", ""), "malformed_signature"),
        (lambda query: query.replace("expires=1000060", "expires=soon"), "malformed_signature"),
        (lambda query: query + "&key=web", "malformed_signature"),
        (lambda query: "signature=\u00e9", "malformed_signature"),
        (lambda query: query.replace("signature=", "signature=\u00e9"), "wrong_signature"),
    ],
)
def test_a_changed_query_is_refused(change, reason: str):
    assert reason_of(PATH, change(query_of(f"{PATH}?label=3"))) == reason


def test_expiry_is_bounded():
    query = query_of(PATH)
    assert reason_of(PATH, query, NOW + 59.9) == ""
    assert reason_of(PATH, query, NOW + 60) == "expired_signature"
    late = urlsplit(sign_url(PATH, LINE, WEEK + 10)).query
    assert reason_of(PATH, late) == "expires_too_late"
    assert reason_of(PATH, late, NOW + 10) == ""


def test_keys_of_one_name_can_be_replaced_without_interruption():
    other = parse_signing_line(new_signing_key("web"))
    assert other is not None
    query = query_of(PATH)
    assert reason_of(PATH, query, keys=[other, KEY]) == ""
    assert reason_of(PATH, query, keys=[other]) == "wrong_signature"
    assert reason_of(PATH, query, keys=[]) == "wrong_signature"


def test_a_redirect_is_signed_with_the_same_expiry():
    path = "/v1/models/mnist/images/42.png"
    signed = verify(path, query_of(path), [KEY], WEEK, NOW)
    target, _, query = signed.sign_again(f"{PATH}?label=3").partition("?")
    assert verify(target, query, [KEY], WEEK, NOW).expires == signed.expires


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((PATH, "web:" + "0f" * 32), "key"),
        (("mnist", LINE), "url"),
        ((f"{PATH}?signature=1", LINE), "url"),
        ((PATH, LINE, 0), "seconds"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple, field: str):
    with pytest.raises(UserError) as error:
        seedmint.sign_url(*arguments)
    assert error.value.field == field


def test_a_keyring_holds_both_kinds_of_keys():
    ring = Keyring([(LINE, "api_keys", "entry 1"), ("alice:" + "0" * 64, "api_keys", "entry 2")])
    assert ring.signing_keys == [KEY]
    assert ring.name_of(b"0f" * 32) is None
