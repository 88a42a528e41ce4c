"""`chatport new-provider` writes a package whose tests pass at once, and refuses what cannot be meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatport import ConfigurationError
from chatport.scaffold import NewProvider, write_provider


def test_the_tests_of_a_new_package_pass_at_once(tmp_path: Path) -> None:
    """Before its author fills anything in, the package is found and conforms."""
    folder = tmp_path / "acme"
    written = write_provider(NewProvider.of("acme", "https://llm.acme.example/v1"), folder)
    assert folder / "src" / "chatport_acme" / "__init__.py" in written
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "src", "CHATPORT_PLUGINS": "acme=chatport_acme:provider"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout  # the quirk table and the facts are there to be checked


def test_no_placeholder_is_left(tmp_path: Path) -> None:
    """Every word of the templates is filled in, and the address is the one that was given."""
    written = write_provider(NewProvider.of("my_ai", "https://x.example/v2/", key_env="K", model="m-1"), tmp_path / "p")
    texts = {path.name: path.read_text("utf-8") for path in written}
    assert 'base_url="https://x.example/v2"' in "".join(texts.values())
    assert 'key_env=("K",)' in "".join(texts.values())
    assert "class MyAiEmulator" in "".join(texts.values())
    assert not [name for name, text in texts.items() if "NAME" in name or ("$" in text and name != "test.yml")]


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    """Nothing of the user's is written over."""
    with pytest.raises(ConfigurationError, match="exists already"):
        write_provider(NewProvider.of("acme", "https://llm.acme.example"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "url"), [("Acme", "https://x.example"), ("a-b", "https://x.example"), ("a", "x.example")]
)
def test_a_name_or_address_that_cannot_be_is_refused(name: str, url: str) -> None:
    """Bad input is said before anything is written."""
    with pytest.raises(ConfigurationError):
        NewProvider.of(name, url)
