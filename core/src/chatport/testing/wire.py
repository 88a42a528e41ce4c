"""What goes between a client and an emulator: the request, the answer, a refusal, and what the model shall say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..jsoncodec import decode, without_halves

__all__ = ["EmulatedRequest", "EmulatedResponse", "Refusal", "Script", "list_of", "sse", "table_of"]


@attrs.frozen
class EmulatedRequest:
    """A request as it reached the emulator; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Return the body's JSON. Raises ValueError if it is none, or is nested too deeply.

        Half of a surrogate pair, which no answer could repeat, is U+FFFD.
        """
        return without_halves(decode(self.content))


@attrs.frozen
class EmulatedResponse:
    """What the vendor answers: `pieces` are the body, each written and flushed by itself."""

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[bytes]

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)


class Refusal(Exception):
    """Raised while checking a request: the vendor's answer to it is this status with this JSON body."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@attrs.frozen
class Script:
    """What the model shall say: made by `VendorEmulator.script` from the request.

    `said_output_tokens` and `said_reasoning_tokens` are told in place of plausible counts, where they are known.
    """

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    refusal: str = ""
    citations: tuple[tuple[str, str], ...] = ()
    pictures: tuple[str, ...] = ()
    finish: str = "stop"
    input_tokens: int = 10
    cached_tokens: int = 0
    said_output_tokens: int | None = None
    said_reasoning_tokens: int | None = None

    @property
    def reasoning_tokens(self) -> int:
        """A plausible count, one for each word."""
        return len(self.reasoning.split()) if self.said_reasoning_tokens is None else self.said_reasoning_tokens

    @property
    def output_tokens(self) -> int:
        """A plausible count that includes the reasoning."""
        if self.said_output_tokens is not None:
            return self.said_output_tokens
        written = " ".join((self.text, self.refusal, *(arguments for _, arguments in self.calls)))
        return max(len(re.findall(r"\w+|[^\w\s]", written)), 1) + self.reasoning_tokens


def sse(data: Any, event: str | None = None) -> bytes:
    """Return one server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def table_of(value: Any) -> Mapping[str, Any]:
    """Return an object as it is, and for anything else an empty one: what may hold anything can be looked into."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: Any) -> Sequence[Any]:
    """Return a list as it is, and for anything else an empty one."""
    return value if isinstance(value, list | tuple) else ()
