"""Small changes to a Python source, one at a time: each is a fault that the tests ought to notice.

A change replaces the text of one node of the syntax tree, so that the rest of the file stays as it is written. Left out
is what means nothing to a program that runs: annotations, docstrings, `__all__`, imports for types, and words.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

__all__ = ["Mutant", "Trial", "diff_of", "function_around", "mutants_of"]


@attrs.frozen
class Mutant:
    """One change: in which line, of what kind, and the text that takes the place of these bytes of the source."""

    line: int
    kind: str
    start: int
    end: int
    text: str

    def applied(self, source: str) -> str | None:
        """Return the source with it, None where that is no program, or the same one."""
        content = source.encode()
        changed = (content[: self.start] + self.text.encode() + content[self.end :]).decode()
        try:
            tree = ast.parse(changed)
            compile(changed, "mutant", "exec")
        except (SyntaxError, ValueError):
            return None
        return None if ast.dump(tree) == ast.dump(ast.parse(source)) else changed


@attrs.frozen
class Trial:
    """A mutant, and the whole source of its file with it."""

    path: Path
    mutant: Mutant
    source: str = attrs.field(repr=False)


def mutants_of(source: str) -> list[Mutant]:
    """Return every small change of a source, in the order of its lines. A few of them give no program."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def placed(change: _Change) -> Mutant:
        node = change.node
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        return Mutant(node.lineno, change.kind, start, end, change.text)

    return sorted(map(placed, _changes(ast.parse(source))), key=lambda mutant: mutant.line)


def function_around(source: str, line: int) -> range:
    """Return the lines of the innermost function around a line; none where it is outside of all."""
    functions = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return min((lines for lines in functions if line in lines), key=len, default=range(0))


def diff_of(before: str, after: str, name: str) -> str:
    """Return what a mutant changes, as a unified diff without context."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++")))


@attrs.frozen
class _Change:
    """A node whose text is replaced."""

    node: ast.expr | ast.stmt
    kind: str
    text: str


# --- where


def _changes(tree: ast.Module) -> Iterator[_Change]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield from _of_statement(node)
        if isinstance(node, ast.expr):
            yield from _of_expression(node)
        waiting.extend(_parts_that_run(node))


def _parts_that_run(node: ast.AST) -> Iterator[ast.AST]:
    """Give the parts of a node that are run, and whose place in the text is known."""
    match node:
        case ast.JoinedStr() | ast.Raise() | ast.Import() | ast.ImportFrom():
            return  # words for people; and the places inside f-strings are not right before Python 3.12
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            yield from node.orelse
            return
        case ast.AnnAssign():
            yield from filter(None, [node.value])
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from (*node.args.defaults, *filter(None, node.args.kw_defaults), *_body(node.body))
            return
        case ast.ClassDef():
            yield from _body(node.body)
            return
        case ast.Module():
            yield from _body(node.body)
            return
    yield from ast.iter_child_nodes(node)


def _body(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Give statements but those that are texts: docstrings, of attributes too."""
    for statement in statements:
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield statement


# --- what

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
}  # fmt: skip


def _of_statement(node: ast.stmt) -> Iterator[_Change]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await() | ast.YieldFrom()):
            yield _Change(node, "a statement is left out", "pass")
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]) | ast.AugAssign() | ast.Delete():
            yield _Change(node, "a statement is left out", "pass")
        case ast.Raise():
            yield _Change(node, "an error is not raised", "pass")
        case ast.Continue():
            yield _Change(node, "a loop ends early", "break")
        case ast.Break():
            yield _Change(node, "a loop goes on", "continue")
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield _Change(value, "None is returned", "None")
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.If() | ast.While():
            yield _Change(node.test, "a condition is turned round", f"not ({ast.unparse(node.test)})")


def _of_expression(node: ast.expr) -> Iterator[_Change]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARED:
            other = ast.Compare(node.left, [_COMPARED[type(op)]()], node.comparators)
            yield _Change(node, "a comparison is another", _text(other))
        case ast.BoolOp():
            flipped = ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            yield _Change(node, "and is or", _text(flipped))
            for value in node.values[:2]:
                rest = [other for other in node.values if other is not value]
                kept = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
                yield _Change(node, "a part of a condition is left out", _text(kept))
        case ast.UnaryOp(op=ast.Not()):
            yield _Change(node, "not is left out", _text(node.operand))
        case ast.BinOp() if type(node.op) in _COMPUTED:
            yield _Change(
                node, "an operator is another", _text(ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right))
            )
        case ast.IfExp():
            yield _Change(node, "the two branches are swapped", _text(ast.IfExp(node.test, node.orelse, node.body)))
        case ast.Constant():
            yield from _of_constant(node)
        case ast.Call():
            yield from _of_call(node)


def _of_constant(node: ast.Constant) -> Iterator[_Change]:
    value = node.value
    if isinstance(value, bool):
        yield _Change(node, "a constant is another", repr(not value))
    elif isinstance(value, int | float):
        yield _Change(node, "a constant is one more", f"({value!r} + 1)")
        yield _Change(node, "a constant is one less", f"({value!r} - 1)")
    elif isinstance(value, str | bytes) and value and " " not in str(value):  # a text with blanks is for people
        other = value + b"?" if isinstance(value, bytes) else value + "?"
        yield _Change(node, "a constant is another", repr(other))


def _of_call(node: ast.Call) -> Iterator[_Change]:
    match node.args:
        case [first, second, *rest] if ast.unparse(node.func) not in ("max", "min") and not any(
            isinstance(item, ast.Starred) for item in (first, second)
        ):
            swapped = ast.Call(node.func, [second, first, *rest], node.keywords)
            yield _Change(node, "two arguments are swapped", _text(swapped))
    for keyword in node.keywords:
        if keyword.arg is not None:
            others = [other for other in node.keywords if other is not keyword]
            yield _Change(node, "an argument is left out", _text(ast.Call(node.func, node.args, others)))


def _text(node: ast.expr) -> str:
    """Return an expression as text that may stand wherever an expression may."""
    return f"({ast.unparse(ast.fix_missing_locations(node))})"


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None
