"""What the README says beyond the quirk table, which the conformance suite checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from chatport.plugins.registry import load_provider

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PROVIDERS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["chatport.providers"]


def test_every_source_has_its_month() -> None:
    rows = re.findall(r"^\| (?:[A-Z]{2}-[A-Z]|D)\d.*\|$", README, re.MULTILINE)
    assert len(rows) > 150
    assert [row for row in rows if not re.search(r"\b2026-\d\d$", row.split("|")[3].strip())] == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_and_setting_is_described(name: str) -> None:
    provider = load_provider(name)
    assert f"| `{name}` |" in README
    for word in (*provider.key_env, *provider.base_url_env, *provider.settings, *provider.settings_env.values()):
        assert f"`{word}`" in README
    if provider.base_url:
        assert f"`{provider.base_url}`" in README
