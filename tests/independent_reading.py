"""A second reading of recorded exchanges, written from the recordings and fact sheets alone.

It shares nothing with the decoder it is held against: the standard library only, the whole text at once, no state
machine. It may be slow and naive; it must be obvious. Where a vendor's field means the same under several names, the
names stand here in a table, so that a disagreement can be looked up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

JSON_ERROR = "not JSON"

# In the order of preference. All counts that `prompt_tokens` includes already.
CACHED = (
    ("prompt_tokens_details", "cached_tokens"),
    ("cached_tokens",),
    ("num_cached_tokens",),
    ("prompt_cache_hit_tokens",),
    ("cache_read_input_tokens",),
)
CACHE_WRITTEN = (
    ("prompt_tokens_details", "cache_write_tokens"),
    ("prompt_tokens_details", "cache_creation_input_tokens"),
    ("cache_creation_input_tokens",),
)
REASONED = (("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",))


@dataclass(frozen=True)
class Call:
    """A tool call: `id` is None where the vendor gave none."""

    id: str | None
    name: str
    arguments: str


@dataclass(frozen=True)
class Choice:
    """What one choice says. Empty and absent are the same here."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""


@dataclass(frozen=True)
class Tokens:
    """Token counts, None where the vendor is silent."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True)
class Failure:
    """The vendor's error: every text in it that a user must be able to find again."""

    status: int
    code: str
    type: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """What an exchange means."""

    choice: Choice
    others: tuple[Choice, ...]
    tokens: Tokens
    failure: Failure | None
    truncated: bool
    total: int | None = None


@dataclass(frozen=True)
class Ways:
    """What only who knows the vendor can read, from its fact sheet."""

    thought_tag: str = ""
    rest_is_thought: bool = False


def read(exchange: dict[str, Any], ways: Ways | None = None) -> Reading:
    """Return what a recorded exchange means."""
    response = exchange["response"]
    status = response["status"] or 200
    if response.get("sse_text") is not None:
        reading = read_stream(response["sse_text"], status)
    else:
        reading = read_body(response.get("body_text") or "", status)
    return reading if ways is None else known(reading, ways)


def known(reading: Reading, ways: Ways) -> Reading:
    """Return a reading by who knows the vendor: thoughts that begin the text, and what only the total counts."""
    choice, tokens, opening = reading.choice, reading.tokens, f"<{ways.thought_tag}>"
    if ways.thought_tag and choice.text.startswith(opening):
        thought, _, text = choice.text.removeprefix(opening).partition(f"</{ways.thought_tag}>")
        choice = replace(choice, text=text, reasoning=thought)
    if ways.rest_is_thought and None not in (reading.total, tokens.input, tokens.output) and tokens.reasoning is None:
        rest = (reading.total or 0) - (tokens.input or 0) - (tokens.output or 0)
        if rest > 0:
            tokens = replace(tokens, output=(tokens.output or 0) + rest, reasoning=rest)
    return replace(reading, choice=choice, tokens=tokens)


def read_body(text: str, status: int) -> Reading:
    """Return what a whole body means."""
    data = parse(text)
    failure = failure_in(data, text, status)
    choices = data.get("choices") if isinstance(data, dict) else None
    read_choices = [
        read_message(choice.get("message") or {}, choice.get("finish_reason")) for choice in choices or () if choice
    ]
    usage = data.get("usage") if isinstance(data, dict) else None
    return Reading(
        read_choices[0] if read_choices else Choice(),
        tuple(read_choices[1:]),
        read_usage(usage),
        failure,
        truncated=failure is None and data == JSON_ERROR,
        total=first_of(usage, (("total_tokens",),)) if isinstance(usage, dict) else None,
    )


def read_stream(text: str, status: int) -> Reading:
    """Return what a whole event stream means."""
    done = "[DONE]" in [event.strip() for event in event_data(text)]
    chunks = chunks_of(text)
    failure = next((found for chunk in chunks if (found := failure_in(chunk, "", status))), None)
    by_index: dict[int, list[dict[str, Any]]] = {0: []}
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            by_index.setdefault(choice.get("index") or 0, []).append(choice)
    choices = [read_choice_chunks(by_index[index]) for index in sorted(by_index)]
    usages = [usage for chunk in chunks for usage in usages_of(chunk)]
    return Reading(
        choices[0],
        tuple(choices[1:]),
        read_usage(usages[-1] if usages else None),
        failure,
        truncated=failure is None and not done and not choices[0].finish,
        total=first_of(usages[-1], (("total_tokens",),)) if usages else None,
    )


