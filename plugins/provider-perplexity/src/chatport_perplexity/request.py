"""`shape_request` for Perplexity's Agent API, which is Responses with names of its own and no patience (PX-P1)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from chatport import Call, Context, WireRequest, hookimpl

__all__ = ["shape_request"]

_FILTERS = (
    *("search_domain_filter", "search_recency_filter", "search_after_date_filter", "search_before_date_filter"),
    *("last_updated_after_filter", "last_updated_before_filter"),
)
_OPTIONS = ("search_context_size", "user_location")
_SIGNED = ("name", "thought_signature")


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    if context.provider.protocol != "responses" or "/orchestrator/" in context.base_url:
        return wire  # the Orchestrator is the standard's (PX-2)
    wire = _searching(wire)
    wire = _preset(wire.set("input", list(_items(wire.body["input"]))))
    return _chosen(_formatted(wire.discard("include")))  # nothing sealed comes back (PX-R1)


def _preset(wire: WireRequest) -> WireRequest:
    """Name a preset as one: models are called `provider/name` (PX-L1, PX-P5)."""
    model = wire.body.get("model")
    return wire if not isinstance(model, str) or "/" in model else wire.discard("model").set("preset", model)


def _searching(wire: WireRequest) -> WireRequest:
    """Say Sonar's wishes about the search as the tool that searches (PX-P10, PX-W1, PX-I1)."""
    options = wire.body.get("web_search_options")
    options = options if isinstance(options, Mapping) else {}
    asked = [name for name in (*_FILTERS, "web_search_options") if name in wire.body]
    if not asked:
        return wire
    tools = list(wire.body.get("tools") or ())
    own: Mapping[str, Any] = next((tool for tool in tools if tool.get("type") == "web_search"), {"type": "web_search"})
    filters = {name: wire.body[name] for name in _FILTERS if name in wire.body} | dict(own.get("filters") or {})
    known = {name: options[name] for name in _OPTIONS if name in options}
    search = {**known, **own, **({"filters": filters} if filters else {})}
    for name in asked:
        lost = [key for key in options if key not in _OPTIONS] if name == "web_search_options" else []
        wire = wire.discard(name).note("renamed", name, "a part of the tool web_search here", "PX-P10")
        wire = wire.note("dropped", name, f"the tool has no {', '.join(lost)}", "PX-W1") if lost else wire
    return wire.set("tools", [*(tool for tool in tools if tool is not own), search])


def _formatted(wire: WireRequest) -> WireRequest:
    """Ask for a structure as in chat: `text.format` is refused (PX-J1)."""
    text = wire.body.get("text")
    wanted = text.get("format") if isinstance(text, Mapping) else None
    wire = wire.discard("text")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return wire
    spec = {key: value for key, value in wanted.items() if key != "type"}
    return wire.set("response_format", {"type": "json_schema", "json_schema": spec})


def _chosen(wire: WireRequest) -> WireRequest:
    """Name a function without saying that it is one (PX-T3)."""
    choice = wire.body.get("tool_choice")
    is_named = isinstance(choice, Mapping) and choice.get("type") == "function"
    return wire.set("tool_choice", {"name": choice.get("name")}) if is_named and choice else wire


def _items(items: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Give the conversation as the three kinds of items that are taken (PX-F2, PX-T1).

    Anything else would fail the whole request.
    """
    called: dict[Any, Mapping[str, Any]] = {}
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            yield {"type": "message", "role": item.get("role"), "content": _content(item)}
        elif kind == "function_call":
            called[item.get("call_id")] = item
            yield item
        elif kind == "function_call_output":
            own = called.get(item.get("call_id"), {})
            signed = {key: own[key] for key in _SIGNED if key in own}
            yield {**item, "output": _text(item.get("output")), **signed}


def _content(item: Mapping[str, Any]) -> Any:
    """Return a message's content; that of an earlier answer is a text (PX-F2)."""
    content = item.get("content")
    return _text(content) if item.get("role") == "assistant" else content


def _text(content: Any) -> Any:
    """Return the text of a list of parts, and anything else as it is."""
    if not isinstance(content, list | tuple):
        return content
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in content)
