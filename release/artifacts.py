"""The files of a release: how they are built, and what each must say about itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import attrs
from packaging.metadata import Metadata
from packaging.version import Version

from .fragments import ReleaseError
from .members import Member, Settings
from .staging import addresses

__all__ = ["Artifact", "artifacts_in", "build", "check_metadata", "metadata_of", "run"]


@attrs.frozen
class Artifact:
    """A wheel or an sdist, and its SHA-256."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run a command, and return what it printed. Raises ReleaseError with all of it if it fails."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(stage: Path, member: Member, out: Path, epoch: str) -> None:
    """Build a member's sdist, and its wheel out of that sdist: what the sdist lacks is found here."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(stage / member.folder)]
    run(command, stage, SOURCE_DATE_EPOCH=epoch)


def artifacts_in(out: Path, ours: list[Member]) -> list[Artifact]:
    """Return the files in the order in which they may be published: each after what it needs."""
    wanted = [name for one in ours for name in (f"{one.stem}-py3-none-any.whl", f"{one.stem}.tar.gz")]
    there = {path.name for path in out.iterdir()}
    if there != set(wanted):
        raise ReleaseError(f"not the files of a release: {sorted(there ^ set(wanted))}")
    return [Artifact(out / name, hashlib.sha256((out / name).read_bytes()).hexdigest()) for name in wanted]


def metadata_of(artifact: Artifact) -> Metadata:
    """Return what a file says about itself, checked against the standard for metadata."""
    if artifact.path.suffix == ".whl":
        with zipfile.ZipFile(artifact.path) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            content = archive.read(name)
    else:
        with tarfile.open(artifact.path) as archive:
            member = archive.extractfile(f"{artifact.name.removesuffix('.tar.gz')}/PKG-INFO")
            assert member is not None
            content = member.read()
    return Metadata.from_email(content, validate=True)


def check_metadata(artifact: Artifact, member: Member, settings: Settings, ours: set[str]) -> None:
    """Raise ReleaseError unless a file says what each of ours must say."""
    about = metadata_of(artifact)
    urls = addresses(settings.repository, member, member.version) if settings.repository else None
    wanted = {
        "name": member.name,
        "version": Version(member.version),
        "license_expression": "MIT",
        "license_files": ["LICENSE"],
        "classifiers": list(settings.classifiers),
        "description_content_type": "text/markdown",
        "project_urls": urls,
    }
    said = {field: getattr(about, field) for field in wanted}
    wrong = [
        f"{field} is {said[field]!r} and not {wanted[field]!r}" for field in wanted if said[field] != wanted[field]
    ]
    if not about.summary or len(about.description or "") < 200:
        wrong.append("no summary, or next to no description")
    if str(about.requires_python) != ">=3.11":
        wrong.append(f"requires_python is {about.requires_python}")
    for one in about.requires_dist or []:
        if one.name in ours and member.version not in one.specifier:
            wrong.append(f"it takes {one}, which is not what is released beside it")
    if wrong:
        raise ReleaseError(f"{artifact.name}: " + "; ".join(wrong))
