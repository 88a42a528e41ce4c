"""What is wrong with a schema itself: looked for where a hook could not cope with one, to blame the right side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import jsoncodec
from ..call import Call
from ..schemas.keywords import KINDS, MAPPINGS, MOST_LEVELS

__all__ = ["fault_of", "first_fault"]


def fault_of(call: Call) -> str | None:
    """Return the first fault in the schemas of a call, with its place; None if they are sound."""
    given: list[tuple[str, Any]] = [(f"tools.{tool.name}.parameters", tool.schema) for tool in call.tools]
    if call.output is not None:
        given.append(("output", call.output.schema))
    wanted = call.extra.get("response_format")
    spec = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    if isinstance(spec, Mapping) and "schema" in spec:
        given.append(("extra.response_format.json_schema.schema", spec["schema"]))
    return next(filter(None, (first_fault(schema, field) for field, schema in given)), None)


def first_fault(schema: Any, field: str) -> str | None:
    """Return the first fault of a schema: a keyword with a value of the wrong kind, too many levels, or no JSON."""
    if type(schema) is bool:
        return f"{field} must be an object, not {type(schema).__name__}"
    seen: set[int] = set()
    waiting = [(schema, field, 0)]
    while waiting:
        node, path, level = waiting.pop()
        if type(node) is bool or id(node) in seen:
            continue
        if not isinstance(node, MAPPINGS):
            return f"{path} must be a schema, not {type(node).__name__}"
        if level > MOST_LEVELS:
            return f"{field} is nested in more than {MOST_LEVELS} levels of schemas"
        seen.add(id(node))
        for keyword, value in node.items():
            if not isinstance(keyword, str):
                return f"{path} has the keyword {keyword!r}, which is no text"
            words, takes = KINDS.get(keyword, ("", None))
            if takes is not None and not takes(value):
                return f"{path}.{keyword} must be {words}"
        waiting.extend((part, place, level + 1) for place, part in reversed([*_parts(node, path)]))
    return _why_no_json(schema, field)


def _parts(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for keyword, value in node.items():
        words = KINDS.get(keyword, ("", None))[0]
        if words == "an object of schemas by name":
            yield from ((f"{path}.{keyword}.{name}", part) for name, part in value.items())
        elif "schema" in words and isinstance(value, list | tuple):
            yield from ((f"{path}.{keyword}[{number}]", part) for number, part in enumerate(value))
        elif "schema" in words:
            yield f"{path}.{keyword}", value


def _why_no_json(schema: Any, field: str) -> str | None:
    try:
        jsoncodec.encode(schema)
    except RecursionError:
        return f"{field} has a value that is nested too deeply"
    except Exception as error:
        return f"{field} cannot be written as JSON: {error}"
    return None
