"""Answers that are given: what an emulated model says, request by request, whatever it is asked.

A test that is about the program, and not about the vendor, says what the model answers:

    Emulator("deepseek", answers=["Hello.", ToolCall("", "get_weather", '{"city": "Oslo"}'), RateLimitError])

Each request that the vendor takes gets the next one, in the vendor's own bytes, streamed or whole as it asks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from ..basics.typed import expect, kind_of
from ..errors import (
    AuthenticationError,
    BadRequestError,
    ChatportError,
    ConfigurationError,
    DeadlineError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TransportError,
)
from ..inputs.messages import read_messages
from ..types import ImagePart, Message, Reply, TextPart, ToolCall, Usage
from . import faults
from .emulator import VendorEmulator
from .faults import Fault, FaultList
from .performance import Break, Performance, Scene
from .wire import EmulatedRequest, EmulatedResponse, Script

__all__ = ["Answer", "AnswerList", "Answers", "NoAnswerError"]

Answer: TypeAlias = (
    str
    | Message
    | Reply
    | ToolCall
    | Sequence[ToolCall]
    | Mapping[str, Any]
    | Fault
    | ChatportError
    | type[ChatportError]
    | None
)
"""A text, calls of tools, a message (also as a dict) or a reply; a fault, or an error that the client is to meet; None:
what the request asks for."""

Answers: TypeAlias = Sequence[Answer] | Callable[[int, EmulatedRequest], Answer]
"""The answers in their order, or a function of an answer's number (1 is the first) and the request."""

_STATUSES: Mapping[type[ChatportError], int] = {
    BadRequestError: 400,
    AuthenticationError: 401,
    PermissionDeniedError: 403,
    ModelNotFoundError: 404,
    RateLimitError: 429,
    ServerError: 500,
    OverloadedError: 503,
}
"""What an error is over HTTP where the error itself does not say: those that a vendor tells by the status alone."""
_WHAT = "An answer is a text, a ToolCall or a list of them, a Message, a Reply, a fault, an error, or None"


class NoAnswerError(AssertionError):
    """An emulator was asked once more than it has answers. It is no ChatportError, so that nothing tries again."""


