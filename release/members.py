"""The distributions of this repository: which there are, and how all of them get one version.

They are released together and tested only together, so each has the same version and takes the others from that
version on, within the same second number.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from .fragments import ReleaseError, parse_version

__all__ = ["Member", "Settings", "members", "set_version", "settings_of", "specifier"]

_PATTERNS = ("core", "protocols/*", "surfaces", "gateway", "plugins/*", "*", "bundle")  # what others need comes first
_VERSION_LINE = re.compile(r'^version = "[^"]*"$', re.MULTILINE)
_CODE_VERSION = re.compile(r'^__version__ = "[^"]*"$', re.MULTILINE)
_IN_DOCS = re.compile(r"(chatport-core)>=\d+\.\d+,<\d+\.\d+")


@attrs.frozen
class Member:
    """One distribution: its name, its version, and its folder as it stands in the repository ("plugins/provider-x")."""

    name: str
    version: str
    folder: str

    @property
    def stem(self) -> str:
        """What its files begin with."""
        return f"{re.sub('[-_.]+', '_', self.name)}-{self.version}"


@attrs.frozen
class Settings:
    """`[tool.chatport.release]` of the root: what is the same for every distribution."""

    repository: str = ""
    classifiers: tuple[str, ...] = ()


def settings_of(root: Path) -> Settings:
    """Return the settings for releases. Raises ReleaseError for an address that is none."""
    table = _toml(root / "pyproject.toml")["tool"]["chatport"]["release"]
    repository = table["repository"].rstrip("/")
    if repository and not re.fullmatch(r"https://[\w.-]+(?:/[\w.-]+)+", repository):
        raise ReleaseError(
            f"[tool.chatport.release] repository is {repository!r}: an address such as https://host/owner/name"
        )
    return Settings(repository, tuple(table["classifiers"]))


def members(root: Path) -> list[Member]:
    """Return every distribution, each after those that it may depend on."""
    found: dict[str, Member] = {}
    for pattern in _PATTERNS:
        for path in sorted(root.glob(f"{pattern}/pyproject.toml")):
            folder = path.parent.relative_to(root).as_posix()
            if pattern == "*" and folder == "bundle":
                continue
            project = _toml(path)["project"]
            found.setdefault(folder, Member(project["name"], project["version"], folder))
    return list(found.values())


def specifier(version: str) -> str:
    """Return which versions of one of ours another of ours takes: `>=0.2,<0.3`, or `>=0.2.1,<0.3`."""
    major, minor, patch = parse_version(version)
    exact = patch or version != f"{major}.{minor}.{patch}"
    return f">={version if exact else f'{major}.{minor}'},<{major}.{minor + 1}"


def set_version(root: Path, version: str) -> list[Path]:
    """Write a version into every distribution, with what they take of one another; return the files that changed."""
    ours = members(root)
    taken = re.compile(rf'"((?:{"|".join(re.escape(one.name) for one in ours)})(?:\[[^\]]*\])?)>=[^";]*')
    major, minor, _ = parse_version(version)

    def pyproject(text: str) -> str:
        text = _once(_VERSION_LINE, f'version = "{version}"', text)
        return taken.sub(lambda match: f'"{match[1]}{specifier(version)}', text)

    def code(text: str) -> str:
        return _once(_CODE_VERSION, f'__version__ = "{version}"', text)

    def page(text: str) -> str:  # packages of a reader of the manual, as `new-provider` writes them
        return _IN_DOCS.sub(rf"\1>={major}.{minor},<{major}.{minor + 1}", text)

    changes: list[tuple[Path, Callable[[str], str]]] = [
        *((root / one.folder / "pyproject.toml", pyproject) for one in ours),
        (root / "core/src/chatport/basics/version.py", code),
        *((path, page) for path in sorted(root.glob("docs/*.md"))),
    ]
    return [path for path, change in changes if _rewrite(path, change)]


def _once(pattern: re.Pattern[str], new: str, text: str) -> str:
    changed, count = pattern.subn(new, text)
    if count != 1:
        raise ReleaseError(f"there is not one line {new!r} to write, but {count}")
    return changed


def _rewrite(path: Path, change: Callable[[str], str]) -> bool:
    old = path.read_text("utf-8")
    new = change(old)
    if new != old:
        path.write_text(new, "utf-8", newline="\n")
    return new != old


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))
