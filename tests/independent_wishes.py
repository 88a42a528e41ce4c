"""What a caller wishes, read off a recorded request by the plainest means, and whether a request says it still.

Nothing here knows how Chatport shapes a request: a body is taken apart into wishes (a text, an image, a call, a tool,
an option), and each of them must stand in the body that is sent, or a note must speak of its field.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

OPTIONS = ("temperature", "top_p", "seed", "stop", "tools", "tool_choice")
LIMITS = ("max_completion_tokens", "max_tokens")
READ = {"messages", "model", "stream", "response_format", "reasoning_effort", *OPTIONS, *LIMITS}

NOT_COMPARED = ("messages", "tools", "model", "stream", "reasoning_effort", "tool_choice")
"""What is compared in another way; how an effort is said is each vendor's own, and looked at in its own tests."""

MATTERS_OF_COURSE: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "temperature": (1,),
    "top_p": (1,),
    "logprobs": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "parallel_tool_calls": (True,),
    "store": (False,),
    "stream_options": ({"include_usage": True},),
    "tool_choice": ("auto",),
    "response_format": ({"type": "text"},),
}
"""What means no more than to leave the field out."""


class Wish(NamedTuple):
    """One thing that the caller wants. `field` is the field of the body in which it stands."""

    field: str
    what: str


def caller_of(body: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the messages and the options with which a caller would have asked for this."""
    options = {name: body[name] for name in OPTIONS if body.get(name) not in (None, [])}
    limit = next((body[name] for name in LIMITS if body.get(name) is not None), None)
    if limit is not None:
        options["max_tokens"] = limit
    extra = {name: value for name, value in body.items() if name not in READ and value is not None}
    wanted = body.get("response_format") or {}
    schema = (wanted.get("json_schema") or {}).get("schema") if wanted.get("type") == "json_schema" else None
    if isinstance(schema, dict):
        options["output"] = schema
    elif wanted:
        extra["response_format"] = wanted
    effort = body.get("reasoning_effort")
    if isinstance(effort, str):
        options["reasoning"] = effort
    elif effort is not None:
        extra["reasoning_effort"] = effort
    return body["messages"], {**options, **({"extra": extra} if extra else {})}


def untold(body: Mapping[str, Any], sent: Mapping[str, Any], notes: Iterable[Any]) -> list[Wish]:
    """Return the wishes that the sent body does not say, and of whose field no note speaks."""
    told = {field for note in notes for field in fields_of(note)}
    return [wish for wish in missing(body, sent) if wish.field not in told]


def missing(body: Mapping[str, Any], sent: Mapping[str, Any]) -> list[Wish]:
    """Return the wishes that the sent body does not say: what is missing, or is there in another form."""
    rest = Counter(wishes(body)) - Counter(wishes(sent))
    more = Counter(wishes(sent)) - Counter(wishes(body))
    changed = [Wish("messages", f"added: {wish.what}") for wish in more if wish.field == "messages"]
    return [*(wish for wish in rest if not _is_said(wish, sent)), *changed]


def fields_of(note: Any) -> Iterator[str]:
    """Give the fields of the body that a note speaks of."""
    first = note.field.partition(".")[0].partition("[")[0]
    yield {"output": "response_format"}.get(first, first)
    if "message" in note.reason:
        yield "messages"
    if "tools" in note.reason or "only tool" in note.reason:
        yield "tools"
    if first in (*LIMITS, "max_output_tokens"):
        yield "max_tokens"


def wishes(body: Mapping[str, Any]) -> Iterator[Wish]:
    """Give all that a body asks for."""
    yield from (Wish("messages", what) for what in said(body.get("messages") or ()))
    for tool in body.get("tools") or ():
        yield Wish("tools", _tool(tool))
    for name, value in body.items():
        if name in LIMITS and value is not None:
            yield Wish("max_tokens", _json(value))
        elif name == "stop" and value is not None:
            yield Wish("stop", _json([value] if isinstance(value, str) else value))
        elif name == "tool_choice" and value is not None:
            yield Wish(name, _json(_choice(value)))
        elif name == "response_format" and isinstance(value, dict) and value.get("type") == "json_schema":
            yield Wish(name, "a schema")  # which form of it is taken, other tests look at
        elif name not in NOT_COMPARED and value is not None:
            yield Wish(name, _json(value))


def _is_said(wish: Wish, sent: Mapping[str, Any]) -> bool:
    """Whether a wish is granted without a word of it, or in another place."""
    of_course = (_json(value) for value in MATTERS_OF_COURSE.get(wish.field, ()))
    if wish.what in of_course and wish.field not in sent:
        return True
    if wish.field == "response_format" and wish.what == "a schema":
        return bool(sent.get("tools"))  # it is the form of a tool that must be called
    return wish.field == "stream_options" and not sent.get("stream")


# --- messages


def said(messages: Iterable[Any]) -> Iterator[str]:
    """Give what is said, in order: texts of one side that follow each other as one, and each part, call and result."""
    role, texts = "", ""
    for who, what in _pieces(messages):
        if (who, what[:5]) == (role, "text "):
            texts += what[5:]
            continue
        if texts:
            yield f"{role} text {texts}"
        role, texts = (who, what[5:]) if what.startswith("text ") else ("", "")
        if not what.startswith("text "):
            yield f"{who} {what}"
    if texts:
        yield f"{role} text {texts}"


def _pieces(messages: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for message in messages:
        role = {"developer": "system"}.get(message.get("role"), message.get("role"))
        content = message.get("content")
        if role == "tool":
            role = f"tool {message.get('tool_call_id')}"
        for part in [content] if isinstance(content, str) else content or ():
            what = _part(part)
            if what != "text ":
                yield role, what
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            yield role, f"call {call.get('id')} {function.get('name')} {_arguments(function.get('arguments'))}"
        own = message.keys() - {"role", "content", "tool_call_id", "tool_calls", "reasoning", "reasoning_content"}
        for key in sorted(own):
            if message[key] not in (None, [], ""):
                yield role, f"{key} {_json(message[key])}"


def _part(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else "text"
    if kind in ("text", "refusal"):
        text = part if isinstance(part, str) else part.get(kind) or ""
        return f"text {''.join(text.split())}"  # how texts are joined is not the caller's wish
    inner = part.get(kind)
    if kind == "image_url":
        inner = inner.get("url") if isinstance(inner, dict) else inner
    return f"{kind} {_json(inner if kind in ('image_url', 'input_audio', 'file') else part)}"


def _arguments(arguments: Any) -> str:
    try:
        return _json(json.loads(arguments) if isinstance(arguments, str) else arguments or {})
    except ValueError:
        return str(arguments)


# --- tools and values


def _tool(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type", "function") == "function" else None
    if not isinstance(function, dict):
        return _json(tool)
    schema = _untitled(function.get("parameters")) or {"type": "object", "properties": {}}
    return _json([function.get("name"), function.get("description") or "", schema])


def _untitled(schema: Any) -> Any:
    """Leave the titles out of a schema: comments, by which no model is bound."""
    if isinstance(schema, dict):
        kept = schema.items()
        return {key: _untitled(value) for key, value in kept if not (key == "title" and isinstance(value, str))}
    return [_untitled(item) for item in schema] if isinstance(schema, list) else schema


def _choice(choice: Any) -> Any:
    return {"type": "function", **choice} if isinstance(choice, dict) and choice.keys() == {"function"} else choice


def _json(value: Any) -> str:
    return json.dumps(_numbers(value), sort_keys=True, ensure_ascii=False)


def _numbers(value: Any) -> Any:
    """Write 1.0 as 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list) else value
