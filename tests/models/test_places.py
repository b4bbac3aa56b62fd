"""The places of `SEEDMINT_MODELS`: folders and URLs, and their names in logs."""

from pathlib import Path

import pytest
from platformdirs import user_cache_path

from seedmint.models.errors import UserError
from seedmint.models.places import (
    default_cache,
    first_folder,
    is_possible_path,
    is_url,
    is_web_file,
    place_name,
    split_places,
)


def test_places_are_separated_by_commas():
    assert split_places(" models/ ,, s3://bucket/prefix,") == ("models/", "s3://bucket/prefix")
    assert split_places(" , ") == ()


@pytest.mark.parametrize(
    ("place", "has_protocol", "is_web"),
    [
        ("s3://bucket", True, False),
        ("a1+.-b://x", True, False),
        ("https://host/a.onnx", True, True),
        ("http://host/a.onnx", True, True),
        ("models", False, False),
        ("1s3://x", False, False),
        ("folder/s3://x", False, False),
        ("S3://bucket", False, False),
        ("https:/host", False, False),
    ],
)
def test_urls_have_a_protocol(place: str, has_protocol: bool, is_web: bool):
    assert (is_url(place), is_web_file(place)) == (has_protocol, is_web)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("models/", "models/"),
        ("s3://bucket/a?b", "s3://bucket/a?b"),
        ("https://host:8443/a.onnx", "https://host:8443/a.onnx"),
        ("https://user:pass@word@host/a.onnx?token=secret#x", "https://host/a.onnx"),
        ("http://user@host/a.onnx", "http://host/a.onnx"),
        ("https://user:password@[::1/a.onnx?b", "https://[::1/a.onnx"),  # not a URL
        ("https://host?a=/b@c", "https://host"),
    ],
)
def test_names_of_web_files_have_no_password_and_no_query(place: str, name: str):
    assert place_name(place) == name


def test_new_generators_are_written_to_the_first_folder():
    assert first_folder(["s3://bucket", "one", "two"]) == Path("one")
    with pytest.raises(UserError) as error:
        first_folder(["s3://bucket", "https://host/a.onnx"])
    assert (error.value.field, error.value.reason) == ("models", "no_folder")


def test_downloads_are_kept_in_the_cache_of_the_user():
    assert default_cache() == user_cache_path("seedmint") / "generators"


@pytest.mark.parametrize(
    ("path", "is_possible"),
    [
        ("a" * 255, True),
        ("a" * 256, False),
        ("ü" * 128, False),
        ("/".join(["a" * 99] * 41), False),
        ("/".join(["a" * 99] * 40), True),
        ("a\0b", False),
        ("a\ud800", False),
        ("a\udcff", True),  # a byte that is no UTF-8
        ("", True),
    ],
)
def test_impossible_paths_are_those_that_no_file_can_have(path: str, is_possible: bool):
    assert is_possible_path(path) is is_possible
    assert is_possible_path(Path(path)) is is_possible
