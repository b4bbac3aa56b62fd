"""The present version of a generator: by the file `aliases`, by NAME.onnx, or the newest file NAME@DIGEST12.onnx."""

import pytest

from seedmint.models.errors import UserError
from seedmint.service.places.aliases import parse_aliases
from seedmint.service.places.present_versions import ServedFile, present_versions

OLD, NEW, PLAIN = "a" * 64, "b" * 64, "c" * 64
FILES = {f"g@{OLD[:12]}": ServedFile(OLD, 1), f"g@{NEW[:12]}": ServedFile(NEW, 2)}
WITH_PLAIN = FILES | {"g": ServedFile(PLAIN, 0)}


def test_lines_pin_names_to_digests():
    text = f"# comment\n\ng = g@{OLD[:12]}\n  h=h@{NEW}  \n"
    assert parse_aliases(text) == {"g": OLD[:12], "h": NEW}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("g", "invalid_line"),
        ("g = g@123", "invalid_line"),
        ("g = g@" + "A" * 12, "invalid_line"),
        (f"g = h@{OLD}", "other_name"),
        (f"g = g@{OLD}\ng = g@{NEW}", "repeated_name"),
    ],
)
def test_wrong_lines_are_refused(text: str, reason: str):
    with pytest.raises(UserError) as error:
        parse_aliases(text)
    assert (error.value.field, error.value.reason) == ("aliases", reason)


@pytest.mark.parametrize(
    ("files", "pins", "previous", "present", "missing"),
    [
        (FILES, {}, {}, f"g@{NEW[:12]}", []),  # the newest
        (WITH_PLAIN, {}, {}, None, []),  # NAME.onnx
        (WITH_PLAIN, {"g": OLD[:12]}, {}, f"g@{OLD[:12]}", []),
        (WITH_PLAIN, {"g": PLAIN}, {}, None, []),
        (WITH_PLAIN, {"g": "d" * 12}, {"g": f"g@{OLD[:12]}"}, f"g@{OLD[:12]}", ["g"]),  # not in service yet
        (FILES, {"g": "d" * 12}, {"g": "g@gone"}, f"g@{NEW[:12]}", ["g"]),
        (FILES, {"other": OLD}, {}, f"g@{NEW[:12]}", []),
    ],
)
def test_present_version(
    files: dict[str, ServedFile], pins: dict[str, str], previous: dict[str, str], present: str | None, missing: list[str]
):
    assert present_versions(files, pins, previous) == ({} if present is None else {"g": present}, missing)
