"""Keys that nobody here reads, a vendor's own: kept of an answer, put back into a request, told where they are lost.

Of a caller they go out as they stand. Of an answer they belong to the provider that gave it: they go back to it with
the history, and to no other. In both directions a key that stood inside an object that is read, such as the `function`
of a call, stands in `extra` under the name of that object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..call import Context
from ..types import Adjustment, Message, ToolCall
from .citations import SOURCES
from .details import Pieces, merged

__all__ = [
    "CALL_KEYS",
    "MESSAGE_KEYS",
    "READ_OF_CALL",
    "READ_OF_FUNCTION",
    "READ_OF_MESSAGE",
    "WRITTEN_AS",
    "laid_over",
    "leave_out",
    "left_out",
    "lost_keys",
    "merge_keys",
    "merged_keys",
    "returning_call_keys",
    "returning_keys",
    "unread",
    "unread_of_call",
]

MESSAGE_KEYS = "message"
"""Under this name of an answer's `opaque` lie the keys of its message that nobody reads."""
WRITTEN_AS = "reasoning_field"
"""Under this name lies the field in which a caller wrote the reasoning of an answer, where it is the less usual one."""
CALL_KEYS = "call"
"""The same in an `OpaqueReported` that is about a call."""

_DETAILS = "reasoning_details"
READ_OF_MESSAGE = frozenset(
    {
        "role", "content", "name", "tool_calls", "function_call", "refusal", "audio", "reasoning", "reasoning_content",
        "reasoning_details", "tool_call_id", "images", *SOURCES,
    }
)  # fmt: skip
READ_OF_CALL = frozenset({"id", "type", "index", "function", "custom"})
READ_OF_FUNCTION = frozenset({"name", "arguments"})


# --- out of an answer


def unread(given: Mapping[str, Any], read: Collection[str]) -> dict[str, Any]:
    """Return what is in an object besides the keys that are read; what says nothing is left out."""
    return {key: value for key, value in given.items() if key not in read and value not in (None, "", [], {})}


def left_out(context: Context) -> tuple[str, ...]:
    """Return the keys of an answer's message that its vendor does not want back, or that its hooks read."""
    history = None if context.facts.rules is None else context.facts.rules.history
    return () if history is None else history.left_out


def leave_out(found: dict[str, Any], names: Collection[str]) -> None:
    """Take keys out of what was found; one with dots reaches into objects, and takes those that it empties along."""
    for name in names:
        first, _, rest = name.partition(".")
        if not rest:
            found.pop(name, None)
        elif isinstance(found.get(first), Mapping):
            inner = dict(found[first])
            leave_out(inner, (rest,))
            found[first] = inner
            if not inner:
                del found[first]


def unread_of_call(fragment: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a call, or of a fragment of one, that nobody reads."""
    found = unread(fragment, READ_OF_CALL)
    inner = unread(function, READ_OF_FUNCTION) if fragment.get("function") is function else {}
    return {**found, "function": inner} if inner else found


def merge_keys(held: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Lay what a later piece of a stream says over what earlier ones have said.

    Objects are merged, lists and texts appended, unless a piece says again just what is held; else the later counts.
    """
    for key, value in new.items():
        own = held.get(key)
        if isinstance(value, Mapping):
            inner = held[key] = own if isinstance(own, dict) else {}
            merge_keys(inner, value)
        elif isinstance(value, str) and isinstance(own, str | Pieces):
            if not (own == value if isinstance(own, str) else own.is_all(value)):
                held[key] = Pieces.of(own)
                held[key].append(value)
        elif isinstance(value, list):
            if isinstance(own, list) and own != value:
                own.extend(value)
            else:
                held[key] = list(value)
        elif value is not None or key not in held:
            held[key] = value


def merged_keys(held: Any) -> Any:
    """Return what was merged as plain values."""
    if isinstance(held, Pieces):
        return "".join(held)
    return {key: merged_keys(value) for key, value in held.items()} if isinstance(held, dict) else held


# --- into a request


def laid_over(wire: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with further keys; those under the name of an object inside go into that object."""
    laid = dict(wire)
    for key, value in extra.items():
        own = laid.get(key)
        laid[key] = {**own, **value} if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return laid


def returning_keys(message: Message, context: Context) -> Mapping[str, Any]:
    """Return the keys of an earlier answer's message that go back: to its own provider, if its facts do not refuse."""
    if message.origin != context.provider.name:
        return {}
    kept = message.opaque.get(MESSAGE_KEYS)
    kept = unread(kept, READ_OF_MESSAGE) if isinstance(kept, Mapping) else {}
    rules = context.facts.rules
    history = None if rules is None else rules.history
    if history is None and isinstance(message.opaque.get(_DETAILS), list | tuple):  # nothing says which go back: all
        kept[_DETAILS] = merged(message.opaque[_DETAILS])
    taken = None if rules is None or rules.messages is None else rules.messages.keys
    leave_out(kept, left_out(context))
    return {k: value for k, value in kept.items() if taken is None or k in taken}


def returning_call_keys(call: ToolCall, message: Message, context: Context) -> Mapping[str, Any]:
    """Return the keys of a call that go out: the caller's own, and those of an answer to its own provider."""
    if message.origin is None:
        return call.extra
    rules = context.facts.rules
    is_closed = rules is not None and rules.messages is not None and rules.messages.call_keys is not None
    return {} if is_closed or message.origin != context.provider.name else call.extra


def lost_keys(messages: Collection[Message], context: Context) -> tuple[Adjustment, ...]:
    """Return a warning for each key that another provider gave with an answer, and that does not go to this one."""
    notes: dict[Adjustment, None] = {}
    for message in messages:
        if message.origin not in (None, context.provider.name):
            for field in _own_keys(message):
                notes[Adjustment("dropped", field, f"a key of {message.origin}, which goes back there only")] = None
        elif message.reasoning and _goes_nowhere(message, context):
            reason = "earlier reasoning does not go back here"
            notes[Adjustment("dropped", "messages.reasoning_content", reason)] = None
    return tuple(notes)


def _goes_nowhere(message: Message, context: Context) -> bool:
    """Whether reasoning that a caller wrote has no field at a provider of which something is known.

    Details beside it say the same, and go out as they are.
    """
    is_unknown = context.provider.dialect.reasoning_field is None and context.facts.rules is not None
    return is_unknown and message.origin is None and _DETAILS not in message.extra


def _own_keys(message: Message) -> Iterator[str]:
    kept = message.opaque.get(MESSAGE_KEYS)
    if isinstance(kept, Mapping):
        yield from (f"messages.{key}" for key in kept)
    for call in message.tool_calls:
        for key, value in call.extra.items():
            inner = value if key == "function" and isinstance(value, Mapping) else None
            yield from (f"messages.tool_calls.{name}" for name in ((key,) if inner is None else inner))
