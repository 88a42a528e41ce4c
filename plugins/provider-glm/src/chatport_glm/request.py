"""`shape_request` for GLM: plain text where parts get lost, no choice of tools, no schemas, its own words for users."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, WireTools, hookimpl
from chatport.standard.output import fit_output, with_instruction

from .thinking import switched

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, tools: WireTools, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wire = _fields(wire)
    for number, message in enumerate(wire.body["messages"]):
        wire = _message(wire, number, message, context)
    wire = switched(wire, call, context.facts)
    return _output(_tools(wire, tools.names, context), call, context)


def _fields(wire: WireRequest) -> WireRequest:
    """Do what hangs on a value or on another field; the rest are rules of the dialect."""
    model, user = wire.body["model"], wire.body.get("user")
    if model.endswith("[1m]"):  # GL-X6
        wire = wire.set("model", model[:-4]).note("renamed", "model", "[1m] belongs to the Anthropic path", "GL-X6")
    if wire.body.get("do_sample") is False:
        for field in ("temperature", "top_p"):
            wire = wire.drop(field, "ignored when do_sample is false", "GL-P5")
    if "user_id" in wire.body or not (isinstance(user, str) and 6 <= len(user) <= 128):
        return wire.drop("user", "a user id has 6 to 128 characters, and goes into user_id", "GL-P12")
    return wire.rename("user", "user_id", fact="GL-P12")


# --- messages


def _message(wire: WireRequest, number: int, message: Mapping[str, Any], context: Context) -> WireRequest:
    place, content, changed = f"messages[{number}]", message.get("content"), dict(message)
    if changed.pop("name", None) is not None:
        wire = wire.note("dropped", f"{place}.name", "messages have no names here", "GL-P14")
    if message["role"] in ("assistant", "tool") and not isinstance(content, str):
        parts = content or []
        if any(part.get("type") != "text" for part in parts):  # GL-P15, GL-X1
            raise UnsupportedFeatureError(
                f"{place}: a {message['role']} message is only text here; anything else is lost unseen (GL-P15).",
                provider=context.provider.name,
                model=context.model,
            )
        changed["content"] = "".join(part["text"] for part in parts)
        if parts:
            wire = wire.note("dropped", f"{place}.content", "sent as plain text, without marks on its parts", "GL-P15")
    elif context.facts.quirks.get("bare_base64") and isinstance(content, list):
        changed["content"] = [_bare(part) for part in content]
    messages = wire.body["messages"]
    return wire.set("messages", [*messages[:number], changed, *messages[number + 1 :]])


def _bare(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an inline image without the beginning of its data URL, as the oldest vision models want it (GL-M2)."""
    url = (part.get("image_url") or {}).get("url", "")
    return {**part, "image_url": {"url": url.partition(",")[2]}} if url.startswith("data:") else part


# --- tools and output


def _tools(wire: WireRequest, names: Mapping[str, str], context: Context) -> WireRequest:
    """Say `none` and a name by the list of tools itself, and a forced call in words: there is only auto (GL-T2)."""
    tools, choice = wire.body.get("tools"), wire.body.get("tool_choice", "auto")
    if not tools:
        return wire
    if choice == "none":
        return wire.discard("tools").discard("tool_choice")
    for name in [_name(tool) for tool in tools if (tool.get("function") or {}).get("strict")]:
        wire = wire.note("dropped", f"tools.{names.get(name, name)}.strict", "there are no strict tools here", "GL-T3")
    tools = [_loose(tool) for tool in tools]
    if choice != "auto":
        named = _name(choice) if isinstance(choice, Mapping) else None
        tools = [tool for tool in tools if named in (None, _name(tool))]
        reason = "there is only auto here: asked for in words" + (", with this tool alone" if named else "")
        wire = wire.lower("tool_choice", "auto", reason, "GL-T2")
        which = f"the tool {named}" if named else "one of the tools"
        wire = with_instruction(wire, f"Answer by calling {which}, not with text.")
    if wire.stream and context.facts.quirks.get("tool_stream") and "tool_stream" not in wire.body:  # GL-S5
        wire = wire.set("tool_stream", True)
    return wire.set("tools", tools)


def _name(tool: Mapping[str, Any]) -> Any:
    return (tool.get("function") or {}).get("name")


def _loose(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool without `strict` (GL-T3); other kinds than functions are left alone (GL-T1)."""
    if "function" not in tool:
        return tool
    return {**tool, "function": {name: value for name, value in tool["function"].items() if name != "strict"}}


def _output(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Put the schema into words (GL-J1, GL-J2, GL-X8); vision models have no JSON mode either."""
    wanted, formats = wire.body.get("response_format"), context.facts.output_formats or ()
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind == "json_schema":
        reason = "no schemas here: the schema is in the system text" + (", in JSON mode" if formats else "")
        return fit_output(wire, call, formats, reason, "GL-J1")
    if kind == "json_object" and "json_object" not in formats:
        wire = with_instruction(wire, "Answer with one JSON object and nothing else.")
        return wire.drop("response_format", "this model has no JSON mode: asked for in words", "GL-J1")
    return wire
