"""Structured output where the vendor has no JSON Schema of its own: the steps of the ladder, strictest first.

`json_schema` as it is; a forced call of a tool whose parameters are the schema; `json_object` with the schema in the
system text; the system text alone. The reply is held against the schema in every case, by `Reply.parsed`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from .. import jsoncodec
from ..call import Call, Context, OutputSpec, WireRequest
from ..facts.rules import OutputRule, SchemaRule
from .reasoning import excludes_forced_call, reasons
from .tools import wire_name

__all__ = ["as_forced_tool", "fit_output", "say_json", "schema_in_words", "shape_output", "with_instruction"]

_WORDS = "Answer with one JSON value and nothing else, no Markdown."
_PLAIN = OutputRule()


def shape_output(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Return the request with its structured output in the strictest form that this model takes now, by its facts."""
    facts = context.facts
    rule = _PLAIN if facts.rules is None or facts.rules.output is None else facts.rules.output
    schemas = None if facts.rules is None else facts.rules.schemas
    if schemas is not None and schemas.object_root:
        wire = _with_object_root(wire, call, schemas)
    kind = _kind(wire)
    if not rule.beside_tools and kind not in (None, "text"):
        wire = _without_idle_tools(wire, rule)
    if kind not in ("json_schema", "json_object"):
        return wire
    formats, fact = facts.output_formats, rule.fact
    if rule.while_reasoning is not None and reasons(wire, context):
        formats, fact = rule.while_reasoning, rule.cite("while_reasoning")
    if not rule.beside_tools and wire.body.get("tools"):
        formats, fact = (), rule.cite("beside_tools")
    if formats is not None and kind not in formats:
        wire = _fallen_back(wire, call, formats, fact, context)
    if call.prefix is not None:
        if _kind(wire) == "json_schema":
            wire = schema_in_words(wire, _with_output(wire, call), None, _REST, rule.cite("prefix"))
        return wire.drop("response_format", _REST, rule.cite("prefix"))
    if schemas is not None and _kind(wire) == "json_schema":
        from .fitting import fit_output_schema  # most vendors take schemas as they are

        wire = fit_output_schema(wire, call, schemas)
    if not rule.strict and _kind(wire) == "json_schema":
        wire = _loose(wire, rule)
    if _kind(wire) is not None and rule.show_schema:
        wire = _shown(wire, call, rule)
    return say_json(wire, rule.cite("say_json")) if rule.say_json and _kind(wire) in rule.say_json_for else wire


def _without_idle_tools(wire: WireRequest, rule: OutputRule) -> WireRequest:
    """Leave out tools of which none may be called: they would cost the output its form."""
    if not wire.body.get("tools") or wire.body.get("tool_choice") != "none":
        return wire
    reason = "left out, as none may be called: structured output excludes them"
    return wire.discard("tools").discard("tool_choice").note("note", "tools", reason, rule.cite("beside_tools"))


_ANY_OBJECT = {"name": "object", "schema": {"type": "object"}}
_REST = "the rest of an answer is no JSON by itself"


def _fallen_back(wire: WireRequest, call: Call, formats: Collection[str], fact: str, context: Context) -> WireRequest:
    kind, facts = _kind(wire), context.facts
    reason = f"{context.model} takes no {kind} in this request"
    rule = None if facts.rules is None else facts.rules.output
    if kind == "json_object" and rule is not None and rule.any_object and "json_schema" in formats:
        wire = wire.set("response_format", {"type": "json_schema", "json_schema": _ANY_OBJECT})
        return wire.note("renamed", "response_format", "json_object is sent as a schema of any object", fact)
    if kind == "json_object" and _with_output(wire, call).output is None:
        told = f"{reason}: asked for in words, in a message"
        wire = wire.discard("response_format").note("lowered", "response_format", told, fact)
        if rule is not None and rule.say_json:  # it is asked for in words anyway, where the caller has not done so
            return say_json(wire, rule.cite("say_json"))
        return with_instruction(wire, "Answer with one JSON object and nothing else.")
    is_wanted = (rule is None or rule.forced_tool) and call.prefix is None and not excludes_forced_call(wire, context)
    choices = None if facts.rules is None or facts.rules.tools is None else facts.rules.tools.choices
    is_forced = facts.forced_tool_choice if choices is None else "named" in choices
    can_force = bool(is_wanted and facts.tools and is_forced)
    return fit_output(wire, call, formats, reason, fact, forced_tool=can_force)


def _loose(wire: WireRequest, rule: OutputRule) -> WireRequest:
    """Take strictness off a schema: the model follows it without being held to it."""
    wanted = wire.body["response_format"]
    spec = wanted.get("json_schema")
    if not isinstance(spec, Mapping) or not spec.get("strict"):
        return wire
    wanted = {**wanted, "json_schema": {**spec, "strict": False}}
    return wire.lower("response_format", wanted, "this model follows schemas, unenforced", rule.cite("strict"))


def _with_object_root(wire: WireRequest, call: Call, rule: SchemaRule) -> WireRequest:
    """Follow a reference at the root to the object there; what is no object is asked for in words."""
    if call.output is None or "response_format" in call.extra:
        return wire
    root = _root(call.output.schema)
    if root is None:
        reason = "a schema must be an object at its root"
        return schema_in_words(wire, call, None, reason, rule.cite("object_root"))
    wanted = wire.body["response_format"]
    return wire.set("response_format", {**wanted, "json_schema": {**wanted["json_schema"], "schema": root}})


