"""The typed pieces of a streamed reply.

They are msgspec structs, not attrs classes, for one reason: one of them is made for every chunk, and a frozen
struct is made in a quarter of the time. All are frozen. `choice` is 0 but for replies asked with n > 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from .errors import ChatportError
    from .types import Citation, Media, Reply, Usage

__all__ = [
    "AttemptFailed",
    "AudioDelta",
    "ChunkSeen",
    "CitationAdded",
    "CitationReported",
    "ErrorReported",
    "Event",
    "FinishReported",
    "Finished",
    "LogprobsReported",
    "MediaAdded",
    "OpaqueReported",
    "ReasoningDelta",
    "RefusalDelta",
    "ReplyStarted",
    "TextDelta",
    "ToolCallDelta",
    "ToolCallEnded",
    "UsageReported",
]


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer's text."""

    text: str
    choice: int = 0


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the model's reasoning, where the vendor shows it."""

    text: str
    choice: int = 0


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call. `index` counts the calls of a choice from 0; `id` and `name` are set in every piece.

    `arguments` is the new piece of the JSON text, often not valid by itself.
    """

    index: int
    id: str
    name: str
    arguments: str
    choice: int = 0


class ToolCallEnded(msgspec.Struct, frozen=True, gc=False):
    """A tool call is complete: `arguments` is its whole JSON text ("{}" for a call without arguments)."""

    index: int
    id: str
    name: str
    arguments: str
    choice: int = 0


class RefusalDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the text in which the model refuses to answer."""

    text: str
    choice: int = 0


class AudioDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of spoken output: base64 `data`, its `transcript`, or the vendor's `id` for it, whatever came."""

    data: str = ""
    transcript: str = ""
    id: str | None = None
    choice: int = 0


class MediaAdded(msgspec.Struct, frozen=True):
    """A picture, a recording or a file that the model has made, whole. Spoken output in pieces is `AudioDelta`."""

    media: Media
    choice: int = 0


class CitationAdded(msgspec.Struct, frozen=True):
    """A source of the answer, told once however often the vendor repeats it."""

    citation: Citation
    choice: int = 0


class UsageReported(msgspec.Struct, frozen=True):
    """The vendor's token counts so far; a later one replaces an earlier one."""

    usage: Usage


class ChunkSeen(msgspec.Struct, frozen=True, gc=False):
    """A chunk of the vendor's stream as it came, before the events that it means: its `event` name, and its data.

    Only for a call with `native=`, where the vendor is spoken to in that protocol. What the chunk says is the vendor's,
    and `provider` its name: what it wants back goes to no other.
    """

    event: str
    raw: bytes
    provider: str = ""


class AttemptFailed(msgspec.Struct, frozen=True):
    """An attempt ended before anything was handed over, and another one follows after `wait_seconds`."""

    target: str
    error: ChatportError
    wait_seconds: float


class Finished(msgspec.Struct, frozen=True):
    """The last event of a stream that is complete."""

    reply: Reply


# What decoders say to the engine. They do not reach the caller.


class ReplyStarted(msgspec.Struct, frozen=True):
    """The vendor's envelope: reply id, the model that really answers, and the rest of the first chunk's keys."""

    id: str | None = None
    model: str | None = None
    envelope: dict[str, Any] | None = None


class LogprobsReported(msgspec.Struct, frozen=True):
    """Token probabilities as the vendor sent them: a list of entries, or the vendor's own object."""

    entries: Any
    choice: int = 0


class OpaqueReported(msgspec.Struct, frozen=True):
    """A value which this provider wants back with the assistant message, such as a signature. Kept under `key`.

    With `call`, the index of a tool call that was begun, `value` is an object of keys of that call, which lie in its
    `extra`.
    """

    key: str
    value: Any
    choice: int = 0
    call: int | None = None


class CitationReported(msgspec.Struct, frozen=True):
    """The vendor names a source; the caller gets it as `CitationAdded` the first time.

    `here`: it is cited where the text so far ends, and its span becomes that place.
    """

    citation: Citation
    choice: int = 0
    here: bool = False


class FinishReported(msgspec.Struct, frozen=True):
    """A choice has ended. `reason` is ours, `raw` the vendor's word (None if the end came without one).

    The reason `unknown`, for a word that nobody knows, is `other` to the caller; beside a tool call, or with nothing
    before it, it is an error.
    """

    reason: str
    raw: str | None
    choice: int = 0


class ErrorReported(msgspec.Struct, frozen=True):
    """The vendor reports an error inside a 200: `data` is the decoded JSON it came in."""

    data: Any


Event: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | ToolCallEnded
    | RefusalDelta
    | AudioDelta
    | MediaAdded
    | CitationAdded
    | ChunkSeen
    | UsageReported
    | AttemptFailed
    | Finished
    | ReplyStarted
    | LogprobsReported
    | OpaqueReported
    | CitationReported
    | FinishReported
    | ErrorReported
)
