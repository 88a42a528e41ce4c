"""Messages, tools, usage and replies: the frozen values that callers see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias

import attrs

from .. import jsoncodec
from ..basics.display import one_line
from ..basics.frozen import freeze_fields
from ..basics.typed import check_fields, expect
from ..basics.values import Value
from ..errors import BadRequestError, MalformedReplyError
from .parts import AudioPart, FilePart, ImagePart, Part, TextPart, VendorPart, VideoPart

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # of type checkers, which know it without its being installed

    from ..errors import ChatportError

    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

__all__ = [
    "COUNTS",
    "Adjustment",
    "Alternative",
    "Attempt",
    "AudioPart",
    "Citation",
    "Cost",
    "FilePart",
    "FinishReason",
    "ImagePart",
    "Media",
    "Message",
    "ModelInfo",
    "OutputSpec",
    "Part",
    "RateLimits",
    "Reply",
    "Role",
    "TextPart",
    "ToolCall",
    "Usage",
    "VendorPart",
    "VideoPart",
]

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "error", "other"]

_LONGEST_WARNING = 2000
_SHOWN_DATA = 40


@attrs.frozen(eq=False, repr=False)
class ToolCall(Value):
    """A call the model wants made. `arguments` is JSON text, exactly as the vendor sent it.

    `complete` is False when the reply was cut inside this call: such a call must not be run, even when the text
    happens to be valid JSON. `extra` holds the vendor's own keys of the call, such as a signature; those under
    `"function"` stood in its function. They go out as they are, and those of an answer to its own provider only.
    """

    id: str
    name: str
    arguments: str
    complete: bool = True
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    def __attrs_post_init__(self) -> None:
        if self.extra:
            freeze_fields(self, "extra", error=BadRequestError)
        if type(self.id) is not str or type(self.name) is not str:
            expect(self.id, str, "The id of a ToolCall is a text", BadRequestError)
            expect(self.name, str, "The name of a ToolCall is a text", BadRequestError)

    def parsed(self) -> Any:
        """Return the arguments as Python values; none at all, and null, are an empty dict.

        Raises MalformedReplyError if they are cut or not JSON.
        """
        if not self.complete:
            raise MalformedReplyError(
                f"The call of {self.name!r} was cut while its arguments were being written; do not run it.",
                raw=self.arguments,
            )
        expect(self.arguments, (str, type(None)), "The arguments of a ToolCall are JSON text", BadRequestError)
        try:
            value = jsoncodec.decode_text(self.arguments) if (self.arguments or "").strip() else None
            return {} if value is None else value
        except ValueError as error:
            raise MalformedReplyError(
                f"The arguments of the call of {self.name!r} are not valid JSON: {error}.", raw=self.arguments
            ) from error


@attrs.frozen(eq=False, repr=False)
class Message(Value):
    """One turn of a conversation. Use the constructors `system`, `developer`, `user`, `assistant` and `tool`.

    `reasoning` and `opaque` belong to `origin`, the provider that wrote the message, and are sent to no other.
    `extra` holds vendor-only keys of the message; they are sent as they are.
    """

    role: Role
    content: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    origin: str | None = None
    opaque: Mapping[str, Any] = attrs.field(factory=dict)
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if type(self.content) is not tuple or type(self.tool_calls) is not tuple:
            what = "content and tool_calls of a Message are tuples; Message.user, .assistant and .tool make them"
            for name in ("content", "tool_calls"):
                expect(getattr(self, name), (tuple, list), what, BadRequestError)
                object.__setattr__(self, name, tuple(getattr(self, name)))

    @classmethod
    def system(cls, text: str) -> Message:
        """Return an instruction that stands above the conversation."""
        return cls("system", (TextPart(text),))

    @classmethod
    def developer(cls, text: str) -> Message:
        """Return an instruction in the newer role name; vendors without it get `system`."""
        return cls("developer", (TextPart(text),))

    @classmethod
    def user(cls, *content: str | Part) -> Message:
        """Return a user turn made of text, images, audio and files, in this order."""
        return cls("user", _parts(content))

    @classmethod
    def assistant(cls, text: str = "", *, tool_calls: tuple[ToolCall, ...] = ()) -> Message:
        """Return an earlier answer of the model."""
        expect(tool_calls, (tuple, list), "tool_calls are a tuple of ToolCall values", BadRequestError)
        return cls("assistant", (TextPart(text),) if text else (), tuple(tool_calls))

    @classmethod
    def tool(cls, call: ToolCall | str, content: str | Part, *more: str | Part) -> Message:
        """Return the result of a tool call; `call` is the ToolCall or its id."""
        expect(call, (str, ToolCall), "A tool result belongs to a ToolCall, or to its id", BadRequestError)
        call_id = call if isinstance(call, str) else call.id
        return cls("tool", _parts((content, *more)), tool_call_id=call_id)

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    def to_json(self) -> str:
        """Return it as JSON text, to be kept, with what its vendor wants back.

        Raises BadRequestError for values in it that JSON has not.
        """
        from .keeping import to_json  # only who keeps things needs it

        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Message:
        """Return what `to_json` has written. Raises BadRequestError for anything else, and for what is newer."""
        from .keeping import from_json

        return from_json(cls, text)


def _parts(content: tuple[str | Part, ...]) -> tuple[Part, ...]:
    return tuple(TextPart(item) if isinstance(item, str) else item for item in content if item != "")


@attrs.frozen(eq=False, repr=False)
class Usage(Value):
    """Token counts as the vendor reports them. None means unknown, never zero.

    `input_tokens` includes cached and cache-written tokens; `output_tokens` includes reasoning tokens.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, eq=False, repr=False)

    @property
    def total_tokens(self) -> int | None:
        """Input and output together, None if either is unknown."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    def __add__(self, other: object) -> Usage:
        """Return both together; a count that either does not know is not known. `raw` is of one answer: left out."""
        if other == 0:
            return self  # what `sum` begins with
        if not isinstance(other, Usage):
            return NotImplemented
        totals: dict[str, Any] = {}
        for name in COUNTS:
            mine, theirs = getattr(self, name), getattr(other, name)
            totals[name] = None if mine is None or theirs is None else mine + theirs
        return Usage(**totals)

    __radd__ = __add__

    def __str__(self) -> str:
        asked, written = ("?" if count is None else f"{count:,}" for count in (self.input_tokens, self.output_tokens))
        cached = f" ({self.cached_input_tokens:,} cached)" if self.cached_input_tokens else ""
        reasoning = f" ({self.reasoning_tokens:,} reasoning)" if self.reasoning_tokens else ""
        return f"{asked} tokens in{cached}, {written} out{reasoning}"


COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
"""The fields of `Usage` that are counts."""
_SIGNS = {"USD": "$", "CNY": "¥", "EUR": "€"}


@attrs.frozen(eq=False, repr=False)
class Cost(Value):
    """What a reply cost: `amount` in `currency`. `basis` says where the figure comes from.

    Costs of one currency are added (`sum` too) and compared by their amounts. Two currencies are a ValueError: no rate
    between them is known here. `f"{cost:.2f}"` is the amount with so many digits, and the sign of its currency.
    """

    amount: float
    currency: str = "USD"
    basis: str = ""

    def __add__(self, other: object) -> Cost:
        if other == 0:
            return self  # what `sum` begins with
        if not isinstance(other, Cost):
            return NotImplemented
        basis = self.basis if self.basis == other.basis else ""
        return Cost(self.amount + self._amount_of(other), self.currency, basis)

    __radd__ = __add__

    def __lt__(self, other: object) -> bool:
        return self.amount < self._amount_of(other) if isinstance(other, Cost) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.amount <= self._amount_of(other) if isinstance(other, Cost) else NotImplemented

    def _amount_of(self, other: Cost) -> float:
        if other.currency != self.currency:
            raise ValueError(f"A cost in {self.currency} and one in {other.currency}: no rate between them is known.")
        return other.amount

    def __format__(self, spec: str) -> str:
        return f"{_SIGNS.get(self.currency, f'{self.currency} ')}{format(self.amount, spec or '.6f')}"

    def __str__(self) -> str:
        return format(self, "")


@attrs.frozen(eq=False, repr=False)
class Adjustment(Value):
    """A warning: what was asked is not quite what was sent, or what came back is not quite complete.

    `kind`: `dropped` (left out), `lowered` (a weaker form was sent), `renamed` (same meaning, other field),
    `added` (sent though not asked for), `redirected` (another model answers), `missing` (the vendor left
    something out), `invalid` (what the model wrote does not fit its schema, or a text could not be written as it was),
    `unchecked` (whether it fits could not be found out), `note`. `field` is the option or body field; `fact` the number
    in the vendor's quirk table.
    """

    kind: Literal["dropped", "lowered", "renamed", "added", "redirected", "missing", "invalid", "unchecked", "note"]
    field: str
    reason: str
    fact: str = ""

    def __str__(self) -> str:
        text = f"{self.kind} {self.field}: {self.reason}" + (f" ({self.fact})" if self.fact else "")
        return one_line(text, _LONGEST_WARNING)  # it may quote what the model wrote


@attrs.frozen(eq=False, repr=False)
class Attempt(Value):
    """One HTTP exchange of a call. `outcome` is `ok`, `cancelled`, or the class name of the error that ended it."""

    target: str
    outcome: str
    seconds: float
    status: int | None = None
    wait_seconds: float = 0.0
    error: ChatportError | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class Citation(Value):
    """A source that an answer names. None means: the vendor does not say.

    `span` are the beginning and the end, in characters of the reply's text, of what the source is cited for; one place
    where both are the same. `text` is what the vendor quotes of the source, `mark` the number or the name by which
    the answer's text refers to it. `extra` holds what else the vendor tells of it, under the vendor's names.
    """

    url: str | None = None
    title: str | None = None
    span: tuple[int, int] | None = None
    text: str | None = None
    mark: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict)


def _beginning(data: str | None) -> str:
    return (
        repr(data) if data is None or len(data) <= _SHOWN_DATA else f"{data[:_SHOWN_DATA]!r}… ({len(data)} characters)"
    )


@attrs.frozen(eq=False, repr=False)
class Media(Value):
    """A picture, a recording or a file that came with an answer: where it is (`url`), or its bytes in base64 (`data`).

    `media_type` is such as `image/png`, None where neither the vendor nor the bytes' beginning tells. `extra` holds
    what else the vendor tells of it. Chatport fetches nothing itself.
    """

    kind: Literal["image", "audio", "video", "file"]
    media_type: str | None = None
    url: str | None = None
    data: str | None = attrs.field(default=None, repr=_beginning)
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)

    def content(self) -> bytes:
        """Return the bytes. Raises MalformedReplyError if they are not here, or are no base64."""
        import base64  # only who takes pictures needs it

        if self.data is None:
            raise MalformedReplyError(f"The {self.kind} is not in the reply, it is at {self.url}: fetch it from there.")
        try:
            # Pieces of a stream may each have been padded.
            return b"".join(base64.b64decode(part + "=" * (-len(part) % 4)) for part in self.data.split("=") if part)
        except ValueError as error:
            raise MalformedReplyError(f"The {self.kind} in the reply is no base64: {error}.") from error


@attrs.frozen(eq=False, repr=False)
class Alternative(Value):
    """One of the further choices of a reply that was asked with n > 1."""

    text: str = ""
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "other"
    raw_finish_reason: str | None = None
    refusal: str | None = None
    logprobs: Any = None
    citations: tuple[Citation, ...] = ()
    media: tuple[Media, ...] = ()


@attrs.frozen(eq=False, repr=False)
class OutputSpec(Value):
    """The structure the reply's text must have. `type` is the caller's type, None for a plain schema.

    Vendors want an object. For a list, a number or a choice of types `schema` is an object with that under the key
    `inside`, and `Reply.parsed` gives what is there.
    """

    name: str
    schema: Mapping[str, Any]
    strict: bool = True
    type: Any = None
    inside: str = ""

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)
        freeze_fields(self, "schema", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class Reply(Value, Generic[T_co]):
    """A whole answer. For type checkers it is a `Reply[T]` where `output=T` was asked for.

    `finish_reason` is ours, `raw_finish_reason` the vendor's word. `warnings` lists what was dropped, renamed or
    lowered. `citations` are the sources that the vendor names, in its order; `media` are pictures, recordings and files
    that came with the answer, spoken output included (which is in `audio` as well, with its transcript). `raw` is the
    vendor's JSON for a plain reply, and the envelope (all but the pieces) for a stream. `protocol` is the one in which
    the vendor was spoken to, such as `chat`.
    """

    text: str = ""
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "other"
    raw_finish_reason: str | None = None
    usage: Usage = attrs.field(factory=Usage)
    cost: Cost | None = None
    refusal: str | None = None
    provider: str = ""
    model: str = ""
    id: str | None = None
    request_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    warnings: tuple[Adjustment, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    logprobs: Any = attrs.field(default=None, repr=False)
    audio: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    rate_limits: RateLimits | None = attrs.field(default=None, repr=False)
    opaque: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    raw: Any = attrs.field(default=None, eq=False, repr=False)
    output: OutputSpec | None = attrs.field(default=None, eq=False, repr=False)
    citations: tuple[Citation, ...] = ()
    media: tuple[Media, ...] = ()
    protocol: str = ""

    @property
    def message(self) -> Message:
        """The assistant message to append to the conversation, with what its vendor wants back."""
        return Message(
            "assistant",
            (TextPart(self.text),) if self.text else (),
            self.tool_calls,
            refusal=self.refusal,
            reasoning=self.reasoning,
            origin=self.provider or None,
            opaque=self.opaque,
        )

    def parsed(self) -> T_co:
        """Return the text as the type given in `output=` (plain Python values for a JSON Schema dict).

        It is held against the schema as you gave it, whatever part of it the vendor could be sent. Raises
        MalformedReplyError, with the reply as its `partial`, when the reply is refused, cut, not JSON, or does not
        fit, and when 500,000 steps do not suffice to find that out.
        """
        from ..schemas.answers import UncheckedError, fit_text  # most replies are never asked

        expect(self.text, str, "The text of a Reply is a text", BadRequestError)
        if self.refusal:
            raise self._unfit(f"The model refused: {self.refusal}")
        if self.finish_reason == "length":
            raise self._unfit("The reply was cut at its token limit; raise max_tokens.")
        expect(self.output, (OutputSpec, type(None)), "The output of a Reply is an OutputSpec", BadRequestError)
        wanted = self.output
        try:
            value: T_co
            if wanted is None:
                value = fit_text(self.text, None, None)
            else:
                value = fit_text(self.text, wanted.type, wanted.schema, wanted.inside)
            return value
        except Exception as error:  # a type of the caller's own may raise anything in its making, and the reply is here
            known = not isinstance(error, UncheckedError)
            what = "is not the structure that was asked for" if known else "could not be held against its schema"
            raise self._unfit(
                f"The reply {what}: {error}.",
                raw=self.text,
                retryable=not self.text.strip(),  # nothing but blanks is a known mishap of constrained decoding
            ) from error

    def to_json(self) -> str:
        """Return it as JSON text, to be kept: all but `raw`, and the type in `output`, of which the schema stays.

        Raises BadRequestError for values in it that JSON has not.
        """
        from .keeping import to_json  # only who keeps things needs it

        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Reply:
        """Return what `to_json` has written. Raises BadRequestError for anything else, and for what is newer."""
        from .keeping import from_json

        return from_json(cls, text)

    def _repr_markdown_(self) -> str:
        """Return it as a notebook shows it."""
        from .notebook import markdown_of

        return markdown_of(self)

    def _unfit(self, problem: str, **more: Any) -> MalformedReplyError:
        return MalformedReplyError(problem, provider=self.provider, model=self.model, partial=self, **more)


@attrs.frozen(eq=False, repr=False)
class ModelInfo(Value):
    """A model as the vendor lists it. `raw` is the vendor's own entry."""

    id: str
    created: int | None = None
    owned_by: str | None = None
    context_tokens: int | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, eq=False, repr=False)


@attrs.frozen(eq=False, repr=False)
class RateLimits(Value):
    """Headroom as the vendor's headers tell it; `*_reset_seconds` count from the reply."""

    requests_limit: int | None = None
    requests_remaining: int | None = None
    requests_reset_seconds: float | None = None
    tokens_limit: int | None = None
    tokens_remaining: int | None = None
    tokens_reset_seconds: float | None = None
