"""Write a new provider package: complete, publishable, with its tests green before anything is filled in."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import attrs

from ...basics.hosts import shown_address
from ...basics.version import __version__
from ...errors import ConfigurationError
from ...hooks import HOOK_API

__all__ = ["NewProvider", "write_provider"]

_NAME = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_URL = r"[!#$%&'()*+,\-./:;=?@\[\]_~0-9A-Za-z]+"
"""The characters that RFC 3986 has for a URL; no quote but the single one, no brace, no backslash, no blank."""
_TITLE = r"\w(?:[\w .&+-]*[\w+])?"
_LONGEST_NAME, _LONGEST_TEXT = 50, 500


@attrs.frozen
class NewProvider:
    """What a new package is to be called, and where its vendor is.

    Its values become code, so each is checked here. Raises ConfigurationError for one that cannot be.
    """

    name: str
    base_url: str
    key_env: str
    model: str
    title: str = attrs.field()

    @title.default
    def _title(self) -> str:
        return " ".join(word.capitalize() for word in self.name.split("_"))

    @classmethod
    def of(
        cls,
        name: str,
        base_url: str,
        *,
        key_env: str | None = None,
        model: str | None = None,
        title: str | None = None,
    ) -> NewProvider:
        """Return it with the rest guessed."""
        known = {} if title is None else {"title": title}
        url, variable = base_url.rstrip("/"), key_env or f"{name.upper()}_API_KEY"
        return cls(name, url, variable, model or f"{name}-large", **known)

    def __attrs_post_init__(self) -> None:
        if not re.fullmatch(_NAME, self.name) or len(self.name) > _LONGEST_NAME:
            raise ConfigurationError(
                f"A provider's name is lower-case letters, digits and single _ between them, "
                f"at most {_LONGEST_NAME}, not {self.name!r}."
            )
        if not _is_address(self.base_url):
            shown = shown_address(self.base_url) or "what is given"
            raise ConfigurationError(f"--base-url must be like https://llm.{self.name}.example/v1, not {shown}.")
        if not re.fullmatch(_VARIABLE, self.key_env) or len(self.key_env) > _LONGEST_TEXT:
            raise ConfigurationError(f"--key-env is letters, digits and _, not {self.key_env!r}.")
        if not 0 < len(self.model.strip()) == len(self.model) <= _LONGEST_TEXT or not self.model.isprintable():
            raise ConfigurationError(f"--model must be a printable word, not {self.model!r}.")
        if not re.fullmatch(_TITLE, self.title) or len(self.title) > _LONGEST_NAME:
            raise ConfigurationError(f"--title is letters, digits, blanks and . & + - between, not {self.title!r}.")


def _is_address(url: str) -> bool:
    """Whether a URL can be the base of a vendor's paths: http or https, a host, nobody's password, and no query."""
    try:
        parts = urlsplit(url)
        port_is_known = parts.port is None or parts.port > 0
    except ValueError:
        return False
    known = port_is_known and parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return bool(known and not set("?#") & set(url) and re.fullmatch(_URL, url) and len(url) <= _LONGEST_TEXT)


def write_provider(new: NewProvider, folder: Path) -> list[Path]:
    """Write the package into a new folder and return its files. Raises ConfigurationError if that cannot be."""
    if folder.exists():
        raise ConfigurationError(f"{folder} exists already; name another folder, or remove it.")
    words, written = _words(new), []
    for place, text in _templates(resources.files(__package__).joinpath("template"), Path()):
        path = folder / str(place).replace("NAME", new.name).removesuffix(".template")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(text).substitute(words), "utf-8")
        except OSError as error:
            raise ConfigurationError(f"Cannot write {path}: {error.strerror or error}.") from error
        written.append(path)
    return written


def _words(new: NewProvider) -> dict[str, str]:
    """Return what stands for the words of the templates. Only a checked name stands there without quotes."""
    target = f"{new.name}:{new.model}"
    major, minor = __version__.split(".")[:2]
    return {
        "name": new.name,
        "title": new.title,
        "title_text": _quoted(new.title),
        "class_name": new.name.title().replace("_", ""),
        "base_url": _quoted(new.base_url),
        "key_env": _quoted(new.key_env),
        "key_env_word": new.key_env,
        "model": _quoted(new.model),
        "model_pattern": _quoted(re.sub(r"([*?[])", r"[\1]", new.model) + "*"),
        "target": _quoted(target),
        "target_word": shlex.quote(target),
        "core": f"{major}.{minor}",
        "next_core": f"{major}.{int(minor) + 1}",  # until 1.0 a minor version may change what plugins meet
        "hook_api": str(HOOK_API),
    }


def _quoted(text: str) -> str:
    """Return a printable text in double quotes, which mean the same to Python, JSON and TOML."""
    return json.dumps(text, ensure_ascii=False)


def _templates(folder: Traversable, place: Path) -> Iterator[tuple[Path, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, place / entry.name)
        elif entry.name.endswith(".template"):
            yield place / entry.name, entry.read_text("utf-8")
