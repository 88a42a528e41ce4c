"""`shape_request` for DeepSeek: the standard body, less what it ignores or refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl
from chatport.standard.output import with_instruction  # at the end: the cached prefix stays (DS-U2)

from . import thinking
from .tools import on_beta_path

__all__ = ["shape_request"]

_IGNORED: Mapping[str, tuple[str, str]] = {
    "seed": ("DeepSeek has no seed and ignores it", "DS-P2"),
    "n": ("DeepSeek writes one answer for each request", "DS-P2"),
    "top_k": ("DeepSeek has no top_k and ignores it", "DS-P2"),
    "logit_bias": ("DeepSeek has no logit_bias and ignores it", "DS-P2"),
    "metadata": ("DeepSeek keeps no metadata", "DS-P2"),
    "store": ("DeepSeek keeps no conversation", "DS-N3"),
    "frequency_penalty": ("deprecated: accepted, without effect", "DS-P7"),
    "presence_penalty": ("deprecated: accepted, without effect", "DS-P7"),
    "parallel_tool_calls": ("parallel calls cannot be switched off", "DS-T8"),
}
_SAME_AS_DEFAULT = {"n": 1, "parallel_tool_calls": True}
_USER_ID = re.compile(r"[A-Za-z0-9_-]{1,512}")


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    """Shape the standard request for DeepSeek. The thinking switch comes before what depends on it."""
    wire = yield
    wire = _messages(_without_ignored(_renamed(wire)), context)
    wire = _structured(_tools(wire, context), context)
    wire = thinking.without_conflict(thinking.switched(wire, call, context), call, context)
    return thinking.history(thinking.sampling(wire, context), context)


# --- fields


def _renamed(wire: WireRequest) -> WireRequest:
    if "max_tokens" in wire.body:
        wire = wire.drop("max_completion_tokens", "max_tokens is given too, and only it has an effect", "DS-P3")
    wire = wire.rename("max_completion_tokens", "max_tokens", "sent as max_tokens: this name limits nothing", "DS-P3")
    user = wire.body.get("user")
    if "user_id" in wire.body or not (isinstance(user, str) and _USER_ID.fullmatch(user)):
        return wire.drop("user", "a user id has letters, digits, _ and -, and goes into user_id", "DS-P14")
    return wire.rename("user", "user_id", fact="DS-P14")


def _without_ignored(wire: WireRequest) -> WireRequest:
    """Drop what is accepted and does nothing (DS-P1, DS-P2, DS-P7), so that nobody relies on it."""
    for field, value in _SAME_AS_DEFAULT.items():
        wire = wire.discard(field) if wire.body.get(field) == value else wire
    for field, (reason, fact) in _IGNORED.items():
        wire = wire.drop(field, reason, fact)
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


# --- structured output


def _structured(wire: WireRequest, context: Context) -> WireRequest:
    wanted = wire.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind == "json_schema" and "json_schema" not in (context.facts.output_formats or ()):
        schema = json.dumps((wanted or {})["json_schema"].get("schema", {}), ensure_ascii=False)
        wire = with_instruction(
            wire, f"Answer with one JSON value that fits this JSON Schema, and nothing else:\n{schema}"
        )
        reason = "no schemas here: sent as json_object, with the schema in the system text"
        return wire.lower("response_format", {"type": "json_object"}, reason, "DS-J1")
    if kind == "json_object" and not any("json" in _text(m).lower() for m in wire.body["messages"]):
        wire = with_instruction(wire, "Answer in JSON.")
        return wire.note("added", "messages", "JSON output is refused unless a message says the word", "DS-J2")
    return wire


def _text(message: Mapping[str, Any]) -> str:
    return json.dumps(message.get("content")) if message["role"] in ("system", "user") else ""
