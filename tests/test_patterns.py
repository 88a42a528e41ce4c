"""No regular expression of ours takes more than linear time, whatever text others write.

Every source file is read, so a new pattern is covered without being listed. One that is put together while the program
runs cannot be read off the source: it must be named in `MADE_WHILE_RUNNING`, with all the patterns it can become.
"""

from __future__ import annotations

import ast
import fnmatch
import itertools
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import pytest

from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider

from .regex_steps import attacks, end_of_match, growth

ROOT = Path(__file__).parent.parent
MOST_GROWTH = 2.3
"""How much more a text may cost that is twice as long: 2 is linear, and a little more is a short text's rounding."""

SEARCHING = ("search", "findall", "finditer", "sub", "subn", "split", "scanner")
FUNCTIONS = ("compile", "match", "fullmatch", *SEARCHING)


@attrs.frozen
class Use:
    """A place of the source that makes or uses a pattern. `patterns` is None where it cannot be read off the source."""

    path: str
    line: int
    source: str
    hows: frozenset[str]
    patterns: tuple[re.Pattern[Any], ...] | None

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.source}"


# --- what cannot be read off the source


def words_of_the_standard() -> list[str]:
    words = import_module("chatport.standard.error_words")
    limits = (
        words.DAY,
        words.MINUTE,
        words.SPENT,
        words.NEVER_WAS,
        words.TOO_FAST,
        words.SERVERS_FAULT,
        *words.MONEY,
        *words.OVERLOADED,
    )
    limits += (*words.UNSUPPORTED, *(pattern for _, pattern in words.BARE))
    return [*limits, *(pattern for _, patterns in words.WORDS for pattern in patterns)]


def phrases_of(module: str, name: str) -> list[str]:
    return [pattern for pattern, _ in getattr(import_module(module), name)]


def citations() -> list[str]:
    """The patterns that find facts cited in a text, for the heads that fact sheets have."""
    number = import_module("chatport.testing.conformance.quirk_table")._NUMBER
    heads = "AN-[A-Z]*|Q"
    return [rf"(?<![\w-])(?:{heads}){number}(?!\w)", rf"(?<![\w-])({heads})(\d+) to \1(\d+)"]


def fits_of_facts() -> list[str]:
    """Return every pattern that the facts of a provider name."""
    found: list[str] = []
    for name in installed_providers():
        facts = load_provider(name).facts
        for entry in () if facts is None else facts.models:
            rules = entry.facts.get("rules") or {}
            given = [rules.get("call_ids") or {}]
            for each in (rules.get("fields") or {}).values():
                given += each if isinstance(each, list | tuple) else [each]
            found += [rule["fits"] for rule in given if rule.get("fits")]
    return found


MADE_WHILE_RUNNING: dict[tuple[str, str], Callable[[], list[str]]] = {
    ("chatport/standard/verdicts.py", "pattern"): words_of_the_standard,
    # The caller's own, in the schema that an answer is held against. A caller may hurt himself.
    ("chatport/schemas/check.py", "pattern"): list,
    # In a package's facts. `check_rules` refuses a repeat within a repeat when they are loaded.
    ("chatport/standard/fields.py", "pattern"): fits_of_facts,
    ("chatport/facts/rules.py", "self.fits"): fits_of_facts,
    ("chatport/facts/checking.py", "pattern"): fits_of_facts,
    ("chatport/testing/facts_refusals.py", "rule.fits"): fits_of_facts,
    # An emulator's, against the ids of a test.
    ("chatport/testing/refusals.py", "vendor.call_id_form"): list,
    ("chatport/testing/emulator.py", "self.model_form"): list,
    ("chatport_openrouter/errors.py", "pattern"): lambda: phrases_of("chatport_openrouter.errors", "_PHRASES"),
    ("chatport_siliconflow/errors.py", "words"): lambda: phrases_of("chatport_siliconflow.errors", "_WORDS"),
    **{
        ("chatport/testing/conformance/quirk_table.py", source): citations
        for source in (
            "f'(?<![\\\\w-])(?:{heads}){_NUMBER}(?!\\\\w)'",
            "f'(?<![\\\\w-])({heads})(\\\\d+) to \\\\1(\\\\d+)'",
        )
    },
}
"""File and source of the pattern -> all that it can be."""


# --- reading the source


def sources() -> Iterator[tuple[Path, Path]]:
    """Give every source file of core and plugins, with the folder that imports start from."""
    for folder in (ROOT / "core/src", *sorted(ROOT.glob("plugins/*/src")), *sorted(ROOT.glob("protocols/*/src"))):
        for path in sorted(folder.rglob("*.py")):
            if "template" not in path.parts:
                yield path, folder


def uses() -> list[Use]:
    return [use for path, folder in sources() for use in uses_of(path, folder)]


def uses_of(path: Path, folder: Path) -> Iterator[Use]:
    text = path.read_text("utf-8")
    if "import re" not in text:  # the trees of a thousand files need not be made
        return
    tree = ast.parse(text)
    if "re" not in {alias.name for alias in imports(tree)}:
        return
    names = namespace(path, folder)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and is_of_re(node.func):
            assert isinstance(node.func, ast.Attribute)
            source = ast.unparse(node.args[0])
            hows = hows_of(node, tree) if node.func.attr == "compile" else {node.func.attr}
            kinds = frozenset("search" if how in SEARCHING else how for how in hows)
            yield Use(str(path.relative_to(folder)), node.lineno, source, kinds, patterns_of(node, names))


def imports(tree: ast.AST) -> Iterator[ast.alias]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from node.names


def namespace(path: Path, folder: Path) -> dict[str, Any]:
    name = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
    return vars(import_module(name))


def is_of_re(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "re"
        and node.attr in FUNCTIONS
    )


