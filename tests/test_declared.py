"""What users and vendors rely on by name is as it was agreed: a change of it is a line in `declared.json`."""

from __future__ import annotations

import json
import re

import pytest

from .declared import DECLARED, declared, written

TOKEN = re.compile(r"[a-z0-9-]+")


@pytest.mark.parametrize("name", sorted(json.loads(DECLARED.read_text("utf-8"))))
def test_a_provider_declares_what_was_agreed(name: str) -> None:
    assert json.loads(json.dumps(declared()[name])) == json.loads(DECLARED.read_text("utf-8"))[name]


def test_the_file_is_as_it_is_written() -> None:
    assert written() == DECLARED.read_text("utf-8"), "python -m tests.declared writes it"


def test_the_names_of_headers_can_be_sent() -> None:
    for name, own in declared().items():
        headers = [own.get("auth", {}).get("header", "authorization"), *own.get("headers", ())]
        headers += [*own.get("settings_headers", {}).values(), *own.get("dialect", {}).get("request_id_headers", ())]
        assert all(TOKEN.fullmatch(header.lower()) for header in headers), (name, headers)
