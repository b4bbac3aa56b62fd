"""The page of the explorer for browsers without JavaScript."""

import re

import pytest

from seedmint.models.directory import SHIPPED
from seedmint.service.api.pages import explorer_page
from seedmint.service.runtime.generator import Generator, open_generator


def page_of(generator: Generator) -> str:
    return bytes(explorer_page([generator], is_public=True).body).decode()


def test_strings_have_links_to_their_texts():
    words = open_generator(SHIPPED / "words.onnx")
    links = re.findall(r'<a href="v1/models/([^"/]+)/samples/0\.([^"]+)">', page_of(words))
    assert links == [(f"words@{words.digest12}", "txt")]


def test_the_title_of_a_generator_is_only_text(grey: Generator, monkeypatch: pytest.MonkeyPatch):
    plain = page_of(grey)
    monkeypatch.setattr(grey, "card", grey.card.model_copy(update={"title": "<b>{preload}"}))
    assert page_of(grey).count("<link") == plain.count("<link")
    assert "&lt;b&gt;{preload}" in page_of(grey)
