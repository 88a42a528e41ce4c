"""Write `core/src/chatport/plugins/known_providers.txt`: the distributions that may be named to who lacks one.

python docs/generate_known_providers.py            write the list
python docs/generate_known_providers.py --check    fail if it names what is not there

The list comes from the folders of `plugins/`, and goes into the core's wheel. The check looks for names that nobody
made, which somebody else could take; a provider that is not listed yet is a folder, and changes no other file.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "core/src/chatport/plugins/known_providers.txt"


def made() -> dict[str, str]:
    """Return the distributions of this repository, by the providers that they bring."""
    found: dict[str, str] = {}
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(path.read_text("utf-8"))["project"]
        found |= dict.fromkeys(project.get("entry-points", {}).get("chatport.providers", {}), project["name"])
    return found


def listed(text: str) -> dict[str, str]:
    """Return what a written list says."""
    return dict(line.split() for line in text.splitlines())


def main() -> None:
    """Write the list, or with --check say whether all of it exists."""
    providers = made()
    if "--check" in sys.argv:
        invented = listed(LIST.read_text("utf-8")).items() - providers.items()
        if invented:
            sys.exit(f"{LIST.name} names {sorted(invented)}, which is in no folder of plugins/: run `make docs`")
    else:
        LIST.write_text("".join(f"{name} {where}\n" for name, where in sorted(providers.items())), "utf-8")


if __name__ == "__main__":
    main()