@attrs.frozen
class Said:
    """What the model says."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    refusal: str = ""
    citations: tuple[tuple[str, str], ...] = ()
    pictures: tuple[str, ...] = ()
    is_cut: bool = False
    usage: Usage | None = None

    def words(self) -> dict[str, list[str]]:
        """Return the words of a user who would make the model say it; see `chatport.testing.emulator`."""
        found = {
            "say": [self.text],
            "think": [self.reasoning] if self.reasoning else [],
            "call": [f"{name} {arguments}" for name, arguments in self.calls],
            "refuse": [self.refusal] if self.refusal else [],
            "cite": [f"{url} {title}" for url, title in self.citations],
            "draw": list(self.pictures),
        }
        return {name: lines for name, lines in found.items() if lines}

    def script(self, input_tokens: int, *, reasons: bool) -> Script:
        """Return it as a script. `reasons` is whether the vendor shows reasoning to this request."""
        usage = self.usage or Usage()
        finish = "length" if self.is_cut else "tool_calls" if self.calls else "stop"
        return Script(
            text=self.text,
            reasoning=self.reasoning if reasons else "",
            calls=self.calls,
            refusal=self.refusal,
            citations=self.citations,
            pictures=self.pictures,
            finish=finish,
            input_tokens=input_tokens if usage.input_tokens is None else usage.input_tokens,
            said_output_tokens=usage.output_tokens,
            said_reasoning_tokens=usage.reasoning_tokens,
        )


class AnswerList:
    """Which answer is next. Safe to ask from several threads: one request at a time is answered."""

    def __init__(self, answers: Answers, *, repeat: bool = False) -> None:
        self._make = answers if callable(answers) else None
        self._all: tuple[Said | Fault | None, ...] = ()
        if self._make is None:
            expect(answers, (list, tuple), "answers are a list, or a function", ConfigurationError)
            given: Any = answers
            self._all = tuple(_read(answer, f"answers[{number}]") for number, answer in enumerate(given))
        self._waiting: deque[Said | Fault | None] = deque(self._all)
        self._repeat = repeat
        self._number = 0
        self._lock = threading.RLock()
        self._request: EmulatedRequest | None = None
        self._taken: list[Said | Fault | None] = []

    @property
    def left(self) -> int:
        """How many answers nobody has asked for yet; 0 for a function."""
        return len(self._waiting)

    @property
    def given(self) -> Said | None:
        """What the model says to the request that is just answered, None: what the request asks for.

        The first to ask takes it from the list. Raises NoAnswerError if there is none.
        """
        if self._request is None:  # somebody asks the emulator directly, and not by a request
            return None
        if not self._taken:
            self._taken.append(self._next(self._request))
        answer = self._taken[0]
        return answer if isinstance(answer, Said) else None

    def respond(
        self, vendor: VendorEmulator, request: EmulatedRequest, others: FaultList
    ) -> tuple[EmulatedResponse, Fault | None]:
        """Return the vendor's response to a request, and the fault to play on it: one of `others`, or an answer's own.

        A request that the vendor refuses, that asks the model nothing, or that meets a fault of `others`, uses up no
        answer.
        """
        with self._lock:
            self._request, self._taken = request, []
            try:
                response = vendor.respond(request)
                taken = self._taken
            finally:
                self._request, self._taken = None, []
            fault = others.next(request)
            if fault is not None or response.status != 200:
                self._waiting.extendleft(taken)
                return response, fault
            return response, next((answer for answer in taken if isinstance(answer, Fault)), None)

    def _next(self, request: EmulatedRequest) -> Said | Fault | None:
        if not self._waiting and self._repeat:
            self._waiting.extend(self._all)
        if self._waiting:
            return self._waiting.popleft()
        if self._make is None:
            raise NoAnswerError(
                f"The emulator has no answer for this request: all {len(self._all)} of its answers were given before. "
                "Add one to answers=[…], or look why the program asks once more: emulator.requests has what it asked."
            )
        self._number += 1
        return _read(self._make(self._number, request), f"The answer {self._number}")


# --- what is given, as what is said


def _read(answer: Any, where: str) -> Said | Fault | None:
    """Return an answer as what is said, or as a fault. Raises ConfigurationError for what an emulator cannot say."""
    if answer is None or isinstance(answer, Fault):
        return answer
    if isinstance(answer, str):
        return Said(answer)
    if isinstance(answer, ChatportError) or (isinstance(answer, type) and issubclass(answer, ChatportError)):
        return _fault_of(answer, where)
    if isinstance(answer, ToolCall):
        return Said(calls=_calls((answer,)))
    if isinstance(answer, list | tuple) and answer and all(isinstance(call, ToolCall) for call in answer):
        return Said(calls=_calls(answer))
    if isinstance(answer, Reply):
        return _of_reply(answer, where)
    if isinstance(answer, Mapping):
        answer = _of_dict(answer, where)
    if isinstance(answer, Message):
        return _of_message(answer, where)
    raise ConfigurationError(f"{where}: {_WHAT}, not {kind_of(answer)}.")


def _calls(calls: Sequence[ToolCall]) -> tuple[tuple[str, str], ...]:
    return tuple((call.name, call.arguments or "{}") for call in calls)


def _of_dict(answer: Mapping[str, Any], where: str) -> Message:
    try:
        return read_messages(answer)[0]
    except BadRequestError as error:
        raise ConfigurationError(f"{where} is no message: {error}") from error


def _of_message(message: Message, where: str) -> Said:
    if message.role != "assistant":
        raise ConfigurationError(f"{where}: the model answers as the assistant, not as {message.role!r}.")
    if not all(isinstance(part, TextPart | ImagePart) for part in message.content):
        raise ConfigurationError(f"{where}: an emulator answers with texts, calls and pictures.")
    return Said(
        message.text,
        message.reasoning or "",
        _calls(message.tool_calls),
        message.refusal or "",
        pictures=tuple(part.url for part in message.content if isinstance(part, ImagePart)),
    )


def _of_reply(reply: Reply, where: str) -> Said:
    if reply.finish_reason in ("content_filter", "error"):
        raise ConfigurationError(
            f"{where} ends with {reply.finish_reason!r}, which each vendor says in its own way: give the error that a "
            'client gets, or a fault such as faults.status(400, body={"error": …}).'
        )
    if reply.alternatives or reply.audio:
        raise ConfigurationError(f"{where}: an emulator says one answer, in text.")
    return Said(
        reply.text,
        reply.reasoning or "",
        _calls(reply.tool_calls),
        reply.refusal or "",
        tuple((cited.url or "", cited.title or "") for cited in reply.citations if cited.url),
        tuple(media.url for media in reply.media if media.kind == "image" and media.url),
        reply.finish_reason == "length",
        reply.usage,
    )


# --- errors, as what makes a client raise them


def _fault_of(error: ChatportError | type[ChatportError], where: str) -> Fault:
    kind = error if isinstance(error, type) else type(error)
    status = None if isinstance(error, type) else error.status
    if issubclass(kind, StreamInterruptedError):
        return Fault(kind.__name__, _broken_off)
    if issubclass(kind, TransportError) and status is None:
        return faults.reset_before_head()
    if issubclass(kind, DeadlineError):
        return faults.stall("before_head")
    status = status or _STATUSES.get(kind)
    if status is None:
        raise ConfigurationError(
            f"{where}: {kind.__name__} is no error that a status alone tells. Give one with a status, such as "
            f'{kind.__name__}("…", status=400), or a fault: faults.status(400, body={{"error": …}}).'
        )
    seconds = None if isinstance(error, type) else error.retry_after_seconds
    headers = {} if seconds is None else {"retry-after": f"{seconds:g}"}
    return faults.status(status, headers=headers)


def _broken_off(scene: Scene) -> Performance:
    half = scene.events[: max(len(scene.events) // 2, 1)]
    return scene.with_body([*(half if scene.streams else ()), Break("reset")])
