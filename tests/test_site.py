"""The documentation site: every page is on it, every link of it leads somewhere, and reading it asks nobody else."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from runpy import run_path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE = run_path(str(ROOT / ".ci" / "site.py"))
LOADED = {"src", "srcset", "poster", "data", "action", "formaction", "background"}
"""Attributes by which a page fetches, or sends, without being asked."""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pages as they go into the site."""
    folder = tmp_path_factory.mktemp("site")
    SITE["stage"](folder)
    return folder


def test_every_page_of_the_manual_is_in_the_table_of_contents(staged: Path) -> None:
    settings = (staged / "zensical.toml").read_text("utf-8")
    listed = set(re.findall(r'"([\w./-]+\.md)"', settings))
    pages = {str(path.relative_to(staged / "docs")) for path in (staged / "docs").rglob("*.md")}
    assert listed <= pages
    assert pages - listed <= {"manual.md", "changelog.md", "security.md"}
    assert {"recipes/agent.md", "reference/clients.md", "packages/provider-deepseek.md", "compared-with.md"} <= listed


def test_every_link_of_a_page_leads_to_another_page_of_the_site(staged: Path) -> None:
    for page in (staged / "docs").rglob("*.md"):
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:|#", target):
                assert (page.parent / target.partition("#")[0]).is_file(), (page.name, target)


def test_a_link_to_a_source_file_stays_as_its_text() -> None:
    page = ROOT / "docs" / "page.md"
    places = {page: "page.md", ROOT / "plugins/a/README.md": "packages/a.md"}
    text = "[licence](../LICENSE) [a](../plugins/a/README.md#quirks) [b](#here) [c](https://c.example)\n"
    assert SITE["on_site"](page, text, places) == (
        "licence [a](packages/a.md#quirks) [b](#here) [c](https://c.example)\n"
    )


def test_code_is_not_rewritten() -> None:
    page = ROOT / "docs" / "page.md"
    text = "```text\n[a](../LICENSE)\n```\n"
    assert SITE["on_site"](page, text, {page: "page.md"}) == text


class Page(HTMLParser):
    """What a page of the site links to, fetches, and offers as anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.classes: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in ("id", "name"):
                self.anchors.add(value)
            elif name == "class":
                self.classes.update(value.split())
            elif name == "href" and tag == "a":
                self.links.append(value)
            elif name in LOADED or (name == "href" and tag not in ("a", "area")):
                self.fetched.append(value)
            elif name == "style":
                self.fetched += re.findall(r"url\(['\"]?([^)'\"]+)", value)


@pytest.fixture(scope="module")
def built(staged: Path) -> Path:
    """Return the folder of the built site."""
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed: `make site` brings it")
    out: Path = staged / "out"
    problem = SITE["build"](staged, out)
    assert not problem, problem
    return out


def pages_of(built: Path) -> Iterator[tuple[Path, Page]]:
    for path in built.rglob("*.html"):
        yield path, Page(path)


@pytest.mark.slow
def test_reading_the_site_fetches_nothing_from_elsewhere(built: Path) -> None:
    seen = 0
    for path, page in pages_of(built):
        for target in page.fetched:
            assert not re.match(r"(?:[a-z]+:)?//", target), (path.name, target)
            seen += 1
        assert not page.classes & {"mermaid", "glightbox", "pyodide"}, path.name
    assert seen > 100
    for style in built.rglob("*.css"):
        text = style.read_text("utf-8")
        assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", text), style.name
    for script in built.rglob("*.js"):
        hosts = set(re.findall(r"https?://([\w.-]+)", script.read_text("utf-8")))
        assert hosts <= {"www.w3.org", "fontawesome.com"}, script.name  # names of XML, and a licence


@pytest.mark.slow
def test_every_link_and_anchor_of_the_site_is_there(built: Path) -> None:
    pages = dict(pages_of(built))
    assert len(pages) > 60
    for path, page in pages.items():
        if path.name == "404.html":  # shown at any address, so its links begin at the root
            continue
        for target in page.links:
            address = urlsplit(target)
            if address.scheme or address.netloc:
                continue
            other = (path.parent / unquote(address.path)).resolve() if address.path else path
            other = other / "index.html" if other.is_dir() else other
            assert other.is_file(), (path.name, target)
            if address.fragment and other.suffix == ".html":
                assert unquote(address.fragment) in pages[other].anchors, (path.name, target)


@pytest.mark.slow
def test_the_search_knows_names_of_the_reference_and_words_of_the_manual(built: Path) -> None:
    found = json.dumps(json.loads((built / "search.json").read_text("utf-8")))
    for words in ("AsyncClient.run_stream", "BudgetExceededError", "An agent with tools", "Compared with"):
        assert words in found
