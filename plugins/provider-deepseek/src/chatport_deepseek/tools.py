"""`translate_tools` for DeepSeek: strictness is all or nothing, on the beta path only, and for a schema subset."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from chatport import Adjustment, Call, Context, WireTools, hookimpl

__all__ = ["on_beta_path", "translate_tools"]

_BEYOND_STRICT = ("minLength", "maxLength", "minItems", "maxItems", "allOf", "oneOf", "patternProperties")
_STRICT_FORMATS = ("email", "hostname", "ipv4", "ipv6", "uuid")  # DS-T6


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    """Keep `strict` where DeepSeek can honour it, for all tools at once; else take it off, with a warning (DS-T5)."""
    tools = yield
    if not any(tool.strict for tool in call.tools):
        return tools
    problem = _why_not_strict(call, context)
    functions = [{**tool["function"], "strict": True} for tool in tools.tools or ()]
    if problem is not None:
        functions = [{k: v for k, v in function.items() if k != "strict"} for function in functions]
        note = Adjustment("dropped", "tools.strict", problem, "DS-T5")
        tools = attrs.evolve(tools, adjustments=(*tools.adjustments, note))
    return attrs.evolve(tools, tools=[{"type": "function", "function": function} for function in functions])


def on_beta_path(path: str, base_url: str) -> str | None:
    """Return the path that leads to the beta API from this base URL, None if there is none (DS-B2)."""
    base_path = urlsplit(base_url).path.rstrip("/")
    return {"": f"/beta{path}", "/beta": path}.get(base_path)


def _why_not_strict(call: Call, context: Context) -> str | None:
    if on_beta_path("", context.base_url) is None:
        return "strict tools need the beta API: set base_url to the vendor's host, without /v1"
    if any(tool.strict is False for tool in call.tools):
        return "strict holds for all tools of a request or for none, and one of them says strict=False"
    for tool in call.tools:
        problem = next(_misfits(tool.schema), None)
        if problem is not None:
            return f"the schema of {tool.name} is outside the strict subset: {problem}"
    return None


def _misfits(schema: Any) -> Iterator[str]:
    """Give what keeps a schema out of the strict subset. A schema is never rewritten: that would change its meaning."""
    if not isinstance(schema, Mapping):
        return
    yield from (keyword for keyword in _BEYOND_STRICT if keyword in schema)
    if schema.get("type") == "string" and schema.get("format", "email") not in _STRICT_FORMATS:
        yield f"format {schema['format']}"
    properties = schema.get("properties") or {}
    if schema.get("type") == "object" or properties:
        if schema.get("additionalProperties") is not False:
            yield "additionalProperties is not false"
        if set(properties) - set(schema.get("required") or ()):
            yield "a property is not required"
    nested = [*properties.values(), schema.get("items"), *(schema.get("anyOf") or ())]
    for part in (*nested, *(schema.get("$defs") or {}).values()):
        yield from _misfits(part)