def hows_of(node: ast.Call, tree: ast.AST) -> set[str]:
    """Return how a compiled pattern is used; where it is handed on and nobody can tell, it may search."""
    name = next(
        (
            target.id
            for parent in ast.walk(tree)
            if isinstance(parent, ast.Assign) and parent.value is node
            for target in parent.targets
            if isinstance(target, ast.Name)
        ),
        None,
    )
    if name is None:
        return {"search"}
    hows, named = set(), 0
    for other in ast.walk(tree):
        if isinstance(other, ast.Name) and other.id == name and isinstance(other.ctx, ast.Load):
            named += 1
        if isinstance(other, ast.Attribute) and isinstance(other.value, ast.Name) and other.value.id == name:
            hows.add(other.attr)
    methods = hows & set(FUNCTIONS)
    is_handed_on = named > sum(
        isinstance(other, ast.Attribute) and isinstance(other.value, ast.Name) and other.value.id == name
        for other in ast.walk(tree)
    )
    return methods | ({"search"} if is_handed_on or not methods else set())


def patterns_of(node: ast.Call, names: dict[str, Any]) -> tuple[re.Pattern[Any], ...] | None:
    """Return the pattern of a call, made of constants and the names of its module; None where it is not."""
    flags = [part for part in [*node.args[1:], *(word.value for word in node.keywords)] if "re." in ast.unparse(part)]
    known = {name: value for name, value in names.items() if isinstance(value, str | bytes | re.Pattern)}
    try:
        pattern = eval(ast.unparse(node.args[0]), {"re": re, **known})
    except NameError:
        return None
    return (re.compile(pattern, eval(ast.unparse(flags[0]), {"re": re}) if flags else 0),)


USES = uses()


# --- the tests


def test_every_pattern_is_found() -> None:
    """The inventory is not empty by mistake, and nobody takes `re` by a name that it would not see."""
    assert len(USES) > 80
    for path, _ in sources():
        text = path.read_text("utf-8")
        assert not re.search(r"\b(from re import|import re as|import regex)\b", text), path
        assert not re.search(r"Meta\([^)]*pattern", text), f"{path}: teach the inventory msgspec's patterns"


def test_patterns_made_while_running_are_named() -> None:
    unnamed = [str(use) for use in USES if use.patterns is None and (use.path, use.source) not in MADE_WHILE_RUNNING]
    assert not unnamed, "name them in MADE_WHILE_RUNNING, with all that they can be"


def all_of(use: Use) -> tuple[re.Pattern[Any], ...]:
    if use.patterns is not None:
        return use.patterns
    return tuple(re.compile(pattern) for pattern in MADE_WHILE_RUNNING.get((use.path, use.source), list)())


@pytest.mark.parametrize("use", USES, ids=str)
def test_a_pattern_is_linear(use: Use) -> None:
    for pattern in all_of(use):
        for how in sorted(use.hows):
            ratio, shape = growth(pattern, how, most=MOST_GROWTH)
            assert ratio <= MOST_GROWTH, f"{pattern.pattern!r} ({how}) grows by {ratio:.2f} when this doubles: {shape}"


@pytest.mark.parametrize("shape", ["*a", "*a*b*c*", "a*a*a*a*b", "?*?*?*", "[a-z]*-*-*"])
def test_a_pattern_of_names_is_linear(shape: str) -> None:
    """Policies and facts match models by `fnmatch`; a vendor or a user writes the name."""
    ratio, text = growth(re.compile(fnmatch.translate(shape)), "match", most=MOST_GROWTH)
    assert ratio <= MOST_GROWTH, text


# --- the counter itself


@pytest.mark.parametrize(
    ("pattern", "how"),
    [
        (r"\s+$", "search"),
        (r"\s*\S+", "search"),
        (r"a*b", "search"),
        (r"begin.*end", "search"),
        (r".*b.*c", "match"),
        (r"<(\w+)>.*</\1>", "search"),
        (r"[ \t]*([^\n]*)\r\n", "match"),
        (r"(a+)+b", "match"),
        (r"(\w+[-_])*x{3}", "fullmatch"),
        (r"(?:a|aa)+$", "fullmatch"),
        (r"(?:x?y?)*z", "match"),
        (r"\s*```\s*\n(.*?)\n?```\s*", "fullmatch"),
        (r"\d+(?:\.\d+)?s", "search"),
    ],
)
def test_a_pattern_that_can_hurt_is_found(pattern: str, how: str) -> None:
    """A search that finds nothing would prove nothing."""
    assert growth(re.compile(pattern, re.DOTALL), how)[0] > MOST_GROWTH


@pytest.mark.parametrize(
    ("pattern", "how"),
    [
        (r"\s+", "search"),
        (r"a*b", "match"),
        (r"[a-z]{1,64}!", "search"),
        (r"begin.{0,40}end", "search"),
        (r"\A(?>.*?begin).*end", "search"),
        (r"[ \t]*+([^\n]*)\r\n", "match"),
        (r"(?:a++)++b", "match"),
        (r"<[^>]*(?:>|\Z)", "search"),
    ],
)
def test_a_linear_pattern_passes(pattern: str, how: str) -> None:
    assert growth(re.compile(pattern, re.DOTALL), how)[0] <= MOST_GROWTH


@pytest.mark.parametrize("use", USES, ids=str)
def test_the_counter_matches_what_re_matches(use: Use) -> None:
    """It could not count the steps of `re` if it took other ways."""
    for pattern in all_of(use):
        for prefix, pump, suffix in itertools.islice(attacks(pattern), 0, 4000, 7):
            text = prefix + 3 * pump + suffix
            found = pattern.match(text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text)
            assert end_of_match(pattern, text) == (found and found.end()), (pattern.pattern, text)
