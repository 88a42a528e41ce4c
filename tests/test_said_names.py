"""Words that no run needs, but a reader of a warning: the field it is about, and the fact behind it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import get_args

import msgspec
import pytest

from chatport.facts import rules, vendor_rules
from chatport.inputs.options import CHAT_OPTIONS
from chatport.types import Adjustment

from .mutants.copies import PACKAGES, ROOT

BODY = {
    "input", "messages", "model", "output_config", "provider", "reasoning_effort", "reasoning_format",
    "response_format", "stream", "thinking", "top_logprobs",
}  # fmt: skip
KINDS = set(get_args(inspect.get_annotations(Adjustment, eval_str=True)["kind"]))
STRUCTS = [
    value
    for module in (rules, vendor_rules)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, msgspec.Struct)
]
# Beside the parts of a rule: options to which something gives way or that it is about, and what a schema loses.
PARTS = {*(field for struct in STRUCTS for field in struct.__struct_fields__), *CHAT_OPTIONS, "prefix", "losses"}


def calls_of(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Give the calls of methods of a name in all packages, each with its place."""
    for path in sorted(path for package in PACKAGES for path in ROOT.glob(f"{package}/src/**/*.py")):
        text = path.read_text("utf-8")
        if f".{name}(" in text:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def text_of(node: ast.expr) -> str | None:
    """Return a literal's text, of an f-string the beginning of it; None where it is none."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_a_warning_names_an_option_or_a_field() -> None:
    found = {
        place: (kind, field)
        for place, call in calls_of("note")
        if len(call.args) >= 3 and (kind := text_of(call.args[0])) and (field := text_of(call.args[1]))
    }
    assert len(found) > 60
    for place, (kind, field) in found.items():
        assert kind in KINDS, place
        name = field.partition(".")[0].partition("[")[0]
        assert name in CHAT_OPTIONS or name in BODY, f"{place}: {field}"


def test_a_rule_is_cited_for_a_part_that_it_has() -> None:
    found = {place: part for place, call in calls_of("cite") if (part := text_of(call.args[0]))}
    assert len(found) > 40
    for place, part in found.items():
        assert part in PARTS, f"{place}: {part}"


@pytest.mark.parametrize(("source", "text"), [("'a'", "a"), ("f'a.{b}'", "a."), ("f'{b}'", None), ("5", None)])
def test_the_text_of_a_literal(source: str, text: str | None) -> None:
    (statement,) = ast.parse(source).body
    assert isinstance(statement, ast.Expr)
    assert text_of(statement.value) == text
