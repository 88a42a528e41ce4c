"""Check the import contracts: the core imports nothing that builds on it, and providers know nothing of each other.

What plugins import of the core is checked by `plugin_imports.py`.

Providers are found on disk, so a new one is covered as soon as its folder exists.
"""

import sys
import tempfile
from pathlib import Path

import plugin_imports
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parent.parent

CONFIG = """\
[importlinter]
root_packages =
    chatport
    {protocols}
    {providers}
    {built_on}

[importlinter:contract:core]
name = The core imports no protocol, no provider, and nothing else that builds on it
type = forbidden
source_modules = chatport
forbidden_modules =
    {protocols}
    {providers}
    {built_on}

[importlinter:contract:built_on]
name = What builds on the core imports no protocol and no provider
type = forbidden
source_modules =
    {built_on}
forbidden_modules =
    {protocols}
    {providers}

[importlinter:contract:protocols]
name = Protocols import no provider
type = forbidden
source_modules =
    {protocols}
forbidden_modules =
    {providers}

[importlinter:contract:rooms]
name = Arrows between the rooms of the core point down (errors name the types that they carry: the one exception)
type = layers
containers = chatport
exhaustive = True
layers =
    cli
    testing
    client | helpers
    many | runs
    transport
    setup
    engine
    decoding | plugins | inputs
    standard
    sharing
    hooks | limits
    call
    events | provider
    facts
    types
    errors
    schemas
    jsoncodec
    basics
ignore_imports =
    chatport.errors -> chatport.types
    chatport.errors -> chatport.types.runs
exhaustive_ignores =
    otel

[importlinter:contract:providers]
name = Providers are independent of one another
type = independence
modules =
    {providers}
"""


def main() -> int:
    protocols, providers = (
        sorted(path.parent.name for path in ROOT.glob(f"{room}/*/src/*/__init__.py"))
        for room in ("protocols", "plugins")
    )
    if not providers:
        print("no providers found under plugins/", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "importlinter.ini"
        built_on = sorted(
            path.parent.name for path in ROOT.glob("*/src/*/__init__.py") if path.parent.name != "chatport"
        )
        listed = {"providers": "\n    ".join(providers), "protocols": "\n    ".join(protocols)}
        listed["built_on"] = "\n    ".join(built_on)
        config.write_text(CONFIG.format(**listed), encoding="utf-8")
        code = lint_imports(config_filename=str(config), no_cache=True)
    return plugin_imports.main([]) or code


if __name__ == "__main__":
    sys.exit(main())
