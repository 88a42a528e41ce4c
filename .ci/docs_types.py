"""Check the types of the examples in README, manual, recipes and plugin READMEs: mypy strict, and pyright if there.

python .ci/docs_types.py               mypy, and basedpyright if it is installed (`make pyright` installs it)
python .ci/docs_types.py --pyright     only the latter, which must be there

Each block becomes a module of its own, at the same lines as on its page, and imports what it uses of the blocks above.
So a name may have another type in a later block, as the reader of a page takes it, and an error has the line of the
page. A block that awaits by itself is a cell of a notebook, and becomes the body of an asynchronous function.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / ".venv" / "examples"
PAGES = (
    "README.md", "CONTRIBUTING.md", "docs/*.md", "docs/recipes/*.md", "plugins/*/README.md",
    "protocols/*/README.md", "surfaces/README.md",
)  # fmt: skip
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w./-]+\.py)`:\s*\Z")
_PLACE = re.compile(r"^\S*?examples[/\\](\w+)[/\\]\S*?\.py:(\d+)", re.MULTILINE)


class Block(NamedTuple):
    """A Python block of a page: the line before its first one, its code, and the file that the page calls it."""

    line: int
    code: str
    file: str | None


def blocks_of(text: str) -> Iterator[Block]:
    """Give the Python blocks of a page."""
    for found in _BLOCK.finditer(text):
        named = _FILE.search(text[: found.start()].rstrip().rpartition("\n")[2])
        yield Block(text.count("\n", 0, found.start()) + 1, found[1], None if named is None else named[1])


class Names(ast.NodeVisitor):
    """The names that a block binds at its top, and those that it reads before it has bound them there."""

    def __init__(self) -> None:
        self.bound: dict[str, None] = {}
        self.read: dict[str, None] = {}
        self._inner: list[set[str]] = []

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._reads(node.id)
        else:
            self._binds(node.id)

    def _reads(self, name: str) -> None:
        if name not in self.bound and not any(name in scope for scope in self._inner):
            self.read[name] = None

    def _binds(self, name: str) -> None:
        if self._inner:
            self._inner[-1].add(name)
        else:
            self.bound[name] = None

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._reads(node.target.id)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        for part in (*node.body, *node.orelse):
            self.visit(part)

    visit_AsyncFor = visit_For

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self._binds(alias.asname or alias.name.partition(".")[0])

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._binds(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self._binds(node.name)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.args, *([node.returns] if node.returns else ())):
            self.visit(part)
        self._binds(node.name)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        self._scope({argument.arg for argument in arguments if argument}, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._scope({argument.arg for argument in node.args.args}, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self._binds(node.name)
        self._scope(set(), node.body)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self._inner.append(set())
        for part in node.generators:
            self.visit(part.iter)
            self.visit(part.target)
            for condition in part.ifs:
                self.visit(condition)
        for result in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(result)
        self._inner.pop()

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    def _scope(self, names: set[str], body: list[Any]) -> None:
        self._inner.append(names)
        for part in body:
            self.visit(part)
        self._inner.pop()


def modules_of(text: str, stem: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the modules of a page by their file names; `more` are names that stand there without their import."""
    homes: dict[str, str] = {}
    modules: dict[str, str] = {}
    cells: list[Block] = []
    for block in blocks_of(text):
        if block.file is not None:
            modules[block.file] = "\n" * block.line + block.code
            continue
        if cells or _is_cell(block.code):
            cells.append(block)
            continue
        names = Names()
        names.visit(ast.parse(block.code))
        modules[f"{stem}_{block.line}.py"] = _placed(block, _imports(names, homes, more or {}))
        homes |= dict.fromkeys(names.bound, f"{stem}_{block.line}")
    if cells:
        modules[f"{stem}_{cells[0].line}.py"] = _cells(cells, homes)
    return modules


def _is_cell(code: str) -> bool:
    return bool(compile(code, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).co_flags & CO_COROUTINE)


def _imports(names: Names, homes: Mapping[str, str], more: Mapping[str, str]) -> str:
    """Return the line that brings what a block uses of the blocks above."""
    wanted = [name for name in names.read if name in homes or (name in more and not hasattr(builtins, name))]
    lines = [f"from {homes.get(name) or more[name]} import {name} as {name}" for name in wanted]
    return "; ".join(["from __future__ import annotations", *lines])


def _placed(block: Block, imports: str) -> str:
    return imports + "\n" * block.line + block.code


