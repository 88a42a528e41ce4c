"""Write the dependencies of `bundle/`, the distribution that brings every provider.

python docs/generate_bundle.py            write them
python docs/generate_bundle.py --check    fail if one is in no folder

The check looks for names that nobody made. One that is missing is found when the wheels are built: a new provider is a
folder, and changes no other file.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "bundle/pyproject.toml"
_LIST = re.compile(r"^dependencies = \[.*?^\]\n", re.MULTILINE | re.DOTALL)
_MINOR = re.compile(r"(\d+)\.(\d+)(\.0$)?")


def made() -> list[str]:
    """Return the core and every provider of this repository: each from its version on, in that line of versions.

    The same is written into all other distributions at a release (`release/members.py`).
    """
    found = []
    for path in (ROOT / "core/pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))):
        project = tomllib.loads(path.read_text("utf-8"))["project"]
        version = _MINOR.match(project["version"])
        assert version is not None, path
        major, minor = int(version[1]), int(version[2])
        least = f"{major}.{minor}" if version[3] else project["version"]
        found.append(f"{project['name']}>={least},<{major}.{minor + 1}")
    return found


def listed() -> list[str]:
    """Return the dependencies as they are written."""
    dependencies: list[str] = tomllib.loads(BUNDLE.read_text("utf-8"))["project"]["dependencies"]
    return dependencies


def main() -> None:
    """Write the list, or with --check say whether all of it exists."""
    if "--check" in sys.argv:
        invented = set(listed()) - set(made())
        if invented:
            sys.exit(f"{BUNDLE.relative_to(ROOT)} names {sorted(invented)}, which is in no folder: run `make docs`")
    else:
        lines = "".join(f'    "{dependency}",\n' for dependency in made())
        text = _LIST.sub(lambda _: f"dependencies = [ # written by `make docs`\n{lines}]\n", BUNDLE.read_text("utf-8"))
        BUNDLE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
