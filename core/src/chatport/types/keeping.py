"""Messages, replies and runs as JSON text, to be kept and read again, by this version and by later ones.

A text says what it is and in which form: `{"chatport": "message", "form": 1, "value": {…}}`. Fields that have their
default are left out. The form's number goes up with whatever an older version would read wrongly: a new field, another
meaning. So a newer text is refused, and so is a field that nobody knows.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

from .. import jsoncodec
from ..basics.display import one_line
from ..basics.typed import expect, kind_of
from ..basics.values import Value
from ..errors import BadRequestError
from . import AudioPart, FilePart, ImagePart, Message, Reply, TextPart, VendorPart, VideoPart
from .runs import Run

__all__ = ["FORM", "from_json", "read", "to_json", "written"]

FORM = 1
"""The form that is written. All forms up to it are read."""

_KINDS: Mapping[str, type[Value]] = {"message": Message, "reply": Reply, "run": Run}
_PARTS: Mapping[str, type[Value]] = {
    "text": TextPart,
    "image": ImagePart,
    "audio": AudioPart,
    "video": VideoPart,
    "file": FilePart,
    "vendor": VendorPart,
}
_PART_NAMES = {cls: name for name, cls in _PARTS.items()}
_NOT_KEPT = {"raw", "error", "type"}
"""The vendor's own bytes, exceptions, Python types: what is of one process, or only doubles what is said already."""
_SHOWN = 60

V = TypeVar("V", bound=Value)


def to_json(value: Value) -> str:
    """Return a message, a reply or a run as JSON text. Raises BadRequestError for values in it that JSON has not."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(value, cls))
    try:
        return jsoncodec.encode_anything({"chatport": kind, "form": FORM, "value": written(value)}).decode()
    except Exception as error:  # a value of somebody's own, in a dict of the caller's or a vendor's
        raise BadRequestError(f"This {type(value).__name__} cannot be written as JSON: {error}.") from error


def written(value: Any) -> Any:
    """Return a value as what JSON has, fields that have their default left out."""
    if isinstance(value, Value):
        fields: dict[str, Any] = {"part": _PART_NAMES[type(value)]} if type(value) in _PART_NAMES else {}
        for field in attrs.fields(type(value)):
            held = getattr(value, field.name)
            if field.name not in _NOT_KEPT and not _is_default(held, field.default):
                fields[field.name] = written(held)
        return fields
    if isinstance(value, Mapping):
        return {name: written(inner) for name, inner in value.items()}
    return [written(inner) for inner in value] if isinstance(value, list | tuple) else value


def _is_default(held: Any, default: Any) -> bool:
    if default is attrs.NOTHING:
        return False
    plain = default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]  # is a class
    return (type(held) is type(plain) and bool(held == plain)) or (held == {} and plain == {})


def from_json(cls: type[V], text: str | bytes) -> V:
    """Return what `to_json` has written of a class. Raises BadRequestError for anything else, and what is newer."""
    expect(text, (str, bytes), f"A {cls.__name__} is read from a JSON text", BadRequestError)
    try:
        whole = jsoncodec.decode_text(text) if isinstance(text, str) else jsoncodec.decode(text)
    except ValueError as error:
        raise BadRequestError(f"This is no JSON, so no {cls.__name__} either: {error}.") from error
    kind = next(name for name, known in _KINDS.items() if issubclass(cls, known))
    if not isinstance(whole, dict) or whole.get("chatport") not in list(_KINDS):
        raise BadRequestError(f'This is not what {cls.__name__}.to_json writes: it has no "chatport": "{kind}".')
    if whole["chatport"] != kind:
        raise BadRequestError(f"This is a {whole['chatport']}, and not a {kind}.")
    form = whole.get("form")
    if isinstance(form, bool) or not isinstance(form, int) or form < 1:
        raise BadRequestError('This is not what to_json writes: its "form" is no number.')
    if form > FORM:
        raise BadRequestError(
            f"This {kind} was kept by a newer Chatport, in form {form}; this version reads forms up to {FORM}. "
            "Update chatport-core."
        )
    return cast(V, read(cls, whole.get("value"), kind))


def read(hint: Any, given: Any, where: str) -> Any:
    """Return a value as its annotation wants it. Raises BadRequestError with the place of what does not fit."""
    if hint is Any or hint is object:
        return given
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _read_one_of(inner, given, where)
    if origin is Literal:
        return given if given in inner else _wrong(given, " or ".join(map(repr, inner)), where)
    if origin is tuple:
        return _read_list(inner, given, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(given, dict):
            return _wrong(given, "an object", where)
        return {name: read(inner[1], item, f"{where}.{name}") for name, item in given.items()}
    if issubclass(hint, Value):
        return _read_value(hint, given, where)
    is_number = hint is float and type(given) is int
    return given if type(given) is hint or is_number else _wrong(given, f"a {hint.__name__}", where)


def _read_one_of(options: tuple[Any, ...], given: Any, where: str) -> Any:
    if given is None and types.NoneType in options:
        return None
    if TextPart in options:
        name = given.pop("part", None) if isinstance(given, dict) else None
        part = _PARTS.get(name) if isinstance(name, str) else None
        return _read_value(part, given, where) if part else _wrong(given, f"a part: {', '.join(_PARTS)}", where)
    (option,) = [option for option in options if option is not types.NoneType]
    return read(option, given, where)


def _read_list(inner: tuple[Any, ...], given: Any, where: str) -> Any:
    if not isinstance(given, list):
        return _wrong(given, "a list", where)
    hints = [inner[0]] * len(given) if inner[-1] is Ellipsis else inner
    if len(hints) != len(given):
        return _wrong(given, f"a list of {len(hints)}", where)
    return tuple([read(hint, item, f"{where}[{at}]") for at, (hint, item) in enumerate(zip(hints, given, strict=True))])


def _read_value(cls: type[Value], given: Any, where: str) -> Value:
    if not isinstance(given, dict):
        return cast(Value, _wrong(given, "an object", where))
    hints = _hints(cls)  # type: ignore[arg-type]  # every class has a hash
    for name in given:
        if name not in hints:
            raise BadRequestError(f"{where} has the field {one_line(repr(name), _SHOWN)}, which nobody knows here.")
    missing = [f.name for f in attrs.fields(cls) if f.default is attrs.NOTHING and f.name not in given]
    if missing:
        raise BadRequestError(f"{where} lacks the field {missing[0]!r}.")
    return cls(**{name: read(hints[name], item, f"{where}.{name}") for name, item in given.items()})


@cache
def _hints(cls: type[Value]) -> dict[str, Any]:
    known = get_type_hints(cls, localns={"ChatportError": object})  # which is not kept, and not known here
    return {field.name: known[field.name] for field in attrs.fields(cls) if field.name not in _NOT_KEPT}


def _wrong(given: Any, wanted: str, where: str) -> Any:
    raise BadRequestError(f"{where} is {wanted}, not {kind_of(given)}.")
