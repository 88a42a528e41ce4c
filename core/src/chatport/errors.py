"""The tree of errors. Split by what the caller can do: fix the request, fix the key, wait, try again, give up.

ChatportError
├── ConfigurationError          the configuration cannot be used; nothing was sent
│   ├── MisuseError             a client or stream is used in a way that cannot be, such as read by two at once
│   └── UnknownOptionError      an option has a name that does not exist
├── PluginError                 a plugin is broken, or breaks the hook contract
├── PolicyError                 the policy forbids this call; nothing was sent
├── BudgetExceededError         the call does not fit into a budget; nothing was sent
├── RunLimitError               a run has used up its steps or its time; `run` holds all there is
├── MapLimitError               a map has used up its money, tokens or time; what it has was handed over
├── ToolError                   raised by a tool: its words are for the model, which is told them as they are
├── BadRequestError             the request is wrong; sending it again will not help
│   ├── ContextLengthError      the input is longer than the model's window
│   ├── ContentFilterError      the vendor refuses this content
│   └── UnsupportedFeatureError this vendor or model cannot do what was asked
├── AuthenticationError         the key is missing, wrong or expired
├── PermissionDeniedError       the key is good, and may not do this
├── QuotaExceededError          no credit or allowance left: waiting a moment will not help
├── ModelNotFoundError          the vendor does not know this model (or this path)
├── RateLimitError              too fast: wait, then try again
├── OverloadedError             the vendor has no capacity now
├── ServerError                 the vendor failed
├── TransportError              no usable HTTP exchange: refused, reset, TLS, broken framing
├── DeadlineError               one of our timers fired; `timer` names it
├── MalformedReplyError         the vendor's bytes are not what its protocol says
└── StreamInterruptedError      the stream ended without its finish; `partial` holds all that came
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from .basics.display import one_line

if TYPE_CHECKING:
    from .types import Attempt, Message, Reply
    from .types.runs import Run

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "BudgetExceededError",
    "ChatportError",
    "ConfigurationError",
    "ContentFilterError",
    "ContextLengthError",
    "DeadlineError",
    "MalformedReplyError",
    "MapLimitError",
    "MisuseError",
    "ModelNotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "PluginError",
    "PolicyError",
    "QuotaExceededError",
    "RateLimitError",
    "RunLimitError",
    "ServerError",
    "StreamInterruptedError",
    "ToolError",
    "TransportError",
    "UnknownOptionError",
    "UnsupportedFeatureError",
]


_LONGEST_MESSAGE = 4000
_LONGEST_WORD = 200


class ChatportError(Exception):
    """Root of every error Chatport raises.

    `retryable` says whether the same request may succeed later without a change. `retry_after_seconds` is the
    vendor's own hint, None when it gave none. `raw` is the vendor's error as decoded JSON or text, with our
    key taken out. `attempts` tells the story of the call up to here. Where an answer broke off after a part of it was
    handed over, `messages` is the conversation to go on with: yours, that part, and a request for the rest.
    Where a run of tools ends with it, `run` is all that the run had until then, and can be gone on with.
    `advice` is the next step, in a sentence; empty where there is none to give.
    `raised_by` names the hook, plugin, package and version where a plugin has raised it; empty for core and vendor.

    Its text may quote a vendor, a file or a plugin, and goes to terminals and logs: it is one line of bounded length,
    with control characters as escapes. `message` and `raw` have them as they came.
    """

    retryable_by_default = False
    usual_advice = ""

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
        retryable: bool | None = None,
        raw: Any = None,
        partial: Reply | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.raw = raw
        self.partial = partial
        self.attempts = attempts
        self.raised_by = ""
        self.messages: tuple[Message, ...] = ()
        self.run: Run | None = None
        self._advice: str | None = None

    @property
    def advice(self) -> str:
        """The next step, in a sentence: for this very error where more is known of it, else what its class says."""
        return self._usual_advice() if self._advice is None else self._advice

    @advice.setter
    def advice(self, advice: str) -> None:
        self._advice = advice

    def _usual_advice(self) -> str:
        return self.usual_advice

    def __str__(self) -> str:
        where = ":".join(part for part in (self.provider, self.model) if part)
        facts = [where] if where else []
        if self.status is not None:
            facts.append(f"HTTP {self.status}")
        if self.code:
            facts.append(f"code {self.code}")
        if self.request_id:
            facts.append(f"request {self.request_id}")
        message = one_line(str(self.message), _LONGEST_MESSAGE)
        text = f"{message} [{', '.join(one_line(fact, _LONGEST_WORD) for fact in facts)}]" if facts else message
        if self.retry_after_seconds is not None:
            whose = "The vendor asks to wait" if self.provider else "Try again in"  # without one it is our own word
            text += f" {whose} {self.retry_after_seconds:g} s."
        if self.raised_by:
            text += f" Raised by {one_line(self.raised_by, _LONGEST_WORD)}."
        advice = one_line(self.advice, _LONGEST_MESSAGE)
        return f"{text} {advice}" if advice else text

    def __reduce__(self) -> tuple[Any, ...]:
        # The fields travel as state, not as arguments: `attempts` may hold the error itself.
        return type(self), (self.message,), dict(vars(self))


class ConfigurationError(ChatportError):
    """The configuration or the arguments cannot be used. Nothing was sent."""


class MisuseError(ConfigurationError, RuntimeError):
    """A client or a stream is used in a way that cannot be: read by two at once, or outside of its block.

    The program is to be mended. What another task or thread does with the same object goes on undisturbed.
    """


class UnknownOptionError(ConfigurationError, TypeError):
    """A client or a call was given an option that does not exist. A TypeError too, as for any other function."""


class PluginError(ChatportError):
    """A plugin cannot be imported, or breaks the hook contract: an unknown hook, a wrong argument, a newer API."""


class PolicyError(ChatportError):
    """The configured policy forbids this call. Nothing was sent. `rule` is the key of `[policy]` that forbids it."""

    def __init__(self, message: str, *, rule: str | None = None, **known: Any) -> None:
        super().__init__(message, **known)
        self.rule = rule


class BudgetExceededError(ChatportError):
    """An attempt does not fit into a budget, or its cost is not known. The attempt was not sent.

    `unit` is "usd" or "tokens"; `cap`, `remaining` and `estimate` are in it. `estimate` is None for a cost that is not
    known.
    """

    def __init__(
        self,
        message: str,
        *,
        unit: Literal["usd", "tokens"] = "usd",
        cap: float = 0.0,
        remaining: float = 0.0,
        estimate: float | None = None,
        **known: Any,
    ) -> None:
        super().__init__(message, **known)
        self.unit = unit
        self.cap = cap
        self.remaining = remaining
        self.estimate = estimate


class RunLimitError(ChatportError):
    """A run of tools has used up its steps or its time, and the model is not done. `limit` is "steps" or "seconds".

    `run` is all there is: calls of tools in it that have no result were not run, or had not ended.
    """

    run: Run  # always there
    usual_advice = "Go on with client.run(error.run, ...), or raise the limit."

    def __init__(self, message: str, *, limit: Literal["steps", "seconds"] = "steps", **known: Any) -> None:
        super().__init__(message, **known)
        self.limit = limit


class MapLimitError(ChatportError):
    """A map has used up its money, its tokens or its time. `limit` is "usd", "tokens" or "seconds".

    All results there were have been handed over before; the items that are left were not asked for.
    """

    usual_advice = "Go on later with the same resume file, or raise the limit."

    def __init__(self, message: str, *, limit: Literal["usd", "tokens", "seconds"] = "usd", **known: Any) -> None:
        super().__init__(message, **known)
        self.limit = limit


class ToolError(ChatportError):
    """A tool cannot do what it is asked. Raise it in a tool of yours: the model is told its words, as they are.

    Of any other exception the model is told the kind and the words, in one line.
    """


class BadRequestError(ChatportError):
    """The request is wrong: sending it again unchanged will not help."""


class ContextLengthError(BadRequestError):
    """The input, or input and `max_tokens` together, do not fit the model's context window."""

    usual_advice = "Shorten the messages, lower max_tokens, or use a model with a larger window."


