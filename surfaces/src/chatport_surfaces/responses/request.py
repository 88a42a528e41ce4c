"""A client's request as a call: what every vendor has a word for, and beside it all of it in the protocol's own.

A vendor that is spoken to in this protocol gets the client's own words (`Native.fields`), any other the options; what
neither can say is told as dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chatport import BadRequestError, Message, Native, OutputSpec

from ..bodies import object_of
from ..surface import Asked, ClientRequest, SurfaceContext
from .errors import NO_SUCH_RESPONSE
from .items import as_items, read_items, with_referred
from .parts import bad, text_of
from .store import MemoryStore
from .tools import Tools, read_choice, read_tools

__all__ = ["COUNTING", "read_request"]

COUNTING = "/v1/responses/input_tokens"
_OPTIONS = frozenset(
    {
        "model", "input", "stream", "store", "previous_response_id", "background", "temperature", "top_p",
        "max_output_tokens",
    }
)  # fmt: skip
"""Fields that are options of every call, or are served here."""
_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"


def read_request(request: ClientRequest, context: SurfaceContext, store: MemoryStore | None) -> Asked:
    """Return what is asked for. Raises BadRequestError for what cannot be meant, or done here."""
    body = object_of(request)
    _check_state(body)
    items = with_referred([*_earlier(body, store), *as_items(body.get("input"))], store)
    additional = [tool for item in items if item.get("type") == "additional_tools" for tool in item.get("tools") or ()]
    tools = read_tools([*(body.get("tools") or ()), *additional])
    choice, tools, is_chosen = read_choice(body.get("tool_choice"), tools)
    messages = [*_instructions(body), *read_items(items, context.seal)]
    fields = _fields(body, tools)
    told = frozenset(name for name, value in fields.items() if _is_told(name, value, is_chosen=is_chosen))
    return Asked(
        "tokens" if request.path.rstrip("/") == COUNTING else "chat",
        model=_model(body),
        messages=messages,
        options=_options(body, tools, choice),
        stream=body.get("stream") is True,
        native=Native("responses", fields, told),
        names=tools.names,
        body={**body, "input": items},
    )


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequestError("Missing required parameter: 'model'.", code="missing_required_parameter")
    return model


def _fields(body: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
    """Return what goes to a vendor of this protocol as it is: all but the options, and what is served here."""
    fields = {name: value for name, value in body.items() if name not in _OPTIONS and value is not None}
    if tools.functions and _is_usual(body.get("tool_choice")):  # the option says all of it, and facts fit it
        fields.pop("tool_choice", None)
    if tools.offered:  # of those that came with an item, which goes out itself, nothing is to be said twice
        fields["tools"] = body.get("tools") or []
    thoughts = {name: value for name, value in _inner(body, "reasoning").items() if name != "effort"}  # facts fit it
    return {**fields, "reasoning": thoughts} if thoughts else {n: v for n, v in fields.items() if n != "reasoning"}


def _is_usual(choice: Any) -> bool:
    """Whether a choice is one that every protocol has: a word, or a function by its only name."""
    return not isinstance(choice, Mapping) or (choice.get("type") == "function" and not choice.get("namespace"))


# --- what the server would keep


def _check_state(body: Mapping[str, Any]) -> None:
    """Raise BadRequestError for what needs a server that goes on by itself, or keeps more than answers (RS-S6)."""
    if body.get("background"):
        raise BadRequestError("No answers are made in the background here: leave out `background`, or stream.")
    if body.get("conversation"):
        raise BadRequestError(
            "No conversations are kept here: send all of it as `input`, or go on with `previous_response_id`."
        )


def _earlier(body: Mapping[str, Any], store: MemoryStore | None) -> Sequence[Mapping[str, Any]]:
    """Return the items that the request goes on from (RS-S4)."""
    known = body.get("previous_response_id")
    if known is None:
        return ()
    stored = None if store is None else store.get(str(known))
    if stored is not None:
        return stored.conversation
    nothing = " Nothing is kept here, since no store is configured: send the whole conversation as `input`."
    why = nothing if store is None else ""
    raise BadRequestError(f"Previous response with id {known!r} not found.{why}", code=NO_SUCH_RESPONSE)


def _instructions(body: Mapping[str, Any]) -> list[Message]:
    given = body.get("instructions")
    if given is not None and not isinstance(given, str):
        bad("instructions", "must be a text")
    return [Message.system(given)] if given else []


# --- options


def _options(body: Mapping[str, Any], tools: Tools, choice: Any) -> dict[str, Any]:
    output, more = _output(body)
    effort = _inner(body, "reasoning").get("effort")
    given = {
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "max_tokens": body.get("max_output_tokens"),
        "reasoning": effort,
        "tools": list(tools.offered) or None,
        "tool_choice": choice,
        "output": output,
        "extra": {**more, **_extra(body, tools)} or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _output(body: Mapping[str, Any]) -> tuple[OutputSpec | None, dict[str, Any]]:
    """Return the structure of the text (RS-T1), or in chat's words that it is to be JSON."""
    wanted = _inner(body, "text").get("format")
    if not isinstance(wanted, Mapping):
        return None, {}
    kind = wanted.get("type")
    if kind == "json_object":
        return None, {"response_format": {"type": "json_object"}}
    if kind != "json_schema":
        return None, {}
    schema = wanted.get("schema")
    if not isinstance(schema, Mapping):
        bad("text.format.schema", "must be a JSON schema")
    strict = wanted.get("strict")
    return OutputSpec(text_of(wanted, "name", "text.format"), schema, True if strict is None else bool(strict)), {}


def _extra(body: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
    """Return what is said in the words of chat: calls one by one, and probabilities (RS-R7)."""
    extra: dict[str, Any] = {}
    if body.get("parallel_tool_calls") is False and tools.functions:
        extra["parallel_tool_calls"] = False
    if body.get("top_logprobs") or _LOGPROBS in (body.get("include") or ()):
        extra["logprobs"] = True
        if body.get("top_logprobs"):
            extra["top_logprobs"] = body["top_logprobs"]
    return extra


def _inner(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, Mapping):
        bad(name, "must be an object")
    return value or {}


# --- what another vendor is not told in vain


def _is_told(name: str, value: Any, *, is_chosen: bool) -> bool:
    """Whether all that a field asks for stands in the options too, is done here, or is nothing at all."""
    if name == "tool_choice":
        return is_chosen
    says_all = _TOLD.get(name)
    return says_all is not None and says_all(value)


def _always(value: Any) -> bool:
    return True


_TOLD: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("instructions", "tools", "parallel_tool_calls", "top_logprobs", "metadata", "stream_options"), _always
    ),
    "reasoning": lambda value: isinstance(value, Mapping) and value.keys() <= {"effort", "summary", "generate_summary"},
    "text": lambda value: (
        isinstance(value, Mapping) and (value.keys() <= {"format"} or value.get("verbosity") in (None, "medium"))
    ),
    "include": lambda value: isinstance(value, list) and all(one in (_ENCRYPTED, _LOGPROBS) for one in value),
    "service_tier": lambda value: value in ("auto", "default"),
    "truncation": lambda value: value == "disabled",
}
