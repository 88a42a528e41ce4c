"""Requests of any shape, for the emulators: what a client could send, with anything at all in any place of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from chatport.testing import EmulatedRequest, EmulatedResponse, Emulator

__all__ = ["check_answer", "plausible", "post", "requests"]

_SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "string"},
        "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "c": {"$ref": "#/$defs/x"},
        "d": {"type": "array", "items": {"enum": ["x"]}},
    },
    "required": ["a", "b", "c", "d"],
    "additionalProperties": False,
    "$defs": {"x": {"type": "number"}},
}
_TOOL = {"type": "function", "function": {"name": "look", "strict": True, "parameters": _SCHEMA}}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
_HISTORY = [
    {"role": "system", "content": 'Answer in json. JSON Schema:\n{"type": "object", "properties": {}}'},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "so", "reasoning_content": "hm", "reasoning_details": [], "tool_calls": [_CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
]
_SAID = {"role": "user", "content": "think: so\nsay: json"}
_PARTS = [
    {"type": "text", "text": "say: json"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    {"type": "video_url", "video_url": {"url": "https://x.example/v"}},
]
_FIELDS: Sequence[Mapping[str, Any]] = (
    {
        "tools": [_TOOL, {"type": "web_search"}], "tool_choice": "auto", "temperature": 1, "top_p": 0.9, "seed": 1,
        "stream": True, "stream_options": {"include_usage": True}, "stop": ["x"], "max_tokens": 50,
    },
    {
        "tools": [_TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}, "n": 1,
        "parallel_tool_calls": True, "max_completion_tokens": 99, "reasoning_effort": "low", "metadata": {"a": "b"},
    },
    {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": _SCHEMA}},
        "logprobs": True, "top_logprobs": 2, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "reasoning": {"effort": "low"}, "chat_template_kwargs": {"enable_thinking": True}, "enable_thinking": True,
        "thinking_budget": 200, "provider": {"order": ["x"]}, "presence_penalty": 0.1, "min_p": 0.1, "top_k": 3,
    },
    {
        "response_format": {"type": "json_object", "schema": {"type": "object"}}, "stream": True,
        "request_id": "123456", "structured_outputs": {"json": {"type": "object"}},
        "include_reasoning": False,
    },
)  # fmt: skip
_NATIVE: Mapping[str, Any] = {
    "max_tokens": 3000,
    "system": [{"type": "text", "text": "s"}],
    "tools": [{"name": "look", "input_schema": _SCHEMA, "strict": True}, {"type": "web_search_1", "name": "search"}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"format": {"type": "json_schema", "schema": _SCHEMA}},
    "stop_sequences": ["x"],
    "stream": True,
}
_NATIVE_TURNS = [
    {"role": "user", "content": "hello"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "so", "signature": "E" + "a" * 120},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "seen"}]},
]
_HEADERS = {"authorization": "Bearer k", "x-api-key": "k", "anthropic-version": "2023-06-01"}


def post(emulator: Emulator, body: Any, path: str = "/v1/chat/completions") -> EmulatedResponse:
    """Return the answer to a body, given as a value or as bytes. Raises whatever the emulator does."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return emulator.vendor.respond(EmulatedRequest("POST", path, _HEADERS, content))


def plausible(emulator: Emulator) -> list[tuple[str, dict[str, Any]]]:
    """Return requests that reach as much of an emulator as they can: of each rich one what it takes, and the whole."""
    found = []
    for model in {emulator.vendor.models[0]: 0, emulator.vendor.models[-1]: 0}:
        for path, rich in _rich(model):
            found += [(path, rich), (path, _taken(emulator, path, rich))]
    return found


def _rich(model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for fields in _FIELDS:
        yield "/v1/chat/completions", {"model": model, "messages": [*_HISTORY, _SAID], **fields}
        yield "/beta/chat/completions", {"model": model, "messages": [{"role": "user", "content": _PARTS}], **fields}
        begun = {"role": "assistant", "content": "js", "prefix": True, "partial": True}
        yield "/v1/chat/completions", {"model": model, "messages": [_SAID, begun], **fields}
    call = {"role": "user", "content": 'call: look {"a": 1}\ncall: look'}
    yield "/v1/chat/completions", {"model": model, "messages": [call], "tools": [_TOOL], "tool_choice": "required"}
    for messages in (_NATIVE_TURNS, [_SAID]):
        yield "/v1/messages", {"model": model, "messages": messages, **_NATIVE}
    yield "/v1/embeddings", {"model": model, "input": ["a", "b"], "dimensions": 8}


def _taken(emulator: Emulator, path: str, rich: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an emulator takes of a request: field by field, message by message."""

    def takes(body: Mapping[str, Any]) -> bool:
        return post(emulator, body, path).status < 300

    messages = rich.get("messages", [])
    taken: dict[str, Any] = {"model": rich["model"], **({"max_tokens": 3000} if path.endswith("/messages") else {})}
    for start in range(len(messages)):
        taken["messages"] = messages[start:]
        if takes(taken):
            break
    for name, value in rich.items():
        if name not in taken and takes({**taken, name: value}):
            taken[name] = value
    return taken


_TEXTS = st.text(max_size=8) | st.sampled_from(["\ud800", "error: 9", "call: look {", "error: 99999", "text", "json"])
_NUMBERS = st.sampled_from([0, -1, 1.5, 10**30, 1e308, 2**63, 10**9])
_LEAVES = st.none() | st.booleans() | _NUMBERS | _TEXTS
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "name", "function", "schema", "content", ""]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
_GONE = object()


@st.composite
def requests(draw: st.DrawFn, choices: Sequence[tuple[str, dict[str, Any]]]) -> tuple[str, Any]:
    """Give a path and a body: one of the plausible ones with a few places changed, or any JSON value, or any bytes."""
    path, body = draw(st.sampled_from(choices))
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return path, draw(_VALUES)
    if kind == 1:
        return path, draw(st.binary(max_size=40))
    changed: Any = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(changed))
        place = places[draw(st.integers(0, len(places) - 1))]
        changed = _put(changed, place, draw(_VALUES | st.just(_GONE)))
    return path, changed


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in inner:
        yield (*place, step)
        yield from _places(part, (*place, step))
    if not place:
        yield ("messages",)


def _put(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(body, dict):
        return body
    outer = body
    for step in place[:-1]:
        outer = outer[step]
    if value is not _GONE:
        outer[place[-1]] = value
    elif isinstance(outer, dict):
        outer.pop(place[-1], None)
    return body


def check_answer(response: EmulatedResponse, *, may_fail: bool) -> None:
    """Fail unless it is an answer of the vendor's kind: a status that HTTP has, and a body that its type says.

    `may_fail`: this vendor answers a wrong request with a 500.
    """
    assert 200 <= response.status < (600 if may_fail else 500), response.body
    kind = next(value for name, value in response.headers.items() if name.lower() == "content-type")
    assert all("\n" not in value and "\r" not in value for value in response.headers.values())
    if kind.startswith("text/event-stream"):
        for line in response.body.splitlines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                json.loads(line[6:])
    elif kind.startswith("application/json"):
        json.loads(response.body)
    assert len(response.body) < 5_000_000
