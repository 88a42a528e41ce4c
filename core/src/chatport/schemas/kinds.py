"""Python types as JSON Schema, and JSON values as those types.

msgspec reads attrs classes, dataclasses, structs, TypedDicts and plain annotations in one walk. A class that brings its
own schema and its own check, as pydantic's do, is asked for them: by the methods that it has, so nothing depends on
pydantic. A dataclass of pydantic's would pass for a plain one, without its validators, so it is looked for: where it
stands alone or in a generic type it is asked too, and inside of a class of another kind it is refused.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from .. import jsoncodec

__all__ = ["asked", "builtins_of", "converted", "schema_for"]

_TEMPLATE = "#/$defs/{name}"
_MARKERS = ("pydantic", "annotated_types")


class _Anything(type):
    def __instancecheck__(cls, value: object) -> bool:
        return True  # msgspec looks whether it got what it asked for: of the annotation behind it, it did


class _Own(metaclass=_Anything):
    """A type that brings its own schema and check; each stands for one annotation, as a type that msgspec asks for."""

    schema: Callable[[], dict[str, Any]]
    check: Callable[[str], Any]


def schema_for(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a type, with shared definitions under `$defs`.

    Raises TypeError, RuntimeError or ValueError for types that JSON cannot carry, and whatever a type's own schema
    raises.
    """
    found: dict[str, Any] = {}

    def ask(kind: type) -> dict[str, Any]:
        own = kind if issubclass(kind, _Own) else _own(kind)
        if own is None:
            raise NotImplementedError
        schema = dict(own.schema())
        _merge(found, schema.pop("$defs", {}))
        return schema

    (schema,), definitions = msgspec.json.schema_components(
        [asked(annotation)], ref_template=_TEMPLATE, schema_hook=ask
    )
    _merge(definitions, found)
    if set(schema) == {"$ref"}:  # the type itself belongs at the top, unless it refers to itself
        name = schema["$ref"].removeprefix("#/$defs/")
        if schema["$ref"] not in jsoncodec.encode_text(definitions):
            schema = definitions.pop(name)
    return {**schema, **({"$defs": definitions} if definitions else {})}


def _merge(known: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add definitions to others. Raises TypeError where a name would mean two things."""
    for name, schema in more.items():
        if known.setdefault(name, schema) != schema:
            raise TypeError(f"two different types in it are called {name}")


def converted(value: Any, annotation: Any) -> Any:
    """Return a JSON value as a type. Raises ValueError, or whatever a type of the caller's own raises in its making."""

    def ask(kind: type, inner: Any) -> Any:
        own = kind if issubclass(kind, _Own) else _own(kind)
        if own is None:
            raise NotImplementedError
        return own.check(jsoncodec.encode_text(jsoncodec.without_halves(inner)))

    return jsoncodec.convert(value, asked(annotation), ask)


def builtins_of(value: Any) -> Any:
    """Return a value of any such type as plain JSON values. Raises TypeError for what JSON cannot carry."""

    def ask(inner: Any) -> Any:
        if not hasattr(inner, "model_dump"):
            raise TypeError(f"Encoding objects of type {type(inner).__name__} is unsupported")
        return inner.model_dump(mode="json")

    return msgspec.to_builtins(value, str_keys=True, enc_hook=ask)


def asked(annotation: Any) -> Any:
    """Return an annotation in which each type that msgspec would take for another one is one that it asks for."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated and any(_is_marker(mark) for mark in inner[1:]):
        return _adapted(annotation)
    if origin is None:
        if not isinstance(annotation, type):
            return annotation
        if _is_own_dataclass(annotation):
            return _own(annotation)
        _check_fields(annotation)
        return annotation
    if origin in (Union, UnionType) and len(set(inner) - {NoneType}) > 1 and any(map(_brings_own, inner)):
        return _adapted(annotation)  # msgspec would not know which of them to ask
    changed = tuple([list(map(asked, arg)) if isinstance(arg, list) else asked(arg) for arg in inner])
    if changed == inner:
        return annotation
    if origin is Annotated:
        return Annotated[(changed[0], *inner[1:])]
    if origin is UnionType:
        return Union[changed]  # noqa: UP007  # of a tuple
    return origin[changed]


def _brings_own(option: Any) -> bool:
    return isinstance(option, type) and (_is_model(option) or _is_own_dataclass(option))


def _is_marker(mark: Any) -> bool:
    return type(mark).__module__.partition(".")[0] in _MARKERS


def _is_own_dataclass(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) and hasattr(kind, "__pydantic_validator__")


def _own(kind: Any) -> type[_Own] | None:
    """Return what asks a type that brings its own schema and check, None for one that does not."""
    if _is_own_dataclass(kind):
        return _adapted(kind)
    if not _is_model(kind):
        return None
    check = getattr(kind, "model_validate_json", None)
    if check is None:

        def check(text: str) -> Any:
            return kind.model_validate(jsoncodec.decode_text(text))

    return _made(kind, kind.model_json_schema, check)


def _is_model(kind: Any) -> bool:
    return hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate")


def _adapted(annotation: Any) -> type[_Own]:
    """Return what asks pydantic, which the program has loaded, for an annotation of its kind."""
    pydantic: Any = sys.modules["pydantic"]
    adapter = pydantic.TypeAdapter(annotation)
    return _made(annotation, adapter.json_schema, adapter.validate_json)


def _made(annotation: Any, schema: Any, check: Any) -> type[_Own]:
    name = getattr(annotation, "__name__", "Own")
    return type(name, (_Own,), {"schema": staticmethod(schema), "check": staticmethod(check)})


def _check_fields(kind: type) -> None:
    """Raise TypeError for a class that msgspec reads, with a field whose validators it would pass over in silence."""
    if _is_model(kind) or not _has_fields(kind):
        return
    seen, waiting = {kind}, [kind]
    while waiting:
        outer = waiting.pop()
        for name, hint in _hints(outer).items():
            for inner in _classes_in(hint):
                if _is_own_dataclass(inner):
                    raise TypeError(
                        f"{outer.__name__}.{name} is {inner.__name__}, a dataclass with validators of pydantic, which "
                        f"would not be run here: make {outer.__name__} one of pydantic too, or {inner.__name__} a model"
                    )
                if inner not in seen and _has_fields(inner) and not _is_model(inner):
                    seen.add(inner)
                    waiting.append(inner)


def _has_fields(kind: type) -> bool:
    """Whether a class is of a kind that msgspec reads field by field: dataclass, attrs, struct, named tuple or dict."""
    marks = ("__dataclass_fields__", "__attrs_attrs__", "__struct_fields__", "__total__", "_fields")
    return any(hasattr(kind, mark) for mark in marks)


def _hints(kind: type) -> Mapping[str, Any]:
    try:
        return get_type_hints(kind, include_extras=True)
    except Exception:  # msgspec will say what is wrong with it
        return {}


def _classes_in(hint: Any) -> list[type]:
    if get_origin(hint) is None:
        return [hint] if isinstance(hint, type) else []
    return [found for inner in get_args(hint) for found in _classes_in(inner)]
