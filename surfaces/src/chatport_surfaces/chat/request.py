"""A request of chat completions, read into a call. Its words are the core's own, so most of it goes on as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import BadRequestError, Message, OutputSpec, TextPart, ToolCall

from ..bodies import model_of, object_of
from ..sealing import Seal, Sealed
from ..surface import Asked, ClientRequest, SurfaceContext

__all__ = ["STATE_FORMAT", "read"]

STATE_FORMAT = "chatport-v1"
"""The format of our own entries among the `reasoning_details` of a message: what its vendor wants back, sealed."""

_OPTIONS = {
    "tools": "tools",
    "tool_choice": "tool_choice",
    "temperature": "temperature",
    "top_p": "top_p",
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "stop": "stop",
    "seed": "seed",
    "reasoning_effort": "reasoning",
}
"""Fields that are options of a call; of two for one the first counts. All others are `extra`."""
_OF_ANSWERS = frozenset({"annotations", "images", "parsed"})
"""Members that an answer has and no request: a client that keeps whole messages sends them too."""
_OF_THOUGHTS = frozenset({"effort", "max_tokens", "summary"})
"""What the object `reasoning` of newer clients may have to be read here: it asks for what the options say too, and
thoughts are shown in any case. One that says more goes to the vendor as it is."""
_READ = frozenset({"model", "messages", "stream", "stream_options", "response_format", *_OPTIONS})


def read(request: ClientRequest, context: SurfaceContext) -> Asked:
    """Return the call that a request asks for. Raises BadRequestError."""
    body = object_of(request)
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise BadRequestError("messages is a list.")
    options: dict[str, Any] = {}
    for field, option in _OPTIONS.items():
        if body.get(field) is not None:
            options.setdefault(option, body[field])
    if not options.get("tools", True):
        del options["tools"]
    extra = {name: value for name, value in body.items() if name not in _READ and value is not None}
    thoughts = extra.get("reasoning")
    if isinstance(thoughts, Mapping) and thoughts.keys() <= _OF_THOUGHTS:
        del extra["reasoning"]
        effort = thoughts.get("effort") or thoughts.get("max_tokens")
        options |= {} if effort is None else {"reasoning": options.get("reasoning", effort)}
    output = body.get("response_format")
    if isinstance(output, Mapping) and isinstance(output.get("json_schema"), Mapping):
        options["output"] = _output(output["json_schema"])
    elif output is not None:
        extra["response_format"] = output
    stream_options = body.get("stream_options")
    if isinstance(stream_options, Mapping):
        rest = {name: value for name, value in stream_options.items() if name != "include_usage"}
        extra |= {"stream_options": rest} if rest else {}
    return Asked(
        "chat",
        model_of(body),
        [_message(message, context.seal) for message in messages],
        options | ({"extra": extra} if extra else {}),
        stream=bool(body.get("stream")),
        body=body,
    )


def _output(given: Mapping[str, Any]) -> OutputSpec:
    schema = given.get("schema")
    if not isinstance(schema, Mapping):
        raise BadRequestError("response_format.json_schema.schema is a JSON Schema.")
    return OutputSpec(str(given.get("name") or "output"), schema, bool(given.get("strict", False)))


def _message(message: Any, seal: Seal) -> Any:
    """Return a message as it came, or, where a client brings back what its vendor wants, as a value with that."""
    if isinstance(message, Mapping) and not message.keys().isdisjoint(_OF_ANSWERS):
        message = {name: value for name, value in message.items() if name not in _OF_ANSWERS}
    details = message.get("reasoning_details") if isinstance(message, Mapping) else None
    if not isinstance(details, Sequence) or isinstance(details, str):
        return message
    ours = [entry for entry in details if isinstance(entry, Mapping) and Seal.is_sealed(entry.get("data"))]
    if not ours:
        return message
    rest = {**message, "reasoning_details": [entry for entry in details if entry not in ours] or None}
    sealed = seal.open(ours[-1]["data"])
    return rest if sealed is None else _with_state(rest, sealed)


def _with_state(message: Mapping[str, Any], sealed: Sealed) -> Message:
    content, calls = message.get("content"), message.get("tool_calls") or ()
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
    return Message(
        "assistant",
        tuple([TextPart(str(part.get("text") or "")) for part in parts if part.get("text")]),
        tuple([_call(call, sealed) for call in calls]),
        refusal=message.get("refusal"),
        reasoning=message.get("reasoning_content") or message.get("reasoning"),
        origin=sealed.origin,
        opaque=sealed.opaque,
    )


def _call(call: Mapping[str, Any], sealed: Sealed) -> ToolCall:
    function, call_id = call.get("function") or {}, str(call.get("id") or "")
    arguments = function.get("arguments") or "{}"
    return ToolCall(call_id, str(function.get("name") or ""), arguments, extra=sealed.calls.get(call_id, {}))
