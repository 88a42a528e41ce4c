"""Build the documentation site with Zensical, from the Markdown as it is, into `dist/site`.

python .ci/site.py            build
python .ci/site.py --stage    only gather the pages, in .venv/site/docs

README, manual, recipes, reference and the packages' own READMEs become one tree, so their links are rewritten; one
that leads to no page of the site (a source file) stays as its text. Nothing is fetched while it is built, and nothing
but the site itself by who reads it: `tests/test_site.py` looks for that. `SITE_URL` is where it will be, if known.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGE = ROOT / ".venv" / "site"
OUT = ROOT / "dist" / "site"
_FENCE = re.compile(r"^(```.*?^```)$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_CDN = re.compile(r"https://(?:unpkg\.com|cdn\.jsdelivr\.net|api\.github\.com)/")
"""Where the theme's script would fetch what no page of ours has: diagrams, galleries, figures of a repository."""
_GROUP = re.compile(r"^(?P<title>[A-Z][\w ]+):$|^\* \[(?P<name>[^\]]+)\]\((?P<page>[\w./-]+\.md)\)", re.MULTILINE)

CONFIG = """\
[project]
site_name = "Chatport"
site_description = "One port, any model vendor"
{url}docs_dir = "docs"
site_dir = "built"
use_directory_urls = false
nav = {nav}

[project.theme]
font = false
features = ["content.code.copy", "navigation.footer", "navigation.indexes", "navigation.top", "search.highlight"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
toggle.icon = "lucide/sun"
toggle.name = "Switch to dark mode"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
toggle.icon = "lucide/moon"
toggle.name = "Switch to light mode"

[project.markdown_extensions]
tables = {{}}
toc.permalink = true
toc.slugify.object = "pymdownx.slugs.slugify"
toc.slugify.kwds.case = "lower"
pymdownx.highlight.pygments_lang_class = true
pymdownx.inlinehilite = {{}}
pymdownx.superfences = {{}}
"""


def sources() -> dict[Path, str]:
    """Return what goes into the site, by its path in the repository, with its path there."""
    found = {ROOT / "README.md": "index.md", ROOT / "docs" / "index.md": "manual.md"}
    found |= {ROOT / name: name.lower() for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")}
    for path in (*ROOT.glob("docs/*.md"), *ROOT.glob("docs/*/*.md"), *ROOT.glob("docs/*.svg")):
        found.setdefault(path, str(path.relative_to(ROOT / "docs")))
    for path in (*ROOT.glob("plugins/*/README.md"), *ROOT.glob("protocols/*/README.md")):
        found[path] = f"packages/{path.parent.name}.md"
    for name in ("surfaces", "gateway"):
        found[ROOT / name / "README.md"] = f"packages/{name}.md"
    return {path: place for path, place in found.items() if path.is_file()}


def on_site(page: Path, text: str, places: Mapping[Path, str]) -> str:
    """Return the text of a page with its links as they lead on the site."""

    def linked(found: re.Match[str]) -> str:
        mark, label, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        file, _, anchor = target.partition("#")
        place = places.get((page.parent / file).resolve())
        if place is None:
            return label
        way = os.path.relpath(place, Path(places[page]).parent).replace(os.sep, "/")
        return f"{mark}[{label}]({way}{'#' if anchor else ''}{anchor})"

    pieces = _FENCE.split(text)
    return "".join(piece if piece.startswith("```") else _LINK.sub(linked, piece) for piece in pieces)


def nav(places: Mapping[Path, str]) -> list[object]:
    """Return the table of contents: the manual's own, with what it lists, and the packages."""
    index = ROOT / "docs" / "index.md"
    groups: list[object] = ["index.md"]
    pages: list[object] = []
    for found in _GROUP.finditer(index.read_text("utf-8")):
        if found["title"]:
            pages = []
            groups.append({found["title"].removesuffix(" it").capitalize(): pages})
        else:
            page = (index.parent / found["page"]).resolve()
            pages.append({found["name"]: _listed(page, places) if page.name == "index.md" else places[page]})
    packages = sorted(place for place in places.values() if place.startswith("packages/"))
    others = [{Path(place).stem.removeprefix("provider-"): place} for place in packages]
    reference = [{"Vendors": "vendors.md"}, {"Prices": "prices.md"}, *_listed(ROOT / "docs/reference/index.md", places)]
    return [*groups, {"Reference": reference}, {"Packages": others}]


def _listed(index: Path, places: Mapping[Path, str]) -> list[object]:
    """Return the pages of a folder, its index first, then in the order in which that names them."""
    text = index.read_text("utf-8")
    rest = [page for page in places if page.parent == index.parent and page != index and page.suffix == ".md"]
    rest.sort(key=lambda page: (text.find(f"]({page.name}") % (len(text) + 1), page.name))
    return [places[index], *(places[page] for page in rest)]


def _toml(value: object) -> str:
    """Return a value as TOML writes it on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(key)} = {_toml(one)}' for key, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def stage(folder: Path) -> dict[Path, str]:
    """Gather the pages in a folder and write the settings; return the pages."""
    shutil.rmtree(folder, ignore_errors=True)
    places = sources()
    for page, place in places.items():
        target = folder / "docs" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".md":
            target.write_text(on_site(page, page.read_text("utf-8"), places), "utf-8")
        else:
            shutil.copy(page, target)
    url = os.environ.get("SITE_URL", "")
    settings = CONFIG.format(url=f"site_url = {_toml(url)}\n" if url else "", nav=_toml(nav(places)))
    (folder / "zensical.toml").write_text(settings, "utf-8")
    return places


def build(folder: Path, out: Path) -> str:
    """Build the site of a staged folder; return what was said of problems, empty if nothing was."""
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(folder / "zensical.toml")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode or re.search(r"\b(warning|error)\b", said, re.IGNORECASE):
        return said or f"zensical ended with {done.returncode}"
    for script in (folder / "built").rglob("*.js"):
        script.write_text(_CDN.sub("about:blank#", script.read_text("utf-8")), "utf-8")
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(exist_ok=True)
    shutil.move(folder / "built", out)
    return ""


def main() -> int:
    """Build the site; return the exit code."""
    places = stage(STAGE)
    if "--stage" in sys.argv:
        return 0
    problem = build(STAGE, OUT)
    shown = f"{OUT.relative_to(ROOT)}: {sum(place.endswith('.md') for place in places.values())} pages"
    print(problem or shown)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
