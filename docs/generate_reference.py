"""Write `docs/reference/`: every public name with its signature, its docstring and its fields.

python docs/generate_reference.py            write the pages
python docs/generate_reference.py --check    fail if they are not what would be written

What plugins are made of is in the hook reference, `generate_hooks.py`, and only linked from here.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args, get_origin

import attrs
import msgspec
from generate_hooks import Field, _default, _descriptions, _markdown, _struct_default, values

import chatport
import chatport.testing
import chatport_bulk
import chatport_gateway
import chatport_mcp
import chatport_surfaces

FOLDER = Path(__file__).with_name("reference")
_WIDTH = 100


class Page(NamedTuple):
    """A page: its heading, what it says first, and the modules whose names it has, by the beginnings of their names."""

    title: str
    intro: str
    modules: tuple[str, ...]


PAGES: Mapping[str, Page] = {
    "clients": Page("Clients", "What asks, and the streams that it gives.", ("chatport.client",)),
    "runs": Page(
        "Tools and runs",
        "What [the tool loop](../tool-loop.md) gives, and what runs tools by hand.",
        ("chatport.types.runs", "chatport.runs.approval", "chatport.inputs.arguments"),
    ),
    "events": Page(
        "Events",
        "The pieces of a [stream](../streaming.md#events). All are frozen.",
        ("chatport.events", "chatport.runs.events"),
    ),
    "errors": Page(
        "Errors", "Every error that is raised. What to do about each: [errors](../errors.md).", ("chatport.errors",)
    ),
    "settings": Page(
        "Configuration and limits",
        "What a client is told once: [change vendor](../change-vendor.md), [budgets](../budgets-and-policy.md).",
        ("chatport.setup", "chatport.limits", "chatport.basics.secret"),
    ),
    "plugins": Page(
        "For plugins",
        "What providers and patches are made of, beside the values of the [hook reference](../hooks.md).",
        ("chatport.call", "chatport.provider", "chatport.hooks", "chatport.facts"),
    ),
    "testing": Page(
        "Testing", "`chatport.testing`: see [testing](../testing.md) for how to use it.", ("chatport.testing",)
    ),
    "surfaces": Page(
        "Surfaces",
        "`chatport_surfaces`: see [its own page](../../surfaces/README.md) and [migration](../migrate.md).",
        ("chatport_surfaces",),
    ),
    "gateway": Page("Gateway", "`chatport_gateway`: see [the gateway](../gateway.md).", ("chatport_gateway",)),
    "mcp": Page("MCP tools", "`chatport_mcp`: see [MCP tools](../mcp.md).", ("chatport_mcp",)),
    "bulk": Page("Bulk", "`chatport_bulk`: see [bulk](../bulk.md).", ("chatport_bulk",)),
    "values": Page(
        "Messages, replies and other values", "What calls take and give. All values are frozen.", ("chatport",)
    ),
}
"""In the order in which a module is looked for: the last one takes what no other does."""
SHOWN = (
    "clients",
    "values",
    "events",
    "runs",
    "errors",
    "settings",
    "plugins",
    "testing",
    "surfaces",
    "gateway",
    "mcp",
    "bulk",
)
HOMES: Mapping[str, ModuleType] = {
    "chatport": chatport,
    "chatport.testing": chatport.testing,
    "chatport_surfaces": chatport_surfaces,
    "chatport_gateway": chatport_gateway,
    "chatport_mcp": chatport_mcp,
    "chatport_bulk": chatport_bulk,
}


@cache
def names() -> Mapping[str, tuple[str, str]]:
    """Return every public name with the package that offers it, and the page that has it."""
    found: dict[str, tuple[str, str]] = {}
    described = set(values())
    for home, module in HOMES.items():
        for name in module.__all__:
            if name.startswith("__") or name in found:
                continue
            page = _page_of(_source_of(name, module), home)
            found[name] = home, "hooks" if page == "plugins" and name in described else page
    return found


def _source_of(name: str, module: ModuleType) -> str:
    """Return the module that a name comes from."""
    homes: Mapping[str, str] = getattr(module, "_HOME", {})
    if name in homes:
        return f"{module.__name__}.{homes[name]}"
    return str(getattr(getattr(module, name), "__module__", module.__name__))


def _page_of(source: str, home: str) -> str:
    if home != "chatport":
        source = home
    return next(
        page
        for page, known in PAGES.items()
        if any(source == start or source.startswith(f"{start}.") for start in known.modules)
    )


def pages() -> Mapping[str, str]:
    """Return the text of each page by its file name."""
    texts = {f"{page}.md": "\n".join(_page(page)).rstrip() + "\n" for page in SHOWN}
    return {"index.md": "\n".join(_index()).rstrip() + "\n", **texts}


def _index() -> Iterator[str]:
    yield "# API reference"
    yield ""
    yield "<!-- Written by `make docs` from the docstrings. -->"
    yield ""
    yield "Every public name. What begins with an underscore, and what is not here, may change in any version."
    for page in SHOWN:
        yield ""
        yield f"## {PAGES[page].title}"
        yield ""
        yield "| name | what it is |"
        yield "|---|---|"
        for name, (home, own) in sorted(names().items(), key=lambda item: item[0].lower()):
            if own == page or (own == "hooks" and page == "plugins"):
                link = f"[`{name}`]({_target(name, '')})"
                yield f"| {link} | {_first_line(getattr(HOMES[home], name))} |"


def _page(page: str) -> Iterator[str]:
    known = PAGES[page]
    yield f"# {known.title}"
    yield ""
    yield "<!-- Written by `make docs` from the docstrings. -->"
    yield ""
    yield known.intro
    for name, (home, own) in sorted(names().items(), key=lambda item: item[0].lower()):
        if own == page:
            yield ""
            yield f"## {name}"
            yield ""
            yield from _entry(name, HOMES[home], page)


def _entry(name: str, module: ModuleType, page: str) -> Iterator[str]:
    value = getattr(module, name)
    if inspect.isclass(value):
        yield from _class(name, value, page)
    elif inspect.isfunction(value):
        yield from _function(name, value)
    elif get_origin(value) is typing.Literal:
        yield f"One of {', '.join(f'`{word}`' for word in get_args(value))}."
    elif get_args(value):
        yield from _alias(name, value, module, page)
    elif isinstance(value, str | int):
        yield f"`{value!r}`"
    else:
        yield _text(value)


def _alias(name: str, value: Any, module: ModuleType, page: str) -> Iterator[str]:
    source = inspect.getsource(import_module(_source_of(name, module)))
    for part, text in pairwise(ast.parse(source).body):
        match part, text:
            case (
                ast.Assign(targets=[ast.Name(id=found)]) | ast.AnnAssign(target=ast.Name(id=found)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ) if found == name:
                yield words
                yield ""
            case _:
                pass
    shown = [
        _linked(getattr(part, "__name__", str(part)).replace("chatport.types.", ""), page) for part in get_args(value)
    ]
    yield f"Any of {', '.join(shown)}."


def _class(name: str, value: type, page: str) -> Iterator[str]:
    bases = [base.__name__ for base in value.__bases__ if base.__name__ in names()]
    if bases:
        yield f"A kind of {', '.join(_linked(base, page) for base in bases)}."
        yield ""
    yield _text(value)
    listed = _fields(value)
    init: Any = getattr(value, "__init__", None)
    if not listed and inspect.isfunction(init) and init.__module__.startswith("chatport"):
        yield ""
        yield from _signature(name, init, is_method=True)
    if listed:
        described = any(field.description for field in listed)
        yield ""
        yield f"| field | type | default |{' |' if described else ''}"
        yield f"|---|---|---|{'---|' if described else ''}"
        for field in listed:
            default = f"`{field.default}`" if field.default else ""
            more = f" {field.description} |" if described else ""
            yield f"| `{field.name}` | {_linked(field.type, page)} | {default} |{more}".replace("\n", " ")
    for method, function in _methods(value):
        yield ""
        yield f"### {name}.{method}"
        yield ""
        if isinstance(function, property):
            kind = inspect.signature(typing.cast(Any, function.fget)).return_annotation
            yield f"A property: {_linked(str(kind), page)}."
            yield ""
            yield _text(function)
        else:
            yield from _function(method, function, is_method=True)


def _fields(value: type) -> list[Field]:
    if typing.is_typeddict(value):
        texts = _texts_of_module(value)
        return [Field(name, _plain_type(kind), "", texts.get(name, "")) for name, kind in value.__annotations__.items()]
    if attrs.has(value):
        texts = {name: text for base in value.__mro__[:-1] for name, text in _descriptions(base).items()}
        return [
            Field(
                field.alias or field.name, _plain_type(field.type), _default(field.default), texts.get(field.name, "")
            )
            for field in attrs.fields(value)
            if not field.name.startswith("_") and field.init
        ]
    if issubclass(value, msgspec.Struct):
        bases = [
            base for base in reversed(value.__mro__) if issubclass(base, msgspec.Struct) and base is not msgspec.Struct
        ]
        texts = {name: text for base in bases for name, text in _descriptions(base).items()}
        kinds = {name: kind for base in bases for name, kind in vars(base).get("__annotations__", {}).items()}
        return [
            Field(name, str(kinds[name]), _struct_default(value, at), texts.get(name, ""))
            for at, name in enumerate(value.__struct_fields__)
        ]
    return []


def _texts_of_module(value: type) -> dict[str, str]:
    """Return what is said of fields in the file of a TypedDict, which does not know of what it is made."""
    tree = ast.parse(inspect.getsource(import_module(value.__module__)))
    found: dict[str, str] = {}
    for part in tree.body:
        if isinstance(part, ast.ClassDef):
            for field, text in pairwise(part.body):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                        found[name] = " ".join(words.split())
                    case _:
                        pass
    return found


def _plain_type(kind: Any) -> str:
    if isinstance(kind, typing.ForwardRef):
        return kind.__forward_arg__
    return kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))


def _methods(value: type) -> Iterator[tuple[str, Any]]:
    """Give the public methods and properties of a class, those of its own bases too, in the order of their names."""
    found: dict[str, Any] = {}
    for base in reversed(value.__mro__):
        if base.__module__.startswith("chatport") or base is value:
            found |= vars(base)
    for name, member in sorted(found.items()):
        function = getattr(member, "__func__", member)
        if name.startswith("_") or not (isinstance(function, property) or inspect.isfunction(function)):
            continue
        if inspect.getdoc(function.fget if isinstance(function, property) else function):
            yield name, function


def _function(name: str, function: Callable[..., Any], *, is_method: bool = False) -> Iterator[str]:
    yield from _signature(name, function, is_method=is_method)
    yield ""
    yield _text(function)


def _signature(name: str, function: Callable[..., Any], *, is_method: bool) -> Iterator[str]:
    """Give how a function is called, an argument to a line where it is long."""
    signature = inspect.signature(function)
    parameters = [
        parameter
        for at, parameter in enumerate(signature.parameters.values())
        if not (is_method and at == 0 and parameter.name in ("self", "cls")) and parameter.annotation != "Never"
    ]
    arguments = list(_arguments(parameters))
    is_class = function.__name__ == "__init__"
    start = "" if is_class else "async def " if inspect.iscoroutinefunction(function) else "def "
    end = ")" if is_class else f") -> {_plain_type(signature.return_annotation)}"
    line = f"{start}{name}({', '.join(arguments)}{end}"
    lines = [line] if len(line) <= _WIDTH else [f"{start}{name}(", *(f"    {one}," for one in arguments), end]
    yield "\n".join(["```python", *lines, "```"])


def _arguments(parameters: Sequence[inspect.Parameter]) -> Iterator[str]:
    kinds = inspect.Parameter
    starred = False
    for at, parameter in enumerate(parameters):
        if parameter.kind is kinds.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or parameter.kind in (kinds.VAR_POSITIONAL, kinds.KEYWORD_ONLY)
        stars = "*" * ((parameter.kind is kinds.VAR_POSITIONAL) + 2 * (parameter.kind is kinds.VAR_KEYWORD))
        kind = "" if parameter.annotation is kinds.empty else f": {_plain_type(parameter.annotation)}"
        default = "" if parameter.default is kinds.empty else f" = {_shown(parameter.default)}"
        yield f"{stars}{parameter.name}{kind}{default}"
        is_last_positional = parameter.kind is kinds.POSITIONAL_ONLY and (
            at + 1 == len(parameters) or parameters[at + 1].kind is not kinds.POSITIONAL_ONLY
        )
        if is_last_positional:
            yield "/"


def _shown(default: Any) -> str:
    """Return a default as it is written; one that is only a mark, or a function, as dots."""
    text = repr(default)
    return "..." if "<" in text else text


def _text(value: Any) -> str:
    return _markdown(inspect.getdoc(value) or "")


def _first_line(value: Any) -> str:
    is_own = inspect.isclass(value) or inspect.isfunction(value)
    text = (inspect.getdoc(value) or "") if is_own else ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def _target(name: str, page: str) -> str:
    """Return where a name is described, seen from a page of this folder."""
    own = names()[name][1]
    if own == "hooks":
        return f"../hooks.md#{name.lower()}"
    return f"{'' if own == page else f'{own}.md'}#{name.lower()}"


def _linked(annotation: str, page: str) -> str:
    """Return an annotation as Markdown, with the public names in it as links."""
    pieces = [piece for piece in re.split(r"(\w+)", annotation) if piece]
    shown: list[str] = []
    plain = ""
    for piece in pieces:
        if piece in names():
            shown += [f"`{plain.strip()}`"] if plain.strip() else []
            shown.append(f"[`{piece}`]({_target(piece, page)})")
            plain = ""
        else:
            plain += piece
    shown += [f"`{plain.strip()}`"] if plain.strip() else []
    return " ".join(shown).replace("|", "\\|")


def main() -> None:
    """Write the pages, or with --check say whether they are up to date."""
    written = pages()
    if "--check" in sys.argv:
        there = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
        stale = sorted({*written, *there} - {name for name in written if there.get(name) == written[name]})
        if stale:
            sys.exit(f"docs/reference/{', '.join(stale)} is out of date: run `make docs`")
        return
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        path.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
