"""The options of a call: what a caller gives by name, read into a `Call` and its timers."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, cast

from ..basics.frozen import NOTHING
from ..basics.secret import Secret
from ..basics.words import near_miss
from ..call import Call, Native, Tool, ToolChoice
from ..errors import BadRequestError, UnknownOptionError
from ..standard.efforts import EFFORTS
from ..types import Adjustment, OutputSpec
from .messages import MessagesInput, read_messages
from .values import read_timeouts

if TYPE_CHECKING:
    from .tools import ToolInput

__all__ = [
    "CHAT_OPTIONS",
    "EMBED_OPTIONS",
    "ChatOptions",
    "CommonOptions",
    "Effort",
    "UntypedOptions",
    "read_call",
    "read_timeout",
    "unknown_option",
]


Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | str
"""Our words for `reasoning=`, which editors show, or a vendor's own."""


class CommonOptions(TypedDict, total=False):
    """The options of every call but its tools and the structure of its text."""

    model: str | None
    """"provider:model", or an alias. Default: `model` of the configuration (`LLM_MODEL`)."""
    tool_choice: Any
    """`auto`, `none`, `required`, or a tool: its name or the function itself; else the vendor's own word or dict."""
    reasoning: Effort | int | bool | None
    """An effort (`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`, or the vendor's own word), a budget in
    tokens, or False."""
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    """The most tokens the model may write, its reasoning included where the vendor counts it."""
    stop: str | Sequence[str] | None
    seed: int | None
    timeout: float | Mapping[str, float] | None
    """Seconds for the whole call, or a dict of timers: connect, silence, first_event, between_events, total, queue."""
    extra: Mapping[str, Any] | None
    """Vendor-only body fields, sent as they are."""
    headers: Mapping[str, str | Secret] | None
    """More headers for the requests of this call, to the provider that it names first. A `Secret` is shown nowhere."""
    native: Native | None
    """What of the call is in the words of one protocol, for a program that speaks it to others. See `Native`."""
    on_unsupported: Literal["warn", "raise"] | None
    """What happens to an option that a vendor cannot honour: a warning on the reply, or UnsupportedFeatureError."""


class UntypedOptions(CommonOptions, total=False):
    """The options of `chat` and `stream` but the structure of the text."""

    tools: Sequence[ToolInput] | None
    """Functions with type hints, `Tool` values, or dicts: OpenAI-shaped functions, and tools of the vendor's own."""


class ChatOptions(UntypedOptions, total=False):
    """The options of `chat` and `stream`. All may be left out; None means left out."""

    output: Any
    """The structure of the text: a type (attrs, dataclass, msgspec, pydantic, a list of one, …), or a JSON Schema.

    See `Reply.parsed`.
    """


CHAT_OPTIONS = frozenset(ChatOptions.__annotations__)
EMBED_OPTIONS = ("model", "dimensions", "extra", "timeout")


def unknown_option(of: str, given: Iterable[str], known: Collection[str]) -> UnknownOptionError:
    """Return the error for an option that nothing takes, with the nearest that is."""
    name = next(name for name in given if name not in known)
    hint = near_miss(name, known, parts=True)
    if not hint and "extra" in known:
        hint = " A field of the vendor's own goes into extra={...}."
    return UnknownOptionError(f"{of} has no option {name!r}.{hint} Options: {', '.join(sorted(known))}.")


def _check_extra(extra: Any) -> None:
    if not isinstance(extra, Mapping):
        raise BadRequestError("extra must be a dict of body fields.")
    tools = extra.get("tools")
    is_list = isinstance(tools, list | tuple) and all(isinstance(tool, Mapping) for tool in tools)
    if tools is not None and not is_list:
        raise BadRequestError("extra.tools must be a list of objects, as all vendors have it.")


