"""`translate_tools` for DeepSeek: strictness is all or nothing, on the beta path only, and for a schema subset."""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import urlsplit

import attrs

from chatport import Adjustment, Call, Context, WireTools, hookimpl
from chatport.helpers import StrictRules, strict_misfits

__all__ = ["on_beta_path", "translate_tools"]

_STRICT = StrictRules(  # DS-T5, DS-T6
    barred=frozenset({"minLength", "maxLength", "minItems", "maxItems", "prefixItems", "allOf", "oneOf", "not", "if"})
    | {"patternProperties", "propertyNames", "contains", "uniqueItems", "dependentRequired", "dependentSchemas"},
    formats=frozenset({"email", "hostname", "ipv4", "ipv6", "uuid"}),
    typed=True,
)


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    """Keep `strict` where DeepSeek can honour it, for all tools at once; else take it off, with a warning (DS-T5)."""
    tools = yield
    if not any(tool.strict for tool in call.tools):
        return tools
    problem = _why_not_strict(call, context)
    sent = [
        {**tool, "function": {**tool["function"], "strict": True}} for tool in (tools.tools or ())[: len(call.tools)]
    ]
    if problem is not None:
        sent = [{**t, "function": {k: v for k, v in t["function"].items() if k != "strict"}} for t in sent]
        note = Adjustment("dropped", "tools.strict", problem, "DS-T5")
        tools = attrs.evolve(tools, adjustments=(*tools.adjustments, note))
    return attrs.evolve(tools, tools=[*sent, *call.server_tools])


def on_beta_path(path: str, base_url: str, *, beside_v1: bool = False) -> str | None:
    """Return the path that leads to the beta API from this base URL, None if there is none (DS-B2).

    `beside_v1`: look for it beside a "/v1" too, which is an alias of the bare host (DS-B1) and of other hosts as well.
    """
    base_path = urlsplit(base_url).path.rstrip("/")
    beside = {"/v1": f"/../beta{path}"} if beside_v1 else {}  # RFC 3986 section 5.2.4: "/v1/.." is the bare host
    return {"": f"/beta{path}", "/beta": path, **beside}.get(base_path)


def _why_not_strict(call: Call, context: Context) -> str | None:
    if on_beta_path("", context.base_url) is None:
        return "strict tools need the beta API: set base_url to the vendor's host, without /v1"
    if any(tool.strict is False for tool in call.tools):
        return "strict holds for all tools of a request or for none, and one of them says strict=False"
    for tool in call.tools:  # a schema is never rewritten: that would change its meaning
        problem = next(strict_misfits(tool.schema, _STRICT), None)
        if problem is not None:
            return f"the schema of {tool.name} is outside the strict subset: {problem}"
    return None
