"""Write a new provider package: complete, publishable, with its tests green before anything is filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import attrs

from ..errors import ConfigurationError
from ..hooks import HOOK_API
from ..version import __version__

__all__ = ["NewProvider", "write_provider"]


@attrs.frozen
class NewProvider:
    """What a new package is to be called, and where its vendor is."""

    name: str
    base_url: str
    key_env: str
    model: str

    @classmethod
    def of(cls, name: str, base_url: str, *, key_env: str | None = None, model: str | None = None) -> NewProvider:
        """Return it with the rest guessed. Raises ConfigurationError for a name or an address that cannot be."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ConfigurationError(f"A provider's name is lower-case letters, digits and _, not {name!r}.")
        if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname:
            raise ConfigurationError(f"--base-url must be like https://llm.{name}.example/v1, not {base_url!r}.")
        return cls(name, base_url.rstrip("/"), key_env or f"{name.upper()}_API_KEY", model or f"{name}-large")


def write_provider(new: NewProvider, folder: Path) -> list[Path]:
    """Write the package into a new folder and return its files. Raises ConfigurationError if the folder exists."""
    if folder.exists():
        raise ConfigurationError(f"{folder} exists already; name another folder, or remove it.")
    words = {
        "name": new.name,
        "title": new.name.replace("_", " ").title(),
        "class_name": new.name.title().replace("_", ""),
        "base_url": new.base_url,
        "key_env": new.key_env,
        "model": new.model,
        "core": ".".join(__version__.split(".")[:2]),
        "hook_api": str(HOOK_API),
    }
    written = []
    for place, text in _templates(resources.files(__package__).joinpath("template"), Path()):
        path = folder / str(place).replace("NAME", new.name).removesuffix(".template")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words), "utf-8")
        written.append(path)
    return written


def _templates(folder: Traversable, place: Path) -> Iterator[tuple[Path, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, place / entry.name)
        elif entry.name.endswith(".template"):
            yield place / entry.name, entry.read_text("utf-8")
