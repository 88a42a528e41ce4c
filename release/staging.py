"""A copy of the repository as it will be released: packages are built from it, so a dry run changes no checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from .fragments import Fragment, ReleaseError, section, with_section
from .members import Member, Settings, members, set_version

__all__ = ["apply", "dress", "epoch_of", "is_clean", "stage"]

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def stage(root: Path, folder: Path) -> None:
    """Copy what belongs to the repository: what git keeps, and what is new in the checkout and not ignored."""
    for name in _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        source = root / name
        if name and source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)


def is_clean(root: Path) -> bool:
    """Whether a checkout has no change that is not committed."""
    return not _git(root, "status", "--porcelain")


def epoch_of(root: Path) -> str:
    """Return the time that all files of a release bear: SOURCE_DATE_EPOCH, or that of the last commit."""
    return os.environ.get("SOURCE_DATE_EPOCH") or _git(root, "log", "-1", "--format=%ct").strip()


def apply(root: Path, version: str, notes: list[Fragment], date: str) -> list[Path]:
    """Write a version and its changelog into a tree, and take its fragments away; return the files that changed."""
    changed = set_version(root, version)
    if notes:
        changelog = root / "CHANGELOG.md"
        text = with_section(changelog.read_text("utf-8"), section(version, date, notes))
        changelog.write_text(text, "utf-8", newline="\n")
        changed.append(changelog)
    for note in notes:
        path = root / "changes" / f"{note.topic}.{note.kind}.md"
        path.unlink()
        changed.append(path)
    return changed


def dress(folder: Path, settings: Settings, version: str) -> None:
    """Give each distribution of a staged tree its addresses; without a repository there are none to give.

    An index shows a README outside the repository, where a relative link leads nowhere.
    """
    if not settings.repository:
        return
    for member in members(folder):
        place = folder / member.folder
        pyproject = place / "pyproject.toml"
        table = "".join(
            f"{key} = {json.dumps(url)}\n" for key, url in addresses(settings.repository, member, version).items()
        )
        text = pyproject.read_text("utf-8").replace("\n[tool.hatch", f"\n[project.urls]\n{table}\n[tool.hatch", 1)
        pyproject.write_text(text, "utf-8", newline="\n")
        readme = place / "README.md"
        readme.write_text(
            absolute_links(readme.read_text("utf-8"), settings.repository, member.folder, version), "utf-8"
        )


def addresses(repository: str, member: Member, version: str) -> dict[str, str]:
    """Return the addresses in the metadata of a distribution, by the names that indexes know."""
    at = f"{repository}/blob/v{version}"
    return {
        "Homepage": repository,
        "Documentation": f"{at}/docs/index.md",
        "Source": f"{repository}/tree/v{version}/{member.folder}",
        "Changelog": f"{at}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


def absolute_links(text: str, repository: str, folder: str, version: str) -> str:
    """Return a page whose relative links lead to the repository, as it was at this version. Code stays as it is."""

    def absolute(match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path = os.path.normpath(f"{folder}/{target}").replace(os.sep, "/")
        if path.startswith(".."):
            raise ReleaseError(f"{folder}/README.md links out of the repository: {target}")
        return (
            f"{match['image']}[{match['text']}]({repository}/{'raw' if match['image'] else 'blob'}/v{version}/{path})"
        )

    pieces = _FENCE.split(text)
    return "".join(piece if piece.startswith("```") else _LINK.sub(absolute, piece) for piece in pieces)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed, and a release is made of what git keeps: {done.stderr.strip()}")
    return done.stdout