def _cells(blocks: list[Block], homes: Mapping[str, str]) -> str:
    lines: list[str] = []
    names = Names()
    for block in blocks:
        names.visit(ast.parse(block.code))
        lines += [""] * (block.line - len(lines)) + textwrap.indent(block.code, "    ").splitlines()
    lines[0] = _imports(names, homes, {})
    lines[1] = "async def cells() -> None:  # pyright: ignore[reportUnusedFunction]"
    lines.append("# pyright: reportUnusedExpression=false")  # the last value of a cell is shown
    return "\n".join(lines) + "\n"


def page_names() -> dict[str, str]:
    """Return where the names come from that the hook reference uses without importing them."""
    import chatport.hooks

    found: dict[str, str] = {}
    for node in ast.parse(Path(chatport.hooks.__file__).read_text("utf-8")).body:
        for part in [node, *(node.body if isinstance(node, ast.If) else ())]:
            if isinstance(part, ast.ImportFrom):
                package = "chatport." if part.level else ""
                found |= {alias.name: f"{package}{part.module}" for alias in part.names if part.module}
    return found


def write() -> dict[str, str]:
    """Write the modules of all pages; return the pages by the names of their folders."""
    shutil.rmtree(OUT, ignore_errors=True)
    pages = {}
    for path in (path for pattern in PAGES for path in sorted(ROOT.glob(pattern))):
        page = str(path.relative_to(ROOT))
        stem = re.sub(r"\W", "_", page.removesuffix(".md")).strip("_").lower()
        modules = modules_of(path.read_text("utf-8"), stem, page_names() if path.name == "hooks.md" else None)
        pages[stem] = page
        for file, code in modules.items():
            (OUT / stem / file).parent.mkdir(parents=True, exist_ok=True)
            (OUT / stem / file).write_text(code, "utf-8")
    return pages


def on_pages(output: str, pages: Mapping[str, str]) -> str:
    """Return what a checker has said, with the places on the pages."""
    return _PLACE.sub(lambda found: f"{pages[found[1]]}:{found[2]}", output)


def run_mypy(pages: Mapping[str, str]) -> int:
    """Check with mypy, and print what it finds. Returns its exit code."""
    roots = sorted({str(folder) for page in OUT.iterdir() for folder in (page, page / "src") if folder.is_dir()})
    config = OUT / "mypy.ini"
    lines = ["[mypy]", "strict = True", "python_version = 3.11", "implicit_reexport = True", "pretty = False"]
    lines += ["enable_error_code = ignore-without-code, truthy-bool", "mypy_path = " + ":".join(roots)]
    lines += ["[mypy-pyarrow.*]", "ignore_missing_imports = True"]  # it has no types
    config.write_text("\n".join(lines) + "\n", "utf-8")
    files = [str(path.relative_to(ROOT)) for path in sorted(OUT.rglob("*.py"))]
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(config),
        "--cache-dir",
        str(OUT / "../examples-cache"),
    ]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    print(on_pages(done.stdout + done.stderr, pages), end="")
    return done.returncode


def _uses_pyarrow(page: Path) -> bool:
    """Whether a page's examples use pyarrow, which has no types: at its strictest pyright takes none of them."""
    return any("import pyarrow" in path.read_text("utf-8") for path in page.rglob("*.py"))


def run_pyright(pages: Mapping[str, str], program: str) -> int:
    """Check with pyright, or basedpyright at pyright's own strictest, and print what it finds."""
    roots = [str(folder) for page in OUT.iterdir() for folder in (page, page / "src") if folder.is_dir()]
    settings = {"include": ["."], "typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": roots,
                "venvPath": str(ROOT), "venv": ".venv", "exclude": [], "useLibraryCodeForTypes": True}  # fmt: skip
    settings["ignore"] = [page.name for page in OUT.iterdir() if page.is_dir() and _uses_pyarrow(page)]
    (OUT / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    done = subprocess.run([program, "-p", str(OUT)], cwd=ROOT, capture_output=True, text=True, check=False)
    print(on_pages(re.sub(r"(?m)^ +(?=/)", "", done.stdout) + done.stderr, pages), end="")
    return done.returncode


def main() -> int:
    """Write the modules, check them, and return the exit code."""
    pages = write()
    only_pyright = "--pyright" in sys.argv
    failed = 0 if only_pyright else run_mypy(pages)
    program = Path(sys.executable).with_name("basedpyright")
    if program.exists():
        failed |= run_pyright(pages, str(program))
    elif only_pyright:
        sys.exit("basedpyright is not installed: run `make pyright`")
    else:
        print("pyright is not installed, and was not asked: `make pyright` brings it")
    return failed


if __name__ == "__main__":
    sys.exit(main())
