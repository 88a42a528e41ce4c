"""What travels through the hooks: the call, its context, the request on the wire, and what comes back from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import attrs
import msgspec

from . import jsoncodec
from .basics.frozen import NOTHING, freeze_fields
from .basics.secret import Secret
from .basics.sizes import Limits
from .basics.typed import check_fields
from .basics.values import Value
from .errors import BadRequestError, MalformedReplyError
from .facts.models import ModelFacts
from .types import Adjustment, OutputSpec

if TYPE_CHECKING:
    from .errors import ChatportError
    from .events import Event
    from .provider import Provider
    from .types import Message

__all__ = [
    "Call",
    "Chunk",
    "Context",
    "ErrorDetails",
    "Failure",
    "Native",
    "OutputSpec",
    "StreamState",
    "Tool",
    "ToolChoice",
    "Verdict",
    "WireRequest",
    "WireTools",
    "is_native",
]


@attrs.frozen(eq=False, repr=False)
class Tool(Value):
    """A function the model may call. `schema` is the JSON Schema of its arguments (an object).

    `extra` holds vendor-only keys of the tool, such as a cache mark; those under `"function"` go into its function.
    They are sent as they are.
    """

    name: str
    description: str = ""
    schema: Mapping[str, Any] = attrs.field(factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    function: Callable[..., Any] | None = attrs.field(default=None, eq=False, repr=False)
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)
        freeze_fields(self, "schema", "extra", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class ToolChoice(Value):
    """Which tools the model may or must call: `auto`, `none`, `required`, or `named` with the tool's `name`.

    `vendor`: in the vendor's own word or object, such as `any` or a list of allowed tools, carried as it is in `value`.
    """

    mode: Literal["auto", "none", "required", "named", "vendor"]
    name: str | None = None
    value: Any = None

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)
        if self.value is not None:
            freeze_fields(self, "value", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class Native(Value):
    """What of a call is in the words of one protocol, since it came in it: for whoever stands between two.

    `protocol` is its name, such as `messages`. `fields` are body fields; parts, tools and keys of the vendor's own are
    in its words too. A vendor that is spoken to in this protocol gets all of them, in the place of the call's `extra`,
    and a stream hands its chunks over as they came (`ChunkSeen`). One that is spoken to in another gets none of them,
    with a warning for each, but for fields named in `told`: what those ask for stands in the call's options as well.
    """

    protocol: str
    fields: Mapping[str, Any] = attrs.field(factory=dict)
    told: frozenset[str] = frozenset()

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)
        freeze_fields(self, "fields", error=BadRequestError)

    def is_of(self, provider: Provider) -> bool:
        """Whether a provider is spoken to in this protocol, so that these words are the vendor's own."""
        return self.protocol == provider.protocol


@attrs.frozen(eq=False, repr=False)
class Call(Value):
    """What the user asked for, once, in our words. None means: not asked for, the vendor's default holds.

    `reasoning`: an effort word (`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`, or a vendor's own), a
    budget in tokens, or None. `server_tools` are those that are no functions: the vendor runs them, and has its own
    shape for each. `extra` is for vendor-only body fields. `stream` says whether the caller wants pieces. `prefix` is
    the beginning of the answer, from which the vendor is to go on. `adjustments` tell what was mended in earlier
    answers, so that they can be sent again. `headers` are the call's own, names in lower case; one that is a Secret is
    shown nowhere. `native` is what of it is in one protocol's own words.
    """

    messages: tuple[Message, ...]
    stream: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    output: OutputSpec | None = None
    reasoning: str | int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    extra: Mapping[str, Any] = NOTHING
    on_unsupported: Literal["warn", "raise"] = "warn"
    prefix: str | None = None
    adjustments: tuple[Adjustment, ...] = ()
    headers: tuple[tuple[str, str | Secret], ...] = attrs.field(default=(), repr=False)
    server_tools: tuple[Mapping[str, Any], ...] = ()
    native: Native | None = None

    def __attrs_post_init__(self) -> None:
        if self.extra is not NOTHING:
            freeze_fields(self, "extra", error=BadRequestError)
        if self.server_tools:
            freeze_fields(self, "server_tools", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class Context(Value):
    """Where a call goes: everything a hook may depend on besides the call itself. It holds no key.

    `model` is the id for the vendor (after a retired name was followed), `settings` the provider's own table in
    the configuration, less the key. `limits` are the most that is accepted of an answer.
    """

    provider: Provider
    model: str
    base_url: str
    facts: ModelFacts = attrs.field(factory=ModelFacts)
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    limits: Limits = attrs.field(factory=Limits)

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "settings", error=BadRequestError)

    @property
    def target(self) -> str:
        """`provider:model`, as in errors and logs."""
        return f"{self.provider.name}:{self.model}"


