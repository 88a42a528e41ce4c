"""The one module of helpers for plugins: each name is there, told in its text, and typed as at home."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import chatport
from chatport import helpers


def test_the_text_says_what_each_name_is_for() -> None:
    told = set(re.findall(r"`([A-Za-z_]+)`", helpers.__doc__ or ""))
    assert set(helpers.__all__) <= told


def test_no_name_is_in_two_places() -> None:
    assert not set(helpers.__all__) & set(chatport.__all__)


@pytest.mark.parametrize("name", helpers.__all__)
def test_each_name_can_be_imported(name: str) -> None:
    scope: dict[str, object] = {}
    exec(f"from chatport.helpers import {name}", scope)
    assert scope[name] is getattr(helpers, name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'chatport.helpers' has no attribute 'nothing'"):
        _ = helpers.nothing


def test_the_check_of_values_is_read_when_it_is_used() -> None:
    """Hardly a plugin needs it, and each pays for what it imports when a program starts."""
    code = "import sys, chatport.helpers; print('chatport.schemas.check' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain", "text/x-anything", "application/json", "application/xml", "application/yaml", "application/toml",
        "application/javascript", "application/x-yaml", "application/x-ndjson", "application/sql", "application/x-sh",
        "application/rtf", "application/ld+json", "application/atom+xml",
    ],
)  # fmt: skip
def test_what_is_text_by_its_media_type(media_type: str) -> None:
    assert helpers.is_text_type(media_type)


@pytest.mark.parametrize("media_type", ["application/pdf", "image/svg+xml", "video/json", "application/jsonx", ""])
def test_what_is_none(media_type: str) -> None:
    assert not helpers.is_text_type(media_type)