def read_call(
    messages: MessagesInput,
    *,
    stream: bool = False,
    tools: Sequence[ToolInput] | None = None,
    tool_choice: Any = None,
    output: Any = None,
    reasoning: Effort | int | bool | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    timeout: float | Mapping[str, float] | None = None,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str | Secret] | None = None,
    native: Native | None = None,
    on_unsupported: Literal["warn", "raise"] = "warn",
) -> tuple[Call, Mapping[str, float]]:
    """Return the call and its own timers from a user's arguments. Raises BadRequestError for what cannot be meant."""
    read, server_tools = ((), ()) if tools is None else _read_tools(tools)
    if on_unsupported not in ("warn", "raise"):
        raise BadRequestError(f'on_unsupported is "warn" or "raise", not {on_unsupported!r}.')
    fields: Any = extra or NOTHING
    if fields is not NOTHING:
        _check_extra(fields)
    history, notes = read_messages(messages), list[Adjustment]()
    for message in history:
        if message.tool_calls:
            from .history import mended  # only who goes on from an answer with calls needs it

            history, notes = mended(history, [tool.name for tool in read])
            break
    if tools:
        from .tools import bare_tools

        notes += bare_tools(tools)
    call = Call(
        history,
        stream,
        read,
        None if tool_choice is None else _tool_choice(tool_choice, read),
        None if output is None else _output(output),
        None if reasoning is None else _reasoning(reasoning),
        None if temperature is None else _number("temperature", temperature),
        None if top_p is None else _number("top_p", top_p),
        None if max_tokens is None else _whole("max_tokens", max_tokens),
        () if stop is None else _stop(stop),
        None if seed is None else _whole("seed", seed),
        fields,
        on_unsupported,
        adjustments=tuple(notes),
        headers=() if headers is None else _headers(headers),
        server_tools=server_tools,
        native=None if native is None else _native(native),
    )
    return call, {} if timeout is None else read_timeout(timeout)


# What most calls do not have is read by modules that are loaded with the first that has it.


def _read_tools(tools: Sequence[ToolInput]) -> tuple[tuple[Tool, ...], tuple[Mapping[str, Any], ...]]:
    from .tools import read_server_tools, read_tools

    read = read_tools(tools)
    return read, read_server_tools(tools) if len(read) < len(tools) else ()


def _tool_choice(choice: Any, tools: tuple[Tool, ...]) -> ToolChoice | None:
    from .tools import read_tool_choice

    return read_tool_choice(choice, tools)


def _output(output: Any) -> OutputSpec | None:
    from .output import read_output

    return read_output(output)


def _native(native: Any) -> Native:
    from ..basics.typed import expect

    expect(native, Native, "native is a chatport.Native", BadRequestError)
    return cast(Native, native)


def _headers(headers: Any) -> tuple[tuple[str, str | Secret], ...]:
    from .headers import read_headers

    return read_headers(headers)


def _reasoning(value: Any) -> str | int:
    if value is True:  # the vendor's own default effort
        return "medium"
    if value is False:
        return "none"
    if isinstance(value, int):
        if value < 1:
            raise BadRequestError(
                'A reasoning budget is a positive number of tokens; reasoning="none" switches it off.'
            )
        return value
    if isinstance(value, str) and value in EFFORTS:
        return value
    misspelt = near_miss(value, EFFORTS) if isinstance(value, str) else ""
    if not isinstance(value, str) or not value or misspelt:  # else the vendor's own, and its facts know it
        raise BadRequestError(
            f"reasoning is one of {', '.join(EFFORTS)}, or a number of tokens, not {value!r}.{misspelt}"
        )
    return value


def _number(name: str, value: Any) -> float:
    """Return a finite number. How far it may go says the vendor: some end at 1, and some take -1 for no limit."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequestError(f"{name} is a number, not {value!r}.")
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequestError(f"{name} is a whole number, not {value!r}.")
    return value


def _stop(stop: Any) -> tuple[str, ...]:
    strings = (stop,) if isinstance(stop, str) else stop or ()
    if not isinstance(strings, Sequence) or not all(type(item) is str and item for item in strings):
        raise BadRequestError("stop is a text, or a list of texts, none of them empty.")
    return tuple(strings)


def read_timeout(timeout: Any) -> Mapping[str, float]:
    """Read `timeout=`: a number is the whole call, a dict the timers by name, as in the `[timeouts]` table."""
    if timeout is None:
        return {}
    if isinstance(timeout, int | float) and not isinstance(timeout, bool):
        return read_timeouts({"total": timeout}, "timeout")
    if isinstance(timeout, Mapping):
        return read_timeouts(timeout, "timeout")
    raise BadRequestError("timeout is a number of seconds for the whole call, or a dict of timers.")
