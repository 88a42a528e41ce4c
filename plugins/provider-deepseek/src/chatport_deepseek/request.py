"""`shape_request` for DeepSeek: what its facts cannot say, the beta API and where the id of an image stands."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl

from .tools import on_beta_path

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wire = wire.set("messages", [_message(message) for message in wire.body["messages"]])
    return _continued(_strict(wire, context), call, context)


def _message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_part(part) for part in content]}


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the id of an uploaded image where DeepSeek looks for it (DS-M1)."""
    file = part.get("file") if part.get("type") == "file" else None
    if not isinstance(file, Mapping) or "file_id" not in file:
        return part
    own = {key: value for key, value in part.items() if key != "file"}
    return {**own, **{key: value for key, value in file.items() if key != "filename"}}


def _strict(wire: WireRequest, context: Context) -> WireRequest:
    """Send strict tools to the beta API, which alone has them (DS-T5)."""
    beta = on_beta_path(wire.path, context.base_url)
    if beta in (None, wire.path) or not any(map(_is_strict, wire.body.get("tools", ()))):
        return wire
    wire = attrs.evolve(wire, path=str(beta))
    return wire.note("note", "tools.strict", "sent to the beta API, where strict tools are", "DS-T5")


def _is_strict(tool: Mapping[str, Any]) -> bool:
    function = tool.get("function")
    return isinstance(function, Mapping) and bool(function.get("strict"))


def _continued(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Send the beginning of an answer to the beta API, which alone goes on from one (DS-P18)."""
    if call.prefix is None:
        return wire
    beta = on_beta_path(context.provider.dialect.chat_path, context.base_url, beside_v1=True)
    if beta is None:
        raise UnsupportedFeatureError(
            f"DeepSeek goes on from the beginning of an answer on its beta API, and none is known for "
            f"{context.base_url} (DS-P18).",
            provider=context.provider.name,
            model=context.model,
        )
    return attrs.evolve(wire, path=beta)
