"""Write `docs/hooks.md` from the hook specifications, and from the values that they name.

python docs/generate_hooks.py            write the page
python docs/generate_hooks.py --check    fail if the page is not what would be written
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args, get_origin

import attrs
import msgspec

import chatport.call
import chatport.events
import chatport.facts
import chatport.facts.rules
import chatport.facts.vendor_rules
import chatport.helpers
import chatport.hooks
import chatport.provider
import chatport.types

PAGE = Path(__file__).with_name("hooks.md")
HOMES: tuple[ModuleType, ...] = (
    chatport.call,
    chatport.types,
    chatport.events,
    chatport.facts,
    chatport.facts.rules,
    chatport.facts.vendor_rules,
    chatport.provider,
)
VALUES: dict[str, Any] = {name: getattr(home, name) for home in HOMES for name in home.__all__}


ELSEWHERE = {"ChatportError": "errors.md"}


class Field(NamedTuple):
    """One field of a value, as text."""

    name: str
    type: str
    default: str
    description: str


def hooks() -> dict[str, Callable[..., Any]]:
    """Return the hook specifications by name, in the order of the contract."""
    return {name: hook for name, hook in vars(chatport.hooks.ProviderHooks).items() if inspect.isfunction(hook)}


def page() -> str:
    """Return the whole page."""
    return "\n".join([*_introduction(), *_hook_sections(), *_helpers_section(), *_value_sections()]).rstrip() + "\n"


def _introduction() -> Iterator[str]:
    yield "# Hook reference"
    yield ""
    yield "<!-- fmt: off -->"
    yield "<!-- Written by `make docs`. Edit the docstrings in core/src/chatport, then run it again. -->"
    yield ""
    yield _markdown(inspect.getdoc(chatport.hooks) or "")
    yield ""
    yield "The hooks are the methods of `chatport.ProviderHooks`; what implements one bears `chatport.hookimpl`."
    yield ""
    yield f"This page describes hook API {chatport.hooks.HOOK_API}, which is `chatport.HOOK_API`. A provider declares"
    yield "the version it was written for (`Provider.hook_api`); one that is newer than the core is refused."
    yield "Worked examples: [patch a quirk](patching.md), [write a provider](write-a-provider.md). The hooks stand in"
    yield "`chatport.ProviderHooks`. What plugins may import beside `chatport` are the [helpers](#helpers)."
    yield ""
    yield "| hook | arguments | gives |"
    yield "|---|---|---|"
    for name, hook in hooks().items():
        signature = inspect.signature(hook)
        arguments = ", ".join(f"`{argument}`" for argument in list(signature.parameters)[1:])
        yield f"| [`{name}`](#{name}) | {arguments} | {_linked(str(signature.return_annotation))} |"
    yield ""


def _hook_sections() -> Iterator[str]:
    yield "## The hooks"
    yield ""
    for name, hook in hooks().items():
        signature = inspect.signature(hook)
        parameters = list(signature.parameters.values())[1:]
        arguments = ", ".join(f"{parameter.name}: {parameter.annotation}" for parameter in parameters)
        yield f"### {name}"
        yield ""
        yield "```python"
        yield f"def {name}({arguments}) -> {signature.return_annotation}: ..."
        yield "```"
        yield ""
        yield _markdown(inspect.getdoc(hook) or "")
        yield ""
        used = _named([*(str(parameter.annotation) for parameter in parameters), str(signature.return_annotation)])
        if used:
            yield f"Values: {', '.join(map(_link, used))}."
            yield ""


def _helpers_section() -> Iterator[str]:
    yield "## Helpers"
    yield ""
    yield _markdown(inspect.getdoc(chatport.helpers) or "")
    yield ""
    yield "Import them so: `from chatport.helpers import fit_output, with_losses`."
    yield ""
    yield "| name | what it is |"
    yield "|---|---|"
    for name in chatport.helpers.__all__:
        value = getattr(chatport.helpers, name)
        if callable(value):
            shown = f"{name}{_arguments(value)}" if inspect.isfunction(value) else name
            yield f"| `{shown}` | {_first_sentence(value)} |".replace("\n", " ")
    yield ""


def _first_sentence(value: Any) -> str:
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split()).replace("|", "\\|")


def _value_sections() -> Iterator[str]:
    yield "## The values"
    yield ""
    yield "What the hooks take and give, and what these are made of. All are frozen, but for `StreamState`."
    yield ""
    for name in values():
        yield f"### {name}"
        yield ""
        yield from _value(name, VALUES[name])


def values() -> list[str]:
    """Return the names of the values that the hooks use, directly or as a part of another, in order of mention."""
    signatures = [inspect.signature(hook) for hook in hooks().values()]
    texts = [
        str(annotation)
        for signature in signatures
        for annotation in (
            *(parameter.annotation for parameter in signature.parameters.values()),
            signature.return_annotation,
        )
    ]
    found = _named(texts)
    for name in found:  # grows while it is read
        found += [other for other in _named(_types_within(VALUES[name])) if other not in found]
    return found


def _types_within(value: Any) -> list[str]:
    if inspect.isclass(value):
        return [field.type for field in fields(value)]
    return [getattr(part, "__name__", "") for part in get_args(value)]


def _value(name: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        if get_origin(value) is Literal:
            yield f"One of {', '.join(f'`{word}`' for word in get_args(value))}."
        else:
            yield f"Any of {', '.join(_link(part.__name__) for part in get_args(value))}."
        yield ""
        return
    yield _markdown(inspect.getdoc(value) or "")
    yield ""
    listed = fields(value)
    if listed:
        described = any(field.description for field in listed)
        yield f"| field | type | default |{' |' if described else ''}"
        yield f"|---|---|---|{'---|' if described else ''}"
        for field in listed:
            default = f"`{field.default}`" if field.default else ""
            more = f" {field.description} |" if described else ""
            yield f"| `{field.name}` | {_linked(field.type)} | {default} |{more}"
        yield ""
    for method, signature, text in _methods(value):
        yield f"* `{method}{signature}`: {text}"
    if _methods(value):
        yield ""


def fields(value: type) -> list[Field]:
    """Return the fields of a value. A class that is neither attrs nor msgspec shows what its `__init__` sets."""
    texts = _descriptions(value)
    if attrs.has(value):
        return [
            Field(field.name, str(field.type), _default(field.default), texts.get(field.name, ""))
            for field in attrs.fields(value)
        ]
    if issubclass(value, msgspec.Struct):
        bases = [
            base for base in reversed(value.__mro__) if issubclass(base, msgspec.Struct) and base is not msgspec.Struct
        ]
        inherited = {name: text for base in bases for name, text in _descriptions(base).items()}
        annotations = {name: kind for base in bases for name, kind in vars(base).get("__annotations__", {}).items()}
        return [
            Field(name, str(annotations[name]), _struct_default(value, at), inherited.get(name, ""))
            for at, name in enumerate(value.__struct_fields__)
        ]
    return [
        Field(name, kind, "", texts.get(name, "")) for name, kind in _set_in_init(value) if not name.startswith("_")
    ]


def _struct_default(value: type[msgspec.Struct], at: int) -> str:
    """Return the default of a field, by its place: only the last fields have one."""
    defaults = value.__struct_defaults__
    first = len(value.__struct_fields__) - len(defaults)
    default = defaults[at - first] if at >= first else msgspec.NODEFAULT
    if default is msgspec.NODEFAULT:
        return ""
    return repr(default.factory() if hasattr(default, "factory") else default)


def _default(default: Any) -> str:
    if default is attrs.NOTHING:
        return ""
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to mypy
        made = default.factory()
        return repr(made) if isinstance(made, str | int | tuple | dict | list) else f"{type(made).__name__}()"
    return repr(default)


def _methods(value: type) -> list[tuple[str, str, str]]:
    """Return the public methods and properties with the first paragraph of their docstrings."""
    found: list[tuple[str, str, str]] = []
    for name, member in vars(value).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        if not text:
            continue
        found.append((name, "" if isinstance(member, property) else _arguments(function), text))
    return found


def _arguments(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    parameters = [parameter for name, parameter in signature.parameters.items() if name not in ("self", "cls")]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


@cache
def _class_body(value: type) -> list[ast.stmt]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    definition = tree.body[0]
    assert isinstance(definition, ast.ClassDef)
    return definition.body


def _descriptions(value: type) -> dict[str, str]:
    """Return the docstrings that stand below fields, in the class or in its `__init__`."""
    body = _class_body(value)
    initial = [part for part in body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
    found: dict[str, str] = {}
    for block in (body, *(function.body for function in initial)):
        for field, text in pairwise(block):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name))
                    | ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)]),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ):
                    found[name] = " ".join(words.split())
                case _:
                    pass
    return found


def _set_in_init(value: type) -> Iterator[tuple[str, str]]:
    """Give name and type of what a plain class offers: what `__init__` sets, then its properties."""
    signature = inspect.signature(value)
    known = {name: str(parameter.annotation) for name, parameter in signature.parameters.items()}
    for function in _class_body(value):
        if not isinstance(function, ast.FunctionDef):
            continue
        if function.name == "__init__":
            for part in function.body:
                match part:
                    case ast.Assign(targets=[ast.Attribute(attr=name)], value=given):
                        yield name, known.get(name, type(ast.literal_eval(given)).__name__ if _literal(given) else "")
                    case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=annotation):
                        yield name, ast.unparse(annotation)
                    case _:
                        pass
        elif any(isinstance(mark, ast.Name) and mark.id == "property" for mark in function.decorator_list):
            yield function.name, ast.unparse(function.returns) if function.returns else ""


def _literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant | ast.Dict | ast.List | ast.Tuple)


def _named(texts: list[str]) -> list[str]:
    """Return the values named in annotations, each once, in order."""
    words = [word for text in texts for word in re.findall(r"\w+", text)]
    return [word for word in dict.fromkeys(words) if word in VALUES]


def _link(name: str) -> str:
    return f"[`{name}`](#{name.lower()})" if name in VALUES else f"[`{name}`]({ELSEWHERE[name]})"


def _linked(annotation: str) -> str:
    """Return an annotation as Markdown, with the values in it as links."""
    linked = {*VALUES, *ELSEWHERE}
    pieces = re.split(rf"\b({'|'.join(linked)})\b", annotation)
    shown = [
        _link(piece) if piece in linked else f"`{piece.strip()}`" if piece.strip() else "" for piece in pieces if piece
    ]
    return " ".join(filter(None, shown)).replace("|", "\\|")


def _markdown(docstring: str) -> str:
    """Return a docstring as Markdown: its indented code becomes a fenced block, which the tests run."""
    text = inspect.cleandoc(docstring) + "\n"

    def fenced(match: re.Match[str]) -> str:
        return f"```python\n{textwrap.dedent(match[0]).strip()}\n```\n"

    return re.sub(r"(?m)^    .+\n(?:(?:    .*)?\n(?=    |\n    )|    .+\n)*", fenced, text).rstrip()


def main(arguments: list[str]) -> int:
    """Write or check the page; return the exit code."""
    if arguments == ["--check"]:
        current = PAGE.read_text("utf-8") if PAGE.is_file() else ""
        if current == page():
            return 0
        sys.stderr.write(f"{PAGE.name} is out of date: run `make docs`\n")
        return 1
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
