"""Check the import contracts: the core imports no provider, and providers are independent of one another.

Providers are found on disk, so a new one is covered as soon as its folder exists.
"""

import sys
import tempfile
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parent.parent

CONFIG = """\
[importlinter]
root_packages =
    chatport
    {providers}

[importlinter:contract:core]
name = The core imports no provider
type = forbidden
source_modules = chatport
forbidden_modules =
    {providers}

[importlinter:contract:providers]
name = Providers are independent of one another
type = independence
modules =
    {providers}
"""


def main() -> int:
    providers = sorted(path.parent.name for path in ROOT.glob("plugins/*/src/*/__init__.py"))
    if not providers:
        print("no providers found under plugins/", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "importlinter.ini"
        config.write_text(CONFIG.format(providers="\n    ".join(providers)), encoding="utf-8")
        return lint_imports(config_filename=str(config), no_cache=True)


if __name__ == "__main__":
    sys.exit(main())