def is_native(call: Call, context: Context) -> bool:
    """Whether a call came in the protocol in which its vendor is spoken to: it knows the vendor's own words."""
    return call.native is not None and call.native.is_of(context.provider)


@attrs.frozen(eq=False, repr=False)
class WireRequest(Value):
    """The HTTP request to be, without host and key. Values are never changed in place: each method gives a new one.

    `stream` says whether the answer will be an event stream; a hook may set it for a plain call, since `chat()`
    folds a stream. `adjustments` become the reply's warnings. `output_tool` names the tool whose arguments are the
    text of the answer: structured output by a forced tool call.
    """

    path: str
    body: Mapping[str, Any]
    method: str = "POST"
    headers: Mapping[str, str] = attrs.field(factory=dict)
    stream: bool = False
    adjustments: tuple[Adjustment, ...] = ()
    output_tool: str | None = None

    def set(self, field: str, value: Any) -> WireRequest:
        """Return the request with a body field set, as part of plain translation."""
        return self._with({**self.body, field: value}, self.adjustments)

    def update(self, fields: Mapping[str, Any]) -> WireRequest:
        """Return the request with several body fields set."""
        return self._with({**self.body, **fields}, self.adjustments) if fields else self

    def with_headers(self, headers: Mapping[str, str]) -> WireRequest:
        """Return the request with more headers. The key's header is not among them: core adds it at the end."""
        return attrs.evolve(self, headers={**self.headers, **headers})

    def add(self, field: str, value: Any, reason: str, fact: str = "") -> WireRequest:
        """Return the request with a field the caller did not ask for, and a note that says why."""
        return self.set(field, value).note("added", field, reason, fact)

    def drop(self, field: str, reason: str, fact: str = "") -> WireRequest:
        """Return the request without a field the caller asked for, and a warning. Absent field: unchanged."""
        if field not in self.body:
            return self
        body = {name: value for name, value in self.body.items() if name != field}
        return attrs.evolve(self, body=body).note("dropped", field, reason, fact)

    def discard(self, field: str) -> WireRequest:
        """Return the request without a field that carries no wish of the caller's: no warning."""
        if field not in self.body:
            return self
        return self._with({name: value for name, value in self.body.items() if name != field}, self.adjustments)

    def lower(self, field: str, value: Any, reason: str, fact: str = "") -> WireRequest:
        """Return the request with a weaker value than was asked for, and a warning."""
        return self.set(field, value).note("lowered", field, reason, fact)

    def rename(self, old: str, new: str, reason: str = "", fact: str = "") -> WireRequest:
        """Return the request with a field under another name and the same meaning. Absent field: unchanged."""
        if old not in self.body:
            return self
        body = {new if name == old else name: value for name, value in self.body.items()}
        return attrs.evolve(self, body=body).note("renamed", old, reason or f"sent as {new}", fact)

    def note(self, kind: Any, field: str, reason: str, fact: str = "") -> WireRequest:
        """Return the request with one more adjustment; the body is untouched."""
        return self._with(self.body, (*self.adjustments, Adjustment(kind, field, reason, fact)))

    def _with(self, body: Mapping[str, Any], adjustments: tuple[Adjustment, ...]) -> WireRequest:
        """Return the request with these two. By hand: `evolve` takes ten times as long, several times for each call."""
        return WireRequest(self.path, body, self.method, self.headers, self.stream, adjustments, self.output_tool)


