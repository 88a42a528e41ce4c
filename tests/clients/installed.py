"""The clients' own folders, below `tests/clients/.installed`: each is filled once, when it is first asked for.

To install one anew, delete its folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .recipe import Recipe

__all__ = ["FOLDER", "CannotInstall", "install", "programs_of"]

FOLDER = Path(__file__).parent / ".installed"


class CannotInstall(Exception):
    """Raised with the reason why a client cannot be had here."""


def programs_of(client: str, recipe: Recipe) -> list[Path]:
    """Return the folders with a client's programs, to stand before all others."""
    names = [client, *([f"node-{recipe.node}"] if recipe.node else [])]
    return [FOLDER / name / folder for name in names for folder in ("node_modules/.bin", "bin")]


def install(client: str, recipe: Recipe) -> None:
    """Install a client, unless these versions are there. Raises CannotInstall."""
    if recipe.node:
        _install(f"node-{recipe.node}", [f"node@{recipe.node}"], _by_npm)
    _install(client, [*recipe.npm, *recipe.pypi], _by_npm if recipe.npm else _by_pip)


def _install(name: str, packages: Sequence[str], how: Callable[[Path, Sequence[str]], None]) -> None:
    place, wanted = FOLDER / name, json.dumps(packages)
    whole = place / "whole"  # written last
    if whole.exists() and whole.read_text() == wanted:
        return
    print(f"== installing {name}: {', '.join(packages)}", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    how(place, packages)
    whole.write_text(wanted)


def _by_npm(place: Path, packages: Sequence[str]) -> None:
    if not (shutil.which("npm") and shutil.which("node")):
        raise CannotInstall("npm or node is missing: install Node.js 20 or newer.")
    (place / "package.json").write_text('{"private": true}\n')
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--save-exact", "--loglevel=error"]
    _run(["npm", "install", *options, *packages], place)


def _by_pip(place: Path, packages: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = str(place / "bin" / "python")
    try:
        _run([sys.executable, "-m", "uv", "pip", "install", "-q", "--python", python, *packages], place)
    except CannotInstall:
        _run([sys.executable, "-m", "pip", "--python", python, "install", "-q", *packages], place)


def _run(command: Sequence[str], place: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotInstall(f"{command[0]} could not install it:\n{(done.stderr or done.stdout).strip()[-1500:]}")
