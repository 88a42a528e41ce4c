"""README: its figures are the measured ones, and the Chinese one says the same as the English one."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from runpy import run_path

import pytest

from chatport.plugins.installed import installed_providers

ROOT = Path(__file__).resolve().parent.parent
ENGLISH = (ROOT / "README.md").read_text("utf-8")
CHINESE = (ROOT / "README.zh.md").read_text("utf-8")
COMPARED = ROOT / "docs/compared-with.md"
PAGE = (ROOT / "docs/performance.md").read_text("utf-8")
SPEED = run_path(str(ROOT / "docs/generate_speed.py"))

HAN = re.compile(r"[\u4e00-\u9fff]")


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the language and the content of each block of code."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def shape(text: str) -> list[str]:
    """Return what stands where: headings by level, rows of tables by cells, items, pictures, blocks by language."""
    found = []
    inside = False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
            found += [line] if inside else []
        elif not inside and (heading := re.match(r"#+ ", line)):
            found.append(heading[0])
        elif not inside and line.startswith("|"):
            found.append(f"row of {line.count('|') - 1}")
        elif not inside and line.startswith(("* ", "![", "**")):
            found.append(line[:2])
    return found


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(text))


def spans(text: str) -> Counter[str]:
    """Return the code within the lines."""
    return Counter(re.findall(r"`([^`\n]+)`", prose(text)))


def numbers(text: str) -> Counter[str]:
    """Return every number that is not part of a word, a link or code."""
    words = re.sub(r"`[^`\n]+`|\]\([^)]*\)", "", prose(text))
    return Counter(re.findall(r"(?<![\w.-])\d+(?:[.-]\d+)*", re.sub(HAN, " ", words)))


def test_every_block_of_code_is_the_same_in_both() -> None:
    assert len(blocks(ENGLISH)) >= 12
    assert blocks(CHINESE) == blocks(ENGLISH)


def test_headings_tables_lists_and_blocks_stand_in_the_same_order() -> None:
    assert shape(CHINESE) == shape(ENGLISH)


def test_both_lead_to_the_same_places_and_to_one_another() -> None:
    assert links(ENGLISH)[0] == "README.zh.md"
    assert links(CHINESE)[0] == "README.md"
    assert links(CHINESE)[1:] == links(ENGLISH)[1:]


def test_names_in_code_and_numbers_are_the_same_in_both() -> None:
    assert spans(CHINESE) == spans(ENGLISH)
    assert numbers(CHINESE) == numbers(ENGLISH)
    assert numbers(ENGLISH)["2026-11-23"] == 1


def test_each_is_in_its_language() -> None:
    assert set(HAN.findall(prose(ENGLISH))) == set("简体中文")
    for number, line in enumerate(prose(CHINESE).splitlines(), 1):
        long = re.findall(r"(?:\b[a-z]{2,}\b[ ,]+){6,}", re.sub(r"`[^`]*`|\([^)]*\)", "", line))
        assert not long, f"line {number} is not translated: {long}"


def memory_of(name: str) -> float:
    found: float = SPEED["figures"](PAGE, "From the first import to the first text", 3)[name]
    return found


def test_the_figures_are_those_that_were_measured() -> None:
    row = next(line for line in ENGLISH.splitlines() if "MB are in use" in line)
    told = re.search(r"([\d.]+) MB are in use, with the openai SDK ([\d.]+) MB, with LiteLLM ([\d.]+) MB", row)
    assert told is not None
    assert [float(one) for one in told.groups()] == [memory_of(name) for name in ("Chatport", "openai SDK", "litellm")]
    assert f"Figures were measured on {SPEED['measured'](PAGE)};" in ENGLISH


def test_who_is_said_to_be_better_is() -> None:
    """What the table says without a number: Chatport first in the picture, bare httpx nearly as soon, and smaller."""
    for _, title, column in SPEED["PANELS"]:
        values = SPEED["figures"](PAGE, title, column)
        assert min(SPEED["CONTENDERS"], key=values.__getitem__) == "Chatport"
        assert f"{values['Chatport']:.2f}".rstrip("0") in SPEED["picture"](PAGE)
    soon = SPEED["figures"](PAGE, "From the first import to the first text", 1)
    assert soon["bare httpx"] / soon["Chatport"] < 1.5
    packages = SPEED["figures"](PAGE, "What gets installed", 2)
    assert packages["bare httpx"] < packages["Chatport"]


def test_every_provider_is_named_and_no_other() -> None:
    listed = ENGLISH.partition("* Providers today:")[2].partition("What each model family")[0]
    named = set(re.findall(r"`(\w+)`", listed))
    assert named == set(installed_providers())
    vendors = set(re.findall(r"`(\w+)`", listed.partition("and\n")[0]))
    assert f"Chatport {len(named)} ({len(vendors)} vendors, and local servers)" in ENGLISH


@pytest.mark.skipif(not COMPARED.is_file(), reason="the page of comparisons is not there")
def test_what_is_said_of_others_is_what_the_page_of_comparisons_says() -> None:
    rows = [line.strip("|").split("|") for line in COMPARED.read_text("utf-8").splitlines() if line.startswith("|")]
    heads = next([cell.strip() for cell in row] for row in rows if "litellm" in [cell.strip() for cell in row])
    counts = next([cell.strip() for cell in row] for row in rows if row[0].strip() == "vendors it names")
    told = re.search(r"it names (\d+) vendors, Chatport (\d+) ", ENGLISH)
    assert told is not None
    assert list(told.groups()) == [counts[heads.index("litellm")], counts[heads.index("Chatport")]]


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_the_first_screen_has_what_a_stranger_looks_for(text: str) -> None:
    """Install, three lines, the picture, the table: in this order, within fifty lines, before any other heading."""
    first = "\n".join(text.splitlines()[:50])
    marks = ["pip install", "import chatport", "docs/speed.svg", "LiteLLM", "\n## "]
    places = [first.index(mark) for mark in marks]
    assert places == sorted(places)


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_two_commands_stand_on_it(command: str) -> None:
    assert any(f"{command}\n" in content for language, content in blocks(ENGLISH) if language == "shell")