@attrs.frozen(eq=False, repr=False)
class WireTools(Value):
    """The vendor's tool list and choice, ready for the body (None: the field is left out).

    `names` maps a name as sent to the caller's own where they differ; core maps the calls back.
    """

    tools: Sequence[Any] | None = None
    choice: Any = None
    names: Mapping[str, str] = attrs.field(factory=dict)
    adjustments: tuple[Adjustment, ...] = ()


class Chunk(msgspec.Struct, eq=False, gc=False):
    """One event of the stream: its `event` name ("message" if none), the `raw` bytes of its data, and `data`.

    `data` is decoded on first use, once. What carries no JSON, the end marker `[DONE]` and an event without data, gives
    an empty object, so a hook need not look for it. Raises MalformedReplyError for anything else that is not JSON.
    (A struct, like the events: one is made for every chunk.)
    """

    raw: bytes
    event: str = "message"
    _data: Any = None

    def __repr__(self) -> str:
        return f"<chatport.Chunk {self.event!r}, {len(self.raw)} bytes>"  # the bytes may hold a prompt

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("event", self.event)]  # tracebacks of rich and structlog ask here, and a struct would tell all

    @property
    def data(self) -> Any:
        if self._data is None:
            try:
                self._data = jsoncodec.decode(self.raw, math.inf)  # whoever makes a chunk has counted its values
            except ValueError as error:
                if self.raw.strip() in (b"[DONE]", b""):
                    return {}
                shown = self.raw[:200].decode("utf-8", "replace")
                raise MalformedReplyError(
                    f"A stream event is not valid JSON ({error}): {shown!r}",
                    raw=shown,
                    retryable=not isinstance(error, jsoncodec.TooDeepError),
                ) from None
        return self._data


class StreamState:
    """What a decoder remembers between the chunks of one attempt. One per attempt; `scratch` is for plugins."""

    __slots__ = ("beside", "call_count", "choices", "ended", "named", "scratch", "started", "uncommon")

    def __init__(self) -> None:
        self.choices: dict[int, Any] = {}
        self.scratch: dict[str, Any] = {}
        self.started = False
        self.named = False
        """Whether a chunk has told of what reply it is; some lead a stream in with one that does not."""
        self.uncommon = 0
        """How many chunks to come are not taken for what nearly every vendor sends; for the standard decoder alone."""
        self.beside: Any = None
        """What was told last beside the choices, which some repeat; for the standard decoder alone."""
        self.call_count: Any = None
        """How many tool calls there are so far; for the standard decoder alone."""
        self.ended = False
        """Set by a decoder that has seen the vendor's own end event, such as `[DONE]`."""


@attrs.frozen(eq=False, repr=False)
class ErrorDetails(Value):
    """A vendor's error as read from any of the usual shapes; empty where nothing could be read."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str = ""
    data: Mapping[str, Any] = attrs.field(factory=dict)
    """The innermost error object itself."""


@attrs.frozen(eq=False, repr=False)
class Failure(Value):
    """What `classify_error` looks at.

    `where` is `response` (status 400 or more), `body` (a 200 whose JSON is an error) or `chunk` (inside a
    stream). `data` is the decoded JSON, None if it is none; `body` the text, cut to a readable length.
    """

    status: int
    headers: Mapping[str, str]
    where: Literal["response", "body", "chunk"]
    data: Any
    body: str
    details: ErrorDetails


@attrs.frozen(eq=False, repr=False)
class Verdict(Value):
    """What a failure means: the error class, whether and when to try again, and the text to show.

    None leaves a value to the defaults (the class's own `retryable`, the headers' hints, the vendor's message).
    `events` turns the failure into a reply: they are decoded as if the vendor had sent them.
    """

    error: type[ChatportError]
    retryable: bool | None = None
    retry_after_seconds: float | None = None
    message: str | None = None
    code: str | None = None
    events: Sequence[Event] = ()