def _root(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema as an object, None if it is none."""
    from .schemas import root_object  # a schema needs it, which most calls do not have

    return root_object(schema)


def _shown(wire: WireRequest, call: Call, rule: OutputRule) -> WireRequest:
    """Tell the model what it will be held to: it does not see the schema."""
    output = _with_output(wire, call).output
    fits = "" if output is None else f" It must fit this JSON Schema:\n{jsoncodec.encode_text(output.schema)}"
    if not fits:
        return say_json(wire, rule.cite("say_json"))
    wire = with_instruction(wire, f"{_WORDS}{fits}")
    return wire.note(
        "added", "messages", "the schema in words, since the model does not see it", rule.cite("show_schema")
    )


def _kind(wire: WireRequest) -> str | None:
    wanted = wire.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    return kind if isinstance(kind, str) else None


def fit_output(
    wire: WireRequest, call: Call, formats: Collection[str], reason: str, fact: str = "", *, forced_tool: bool = False
) -> WireRequest:
    """Return the request with the strictest form of its structured output that is taken here.

    `formats` are the `response_format` types that the model takes now. `forced_tool` says that it can be made to call
    a named tool; that step is left out where the call has tools of its own. A weaker form than asked for is a warning
    with `reason` and `fact`. Without a structured output the request is unchanged.
    """
    call = _with_output(wire, call)
    if call.output is None or "response_format" not in wire.body or "json_schema" in formats:
        return wire
    root = _root(call.output.schema) if forced_tool and not wire.body.get("tools") else None
    if root is not None:
        call = attrs.evolve(call, output=attrs.evolve(call.output, schema=root))
        return as_forced_tool(wire, call, reason, fact)
    return schema_in_words(wire, call, "json_object" if "json_object" in formats else None, reason, fact)


def _with_output(wire: WireRequest, call: Call) -> Call:
    """Return the call with the structured output that came by `extra`, where it has none of its own."""
    wanted = wire.body.get("response_format")
    if call.output is not None or not isinstance(wanted, Mapping):
        return call
    inner = wanted.get("json_schema")
    spec = inner if isinstance(inner, Mapping) else wanted  # older forms have the schema beside the type
    if wanted.get("type") != "json_schema" and not spec.get("schema"):
        return call
    return attrs.evolve(call, output=OutputSpec(spec.get("name") or "output", spec.get("schema") or {}))


def as_forced_tool(wire: WireRequest, call: Call, reason: str, fact: str = "") -> WireRequest:
    """Return the request with the schema as the parameters of a tool that must be called; its arguments are the text.

    Core turns the call back: the caller sees text and an ordinary end, in a stream too.
    """
    assert call.output is not None, "a structured output was asked for"
    name = wire_name(call.output.name)
    function = {"name": name, "description": "Give the answer in this form.", "parameters": call.output.schema}
    wire = wire.discard("response_format").update(
        {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    )
    wire = wire.note("lowered", "response_format", f"{reason}: asked for as the arguments of a forced tool call", fact)
    return attrs.evolve(wire, output_tool=name)


def schema_in_words(wire: WireRequest, call: Call, fallback: str | None, reason: str, fact: str = "") -> WireRequest:
    """Return the request with the schema in the system text, and a warning that it is no longer enforced.

    `fallback` is the `response_format` type that is left (`json_object`), None if there is none. Without a structured
    output in the call the request is unchanged.
    """
    if call.output is None or "response_format" not in wire.body:
        return wire
    schema = jsoncodec.encode_text(call.output.schema)
    wire = with_instruction(wire, f"{_WORDS} It must fit this JSON Schema:\n{schema}")
    reason = f"{reason}: the schema stands in a system message"
    if fallback is not None:
        return wire.lower("response_format", {"type": fallback}, reason, fact)
    return wire.discard("response_format").note("lowered", "response_format", reason, fact)


def say_json(wire: WireRequest, fact: str = "") -> WireRequest:
    """Return the request with a word on JSON, for vendors that refuse `json_object` unless a message has the word."""
    asked = [message.get("content") for message in wire.body["messages"] if message.get("role") in ("system", "user")]
    if "json" in jsoncodec.encode_text(asked).lower():
        return wire
    wire = with_instruction(wire, "Answer in JSON.")
    return wire.note("added", "messages", "JSON is to be asked for in a message too", fact)


def with_instruction(wire: WireRequest, text: str) -> WireRequest:
    """Return the request with a text at the end of its first system message, or as one where there is none.

    At the end, so that the beginning stays what a vendor may have cached.
    """
    messages: list[Mapping[str, Any]] = list(wire.body["messages"])
    if not messages or messages[0].get("role") != "system":
        return wire.set("messages", [{"role": "system", "content": text}, *messages])
    content = messages[0].get("content") or ""
    longer = f"{content}\n\n{text}" if isinstance(content, str) else [*content, {"type": "text", "text": text}]
    return wire.set("messages", [{**messages[0], "content": longer}, *messages[1:]])
