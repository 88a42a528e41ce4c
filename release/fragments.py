"""The notes in `changes/`: which version follows from them, and the section of the changelog that they become."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import attrs

__all__ = [
    "KINDS",
    "Fragment",
    "ReleaseError",
    "fragments_in",
    "next_version",
    "notes_of",
    "parse_version",
    "released",
    "section",
    "with_section",
]

KINDS = ("removed", "changed", "added", "fixed")  # in the order of the changelog: what may break comes first
_NAME = re.compile(rf"(?P<topic>[a-z0-9]+(?:-[a-z0-9]+)*)\.(?P<kind>{'|'.join(KINDS)})\.md")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:(?:a|b|rc)\d+)?")
_RELEASED = re.compile(r"^## (\d+\.\d+\.\S+)", re.MULTILINE)
_UNRELEASED = re.compile(r"^## Unreleased\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
UNRELEASED = "## Unreleased\n\nSee the fragments in [changes/](changes/README.md).\n"


class ReleaseError(Exception):
    """A release cannot be made, and why."""


@attrs.frozen
class Fragment:
    """One note for users, in one file."""

    topic: str
    kind: str
    text: str


def fragments_in(folder: Path) -> list[Fragment]:
    """Return the notes of a folder in the order of the changelog. Raises ReleaseError for a file that is none."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name == "README.md":
            continue
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ReleaseError(f"{path.name} is no fragment: <topic>.<{'|'.join(KINDS)}>.md, see changes/README.md")
        text = path.read_text("utf-8").strip()
        if not text:
            raise ReleaseError(f"{path.name} says nothing: write what users notice")
        found.append(Fragment(match["topic"], match["kind"], text))
    return sorted(found, key=lambda one: (KINDS.index(one.kind), one.topic))


def parse_version(version: str) -> tuple[int, int, int]:
    """Return the three numbers of a version. Raises ReleaseError if it is none of ours."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ReleaseError(f"{version!r} is no version: MAJOR.MINOR.PATCH, and perhaps a1, b1 or rc1 after it")
    return int(match[1]), int(match[2]), int(match[3])


def released(changelog: str) -> list[str]:
    """Return the versions that a changelog has sections for, newest first."""
    return _RELEASED.findall(changelog)


def next_version(current: str, notes: Iterable[Fragment], changelog: str) -> tuple[str, str]:
    """Return the version that follows from the notes, and why.

    Before 1.0 the second number says that something may have to be adjusted, since our packages take one another only
    within it. From 1.0 on the usual rules hold.
    """
    kinds = {note.kind for note in notes}
    if current not in released(changelog):
        return current, f"{current} was never released"
    if not kinds:
        return current, "no fragment: the released version, built again"
    major, minor, patch = parse_version(current)
    if kinds == {"fixed"}:
        return f"{major}.{minor}.{patch + 1}", "all is fixed, nothing changed"
    if major and "removed" in kinds:
        return f"{major + 1}.0.0", "something was removed"
    return f"{major}.{minor + 1}.0", f"something was {next(kind for kind in KINDS if kind in kinds)}"


def section(version: str, date: str, notes: Iterable[Fragment]) -> str:
    """Return the section of a version: a list for each kind of note."""
    lines = [f"## {version} ({date})", ""]
    of_kind: dict[str, list[Fragment]] = {}
    for note in notes:
        of_kind.setdefault(note.kind, []).append(note)
    for kind in KINDS:
        if kind in of_kind:
            lines += [f"### {kind.capitalize()}", "", *(_item(note.text) for note in of_kind[kind]), ""]
    return "\n".join(lines)


def _item(text: str) -> str:
    first, *rest = text.splitlines()
    return "\n".join([f"* {first}", *(f"  {line}" if line else "" for line in rest)])


def with_section(changelog: str, new: str) -> str:
    """Return a changelog with a new section in front of the older ones. Raises ReleaseError without "## Unreleased"."""
    if _UNRELEASED.search(changelog) is None:
        raise ReleaseError("CHANGELOG.md has no section '## Unreleased'")
    return _UNRELEASED.sub(lambda _: f"{UNRELEASED}\n{new}\n", changelog, count=1).rstrip() + "\n"


def notes_of(changelog: str, version: str) -> str:
    """Return what the changelog says of one version, without its heading; "" if it has no such section."""
    found = re.search(rf"^## {re.escape(version)} .*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""