class ContentFilterError(BadRequestError):
    """The vendor refuses this content. Another attempt, or another vendor, is not tried."""

    usual_advice = "Change the content; the same content will be refused again."


class UnsupportedFeatureError(BadRequestError):
    """The vendor or the model cannot do what was asked, and leaving it out silently would be wrong."""


class AuthenticationError(ChatportError):
    """The API key is missing, wrong, expired, or belongs to another host or region."""

    usual_advice = "Check the API key and that it belongs to this host."


class PermissionDeniedError(ChatportError):
    """The key is valid and may not do this: model not enabled, region, organisation rules."""


class QuotaExceededError(ChatportError):
    """No credit or allowance is left. Waiting a moment will not help."""

    usual_advice = "Check the account's balance or spending limit."


class ModelNotFoundError(ChatportError):
    """The vendor does not know this model or path, or it has been retired."""

    def _usual_advice(self) -> str:
        return f"List what the vendor offers with `chatport models {self.provider}`." if self.provider else ""


class RateLimitError(ChatportError):
    """Too many requests or tokens in too short a time."""

    retryable_by_default = True


class OverloadedError(ChatportError):
    """The vendor has no capacity at the moment."""

    retryable_by_default = True


class ServerError(ChatportError):
    """The vendor failed to answer, for reasons of its own."""

    retryable_by_default = True


class TransportError(ChatportError):
    """There was no usable HTTP exchange: name, connection, TLS, a reset, or broken framing."""

    retryable_by_default = True


class DeadlineError(ChatportError):
    """A timer fired. `timer` is connect, silence, first_event, between_events, total or queue; `seconds` its setting.

    The timer `queue` is of this client's own limits (`[pacing]`), not the vendor's.
    """

    def __init__(self, message: str, *, timer: str = "total", seconds: float | None = None, **known: Any) -> None:
        super().__init__(message, **known)
        self.timer = timer
        self.seconds = seconds


class MalformedReplyError(ChatportError):
    """The vendor's bytes are not what its protocol says: broken JSON, a page of HTML, a size over the limit."""


class StreamInterruptedError(ChatportError):
    """The stream ended without its finish. `partial` is a Reply with everything that was received.

    It is never retried after a content event has reached the caller, since that would repeat text.
    """

    partial: Reply  # wherever one is raised to a caller, it is there
    retryable_by_default = True
    usual_advice = "What was received is in `.partial`."


def over_limit(what: str, most: int, things: str, setting: str) -> MalformedReplyError:
    """Return the error for an answer with more of something than its setting allows."""
    return MalformedReplyError(f"{what} has more than {most} {things}; raise limits.{setting} if it really has.")
