"""A request of the Messages protocol as a call.

What a vendor of another protocol can be told stands in the call's options. Whoever speaks this one gets the body's own
fields besides, in `Native`: those that nobody here reads, and those in which the client says more than our options do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chatport import BadRequestError, Native

from ..bodies import object_of
from ..surface import Asked, ClientRequest, SurfaceContext
from .errors import THREAD_UNSUPPORTED
from .shape import table, text, without
from .tools import forbids_parallel, names_of, read_choice, read_tools
from .turns import read_turns

__all__ = ["read_request"]

_SHAPED = (
    "model", "messages", "system", "stream", "max_tokens", "temperature", "top_p", "stop_sequences", "tools",
    "tool_choice", "thinking", "output_config", "output_format", "betas",
)  # fmt: skip
"""Fields that are read here, and which the vendor's provider writes anew, or which are given to it below."""
_NO_THREADS = (
    "thread: a conversation that the server holds is not supported here, since any vendor may answer the next request. "
    "Send all messages each time; for a tool runner that is `thread: false`."
)
_OF_THE_KEY = "oauth-"
"""Betas about how the client has signed in. It has signed in here, and not at the vendor."""


def read_request(request: ClientRequest, context: SurfaceContext, *, counts: bool) -> Asked:
    """Return the call, or with `counts` what to estimate the tokens of. Raises BadRequestError."""
    body = object_of(request)
    model, stream = text(body.get("model", ""), "model"), body.get("stream")
    if not isinstance(stream, bool | None):
        raise BadRequestError("stream: Input should be a valid boolean")
    if body.get("thread") is not None:
        raise BadRequestError(_NO_THREADS, code=THREAD_UNSUPPORTED)
    messages, options = read_turns(body, context.seal), dict(_options(body))
    if counts:
        return Asked("tokens", model, messages, options, body=body)
    return Asked("chat", model, messages, options, bool(stream), _native(body, request.headers), body=body)


def _options(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give the options of the call, those that were asked for."""
    tools = read_tools(body["tools"]) if body.get("tools") else []
    choice = body.get("tool_choice")
    wanted = {
        "tools": tools or None,
        "tool_choice": None if choice is None else read_choice(choice, names_of(tools)),
        "output": _schema(body),
        "reasoning": _reasoning(body),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "max_tokens": body.get("max_tokens"),
        "stop": body.get("stop_sequences") or None,
        "extra": {"parallel_tool_calls": False} if tools and forbids_parallel(choice) else None,
    }
    yield from ((name, value) for name, value in wanted.items() if value is not None)


def _native(body: Mapping[str, Any], headers: Mapping[str, str]) -> Native:
    """Return what is said in the protocol's own words, and which of it the options say too."""
    fields = without(body, *_SHAPED)
    config = _config(body)
    inner = without(config, "format") if _schema(body) is not None else dict(config)
    own = {
        "thinking": body.get("thinking"),
        "output_config": inner or None,
        "betas": _betas(headers.get("anthropic-beta", ""), body.get("betas")) or None,
        "parallel_tool_calls": False if forbids_parallel(body.get("tool_choice")) else None,
    }
    fields = {name: value for name, value in {**fields, **own}.items() if value is not None}
    told = {"parallel_tool_calls"}
    if _kind(body) in _THINKING:
        told.add("thinking")
    if inner.keys() <= {"effort"}:
        told.add("output_config")
    if fields.get("service_tier") == "auto":  # AN-R9: the default
        told.add("service_tier")
    return Native("messages", fields, frozenset(told))


def _betas(header: str, listed: Any) -> list[str]:
    """Return the beta features that the client switches on (AN-A3)."""
    names = [name.strip() for name in header.split(",")] + [str(name) for name in listed or ()]
    return [name for name in dict.fromkeys(names) if name and not name.startswith(_OF_THE_KEY)]


# --- thinking


_THINKING: Mapping[Any, Callable[[Mapping[str, Any], Any], Any]] = {
    "adaptive": lambda thinking, effort: effort or True,
    "enabled": lambda thinking, effort: effort or thinking.get("budget_tokens") or True,
    "disabled": lambda thinking, effort: "none",
    "between_tools": lambda thinking, effort: effort or "low",
}
"""What each kind of thinking is as `reasoning` (AN-R10). An effort is understood by more vendors than a budget."""


def _reasoning(body: Mapping[str, Any]) -> Any:
    """Return how much is to be thought: the effort, a budget, or nothing; None without a wish."""
    effort = _config(body).get("effort")
    read = _THINKING.get(_kind(body))
    return effort if read is None else read(body["thinking"], effort)


def _kind(body: Mapping[str, Any]) -> Any:
    thinking = body.get("thinking")
    return "" if thinking is None else text(table(thinking, "thinking").get("type"), "thinking.type")


# --- structured output


def _config(body: Mapping[str, Any]) -> Mapping[str, Any]:
    config = body.get("output_config")
    return {} if config is None else table(config, "output_config")


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of the wanted structure, in its place or in that of the beta before (AN-O1)."""
    wanted = _config(body).get("format") or body.get("output_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return None
    return table(wanted.get("schema"), "output_config.format.schema")
