"""Check what plugins import: `chatport`, `chatport.helpers`, and in emulators `chatport.testing`; nothing else of ours.

python .ci/plugin_imports.py          fail where something else is imported
python .ci/plugin_imports.py --fix    write those import lines anew; ruff then sorts and joins them
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import chatport
from chatport import helpers, testing

ROOT = Path(__file__).resolve().parent.parent
RENAMED = {
    "chatport.schemas.check.Budget": "CheckBudget",
    **{
        f"chatport.standard.{name}": f"standard_{name}"
        for name in ("errors", "reply", "request", "stream", "tools", "usage")
    },
}


def main(arguments: list[str]) -> int:
    """Check or mend; return the exit code."""
    rooms = ("plugins/*", "protocols/*", "surfaces", "gateway", "mcptools", "bulk")
    files = sorted(path for room in rooms for path in ROOT.glob(f"{room}/src/**/*.py"))
    if arguments == ["--fix"]:
        mend([path for path in files if any(wrong_imports(path))])
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} imports {name}" for path in files for node, name in wrong_imports(path)
    ]
    print(f"Plugins import chatport and chatport.helpers only {'BROKEN' if wrong else 'KEPT'}")
    for line in wrong:
        print(f"  {line}", file=sys.stderr)
    return 1 if wrong else 0


def wrong_imports(path: Path) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Give the imports of what is not promised, with what they import."""
    is_emulator = any("emulator" in part for part in path.relative_to(ROOT).parts[3:])
    is_gateway = path.relative_to(ROOT).parts[0] == "gateway"
    allowed = {"chatport", "chatport.helpers", *(["chatport.testing"] if is_emulator else [])}
    allowed |= {"chatport.otel", "chatport.sharing"} if is_gateway else set()  # spans; limits that its processes share
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [node.module or ""]
            if node.module == "chatport":  # what is no public name is a module
                found = [f"chatport.{alias.name}" for alias in node.names if alias.name not in chatport.__all__]
        else:
            continue
        for name in found:
            if name.partition(".")[0] == "chatport" and name not in allowed:
                yield node, name


def mend(files: list[Path]) -> None:
    """Write the import lines anew that import what has another home."""
    for path in files:
        lines = path.read_text("utf-8").splitlines()
        nodes = {node.lineno: node for node, _ in wrong_imports(path) if isinstance(node, ast.ImportFrom)}
        for node in reversed([nodes[line] for line in sorted(nodes)]):
            assert node.end_lineno is not None
            indent = " " * node.col_offset
            lines[node.lineno - 1 : node.end_lineno] = [indent + line for line in anew(node)]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    if files:
        ruff = [sys.executable, "-m", "ruff"]
        subprocess.run([*ruff, "check", "--quiet", "--select", "I", "--fix", *files], check=True)
        subprocess.run([*ruff, "format", "--quiet", *files], check=True)


def anew(node: ast.ImportFrom) -> Iterator[str]:
    """Give the lines that import the same from where it may be had; what is nowhere stays as it was."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for alias in node.names:
        full = f"{node.module}.{alias.name}"
        name = RENAMED.get(full, alias.name)
        home = next((home.__name__ for home in (chatport, helpers, testing) if name in home.__all__), str(node.module))
        local = alias.asname or alias.name
        homes[home].append(name if name == local else f"{name} as {local}")
    for home, names in homes.items():
        yield f"from {home} import {', '.join(names)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
