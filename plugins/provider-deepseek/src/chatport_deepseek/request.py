"""`shape_request` for DeepSeek: the standard body, less what it ignores or refuses."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl
from chatport.call import OutputSpec
from chatport.standard.output import fit_output, say_json  # words at the end: the cached prefix stays (DS-U2)

from . import thinking
from .tools import on_beta_path

__all__ = ["shape_request"]

_USER_ID = re.compile(r"[A-Za-z0-9_-]{1,512}")


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    """Shape the standard request for DeepSeek. The thinking switch comes before what depends on it."""
    wire = yield
    wire = thinking.switched(_messages(_fields(wire), context), call, context)
    wire = _tools(_structured(wire, call, context), context)
    wire = thinking.without_conflict(_continued(wire, call, context), call, context)
    return thinking.history(thinking.sampling(wire, context), context)


# --- fields


def _fields(wire: WireRequest) -> WireRequest:
    """Settle what depends on the value or on another field; the rest are rules of the dialect."""
    user = wire.body.get("user")
    if "user_id" in wire.body or not (isinstance(user, str) and _USER_ID.fullmatch(user)):
        wire = wire.drop("user", "a user id has letters, digits, _ and -, and goes into user_id", "DS-P14")
    wire = wire.rename("user", "user_id", fact="DS-P14")
    if not wire.stream:
        wire = wire.drop("stream_options", "refused on a call that does not stream", "DS-P10")
    if "top_logprobs" in wire.body and not wire.body.get("logprobs"):
        wire = wire.add("logprobs", True, "top_logprobs is refused without it", "DS-P9")
    return wire


# --- messages and tools


def _messages(wire: WireRequest, context: Context) -> WireRequest:
    return wire.set("messages", [_message(message, context) for message in wire.body["messages"]])


def _message(message: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """Join parts that are all text (DS-P17, DS-X3): marks on them, such as for caches, mean nothing here (DS-U2)."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    if all(part.get("type") == "text" for part in content):
        return {**message, "content": "".join(part["text"] for part in content)}
    return {**message, "content": [_file_part(part, context) for part in content]}


def _file_part(part: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """Put the id of an uploaded image where DeepSeek looks for it; it reads no documents (DS-M1, DS-M2)."""
    if part.get("type") != "file":
        return part
    file_id = part["file"].get("file_id")
    if file_id is None:
        raise UnsupportedFeatureError(
            "DeepSeek takes no documents: a file part must be the file_id of an uploaded image (DS-M2).",
            provider=context.provider.name,
            model=context.model,
        )
    return {"type": "file", "file_id": file_id}


def _tools(wire: WireRequest, context: Context) -> WireRequest:
    tools = wire.body.get("tools") or []
    functions = [tool for tool in tools if tool.get("type") == "function"]
    if len(functions) < len(tools):  # DS-T1, DS-X4: one such tool fails the whole request
        kinds = ", ".join(sorted({str(tool.get("type")) for tool in tools if tool not in functions}))
        wire = wire.set("tools", functions).note("dropped", "tools", f"only functions, not {kinds}", "DS-T1")
    if not functions:
        return wire.discard("tools").discard("tool_choice")  # DS-T9
    beta = on_beta_path(wire.path, context.base_url)
    if beta not in (None, wire.path) and any(tool["function"].get("strict") for tool in functions):
        wire = attrs.evolve(wire, path=str(beta))
        return wire.note("note", "tools.strict", "sent to the beta API, where strict tools are", "DS-T5")
    return wire


# --- structured output, and answers that go on


def _structured(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    wanted = wire.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind == "json_object":
        return say_json(wire, "DS-J2")
    if kind != "json_schema":
        return wire
    spec = wire.body["response_format"]["json_schema"]
    call = attrs.evolve(call, output=OutputSpec(spec.get("name", "answer"), spec.get("schema", {})))
    formats = context.facts.output_formats or ()
    can_force = call.prefix is None and not thinking.is_on(wire, context)  # DS-T3
    return fit_output(wire, call, formats, "no schemas on the chat API", "DS-J1", forced_tool=can_force)


def _continued(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Send the beginning of an answer to the beta API, which alone goes on from one (DS-P18)."""
    if call.prefix is None:
        return wire
    beta = on_beta_path(context.provider.dialect.chat_path, context.base_url, beside_v1=True)
    if beta is None:
        raise UnsupportedFeatureError(
            f"DeepSeek goes on from the beginning of an answer on its beta API, and none is known for "
            f"{context.base_url} (DS-P18).",
            provider=context.provider.name,
            model=context.model,
        )
    wire = wire.drop("response_format", "the rest of an answer is no JSON by itself", "DS-P18")  # DS-J3: else blanks
    return attrs.evolve(wire, path=beta)