def chunks_of(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects of an event stream."""
    return [data for data in map(parse, event_data(text)) if isinstance(data, dict)]


def event_data(text: str) -> Iterator[str]:
    """Yield the data of each event; one that lacks its blank line at the very end counts too."""
    lines: list[str] = []
    for line in [*re.split("\r\n|\n|\r", text), ""]:
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines)
            lines = []


def parse(text: str) -> Any:
    """Return the JSON value, or JSON_ERROR."""
    try:
        return json.loads(text)
    except ValueError:
        return JSON_ERROR


def usages_of(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the counts in a chunk: beside the choices, inside one, or in a vendor's own object (GQ, MS-S4)."""
    for holder in (chunk.get("x_groq"), *(chunk.get("choices") or ()), chunk):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            yield holder["usage"]


def read_choice_chunks(chunks: Sequence[dict[str, Any]]) -> Choice:
    """Join the pieces of one choice. The first finish reason counts (OR-S4)."""
    deltas = [
        delta if isinstance(delta := chunk.get("delta"), dict) else chunk.get("message") or {} for chunk in chunks
    ]
    pieces = [read_message(delta, None) for delta in deltas]
    finishes = [chunk["finish_reason"] for chunk in chunks if chunk.get("finish_reason")]
    return Choice(
        "".join(piece.text for piece in pieces),
        "".join(piece.reasoning for piece in pieces),
        "".join(piece.refusal for piece in pieces),
        join_calls(deltas),
        finishes[0] if finishes else "",
    )


@dataclass
class Growing:
    """A tool call while its pieces are put together."""

    id: str | None = None
    name: str = ""
    arguments: list[str] = field(default_factory=list)


def join_calls(deltas: Sequence[dict[str, Any]]) -> tuple[Call, ...]:
    """Join the fragments by index; an entry without an index that has a name is a call of its own (OL-T2, MS-S6)."""
    calls: dict[object, Growing] = {}
    for entry in (entry for delta in deltas for entry in tool_entries(delta)):
        function = entry.get("function") or {}
        index = entry.get("index")
        if index is not None:
            key: object = index
        elif function.get("name") or not calls:
            key = ("unnumbered", len(calls))
        else:
            key = list(calls)[-1]
        call = calls.setdefault(key, Growing())
        call.id = call.id or entry.get("id") or None
        call.name = call.name or function.get("name") or ""
        call.arguments.append(arguments_text(function.get("arguments")))
    return tuple(Call(call.id, call.name, "".join(call.arguments)) for call in calls.values())


def tool_entries(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tool calls of a message or delta; the deprecated single call only where the list is missing."""
    if message.get("tool_calls"):
        return list(message["tool_calls"])
    legacy = message.get("function_call") or {}
    return [{"index": 0, "function": legacy}] if legacy.get("name") or legacy.get("arguments") else []


def arguments_text(arguments: Any) -> str:
    """Return the arguments as text; absent and null are no text (OR-S10), an object is written out."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def read_message(message: dict[str, Any], finish: str | None) -> Choice:
    """Return what a message, or a delta, says."""
    content = message.get("content")
    thoughts = message.get("reasoning_content") or message.get("reasoning") or ""
    if not thoughts:  # the same thought comes twice where both are there (OR-S9)
        thoughts = "".join(
            part.get("text") or part.get("summary") or "" for part in message.get("reasoning_details") or ()
        )
    calls = tuple(
        Call(
            entry.get("id") or None,
            (entry.get("function") or {}).get("name") or "",
            arguments_text((entry.get("function") or {}).get("arguments")),
        )
        for entry in tool_entries(message)
    )
    return Choice(
        content_text(content), thoughts + thinking_text(content), message.get("refusal") or "", calls, finish or ""
    )


def content_text(content: Any) -> str:
    """Return the visible text: a string, the text parts of a list, or a JSON value as text."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return json.dumps(content)


def thinking_text(content: Any) -> str:
    """Return the text of the thinking parts of a content list."""
    if not isinstance(content, list):
        return ""
    return "".join(
        content_text(part.get("thinking")) for part in content if isinstance(part, dict) and part["type"] == "thinking"
    )


def read_usage(usage: Any) -> Tokens:
    """Return the counts. Where the sum proves that reasoning stands outside the output, it is added (xAI)."""
    if not isinstance(usage, dict):
        return Tokens()
    asked, answered, total = (first_of(usage, ((f"{name}_tokens",),)) for name in ("prompt", "completion", "total"))
    reasoned = first_of(usage, REASONED)
    if reasoned and asked is not None and answered is not None and asked + answered + reasoned == total:
        answered += reasoned
    return Tokens(asked, answered, first_of(usage, CACHED), first_of(usage, CACHE_WRITTEN), reasoned)


def first_of(usage: dict[str, Any], paths: Sequence[tuple[str, ...]]) -> int | None:
    """Return the first count that is there."""
    for path in paths:
        value: Any = usage
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int):
            return value
    return None


def failure_in(data: Any, text: str, status: int) -> Failure | None:
    """Return the vendor's error: by status, by an `error` key, or by a 200 without choices that names a failure."""
    if status >= 400:
        texts = tuple(error_texts(data)) if data != JSON_ERROR else (text.strip()[:120],)
        return Failure(status, error_word(data, "code"), error_word(data, "type"), texts)
    if not isinstance(data, dict):
        return None
    named = data.get("error") or ((data.get("base_resp") or {}).get("status_msg") and not data.get("choices"))
    if not named:
        return None
    return Failure(status, error_word(data, "code"), error_word(data, "type"), tuple(error_texts(data)))


def error_texts(data: Any) -> Iterator[str]:
    """Yield the messages of an error body in any of its shapes."""
    if isinstance(data, str):
        yield data
    if isinstance(data, list):
        for item in data:
            yield from error_texts(item)
    if not isinstance(data, dict):
        return
    for key in ("error", "base_resp", "detail"):
        if data.get(key):
            yield from error_texts(data[key])
    for key in ("message", "msg", "status_msg"):
        if isinstance(data.get(key), str):
            yield data[key]
        elif isinstance(data.get(key), dict):  # a list of faults wrapped once more (Mistral)
            yield from error_texts(data[key])
    if isinstance(data.get("param"), str) and " " in data["param"]:  # no name, but the explanation itself (Xiaomi)
        yield data["param"]


def error_word(data: Any, key: str) -> str:
    """Return the `code` or `type` of an error body, "" where it has none."""
    if not isinstance(data, dict):
        return ""
    inner = data["error"] if isinstance(data.get("error"), dict) else data
    return str(inner.get(key) or "")
