"""The examples of a page are checked as its reader takes them, and what is wrong is found where it stands."""

from __future__ import annotations

import pydoc
import re
import sys
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from mypy import api

import chatport
from chatport.inputs.options import CHAT_OPTIONS
from chatport.standard.efforts import EFFORTS

ROOT = Path(__file__).resolve().parent.parent
CHECKER = run_path(str(ROOT / ".ci" / "docs_types.py"))

PAGE = """# A page

```python
import json

count = 1


def read(text: str) -> int:
    return int(text)
```

Later the same name is of another type, and what is above is known:

```python
count = read(json.loads('"2"'))
total = str(count)
```

```python
read(total)
read(count + total)
```
"""
NOTEBOOK = """# Cells

```python
import asyncio
```

```python
await asyncio.sleep(0)
one = 1
```

```python
one
```
"""


def modules_of(page: str) -> dict[str, str]:
    made: dict[str, str] = CHECKER["modules_of"](page, "page")
    return made


def test_a_block_imports_what_it_uses_of_those_above() -> None:
    first, second, third = modules_of(PAGE).values()
    assert "import" not in first.partition("\n")[0].replace("from __future__ import annotations", "")
    assert "from page_3 import read as read; from page_3 import json as json" in second
    assert "count as" not in second  # it binds a new one
    assert "from page_15 import count as count" in third


def test_code_stands_in_its_module_where_it_stands_on_the_page() -> None:
    lines = PAGE.splitlines()
    for code in modules_of(PAGE).values():
        placed = [(number, line) for number, line in enumerate(code.splitlines()) if number and line]
        assert placed
        assert all(lines[number] == line for number, line in placed)


def test_a_wrong_type_is_found_at_its_line_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "examples" / "page"
    folder.mkdir(parents=True)
    for name, code in modules_of(PAGE).items():
        (folder / name).write_text(code, "utf-8")
    monkeypatch.setenv("MYPYPATH", str(folder))
    found, _, status = api.run(["--strict", "--implicit-reexport", "--cache-dir", str(tmp_path), str(folder)])
    assert status == 1
    shown = CHECKER["on_pages"](found, {"page": "docs/page.md"})
    places = re.findall(r"^(\S+): error", shown, re.MULTILINE)
    assert places == [f"docs/page.md:{PAGE.splitlines().index('read(count + total)') + 1}"] * len(places)


def test_cells_that_await_become_one_function() -> None:
    (_, cells) = modules_of(NOTEBOOK).items()
    code = cells[1]
    compile(code, "cells", "exec")
    assert "async def cells()" in code
    assert "    await asyncio.sleep(0)\n    one = 1" in code


def test_every_python_block_of_every_page_is_checked() -> None:
    pages = [path for pattern in CHECKER["PAGES"] for path in ROOT.glob(pattern)]
    assert ROOT / "docs" / "recipes" / "agent.md" in pages
    for path in pages:
        text = path.read_text("utf-8")
        assert len(list(CHECKER["blocks_of"](text))) == len(re.findall(r"^ *```python$", text, re.MULTILINE)), path


@pytest.mark.parametrize("client", [chatport.Client, chatport.AsyncClient])
@pytest.mark.parametrize("method", ["chat", "stream", "run", "run_stream"])
def test_help_names_every_option_and_the_words_of_reasoning(client: Any, method: str) -> None:
    function: Callable[..., Any] = getattr(client, method)
    shown = pydoc.plain(pydoc.render_doc(function))
    words = set(re.findall(r"\w+", shown))
    assert CHAT_OPTIONS - words == set()
    assert set(EFFORTS) - words == set()


def test_a_checker_that_is_missing_is_asked_for_in_vain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "argv", ["docs_types.py", "--pyright"])
    monkeypatch.setitem(CHECKER["main"].__globals__, "write", dict)
    with pytest.raises(SystemExit, match="make pyright"):
        CHECKER["main"]()
