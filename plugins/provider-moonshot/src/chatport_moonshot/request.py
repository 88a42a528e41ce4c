"""`shape_request` for Moonshot: what its facts cannot say; fixed sampling, uploads, and schemas in its subset."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl
from chatport.helpers import reasons, schema_in_words, with_losses

from .schema import Misfit, fit_schema

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    _check_stop(wire.body.get("stop") or (), context)
    wire = wire.set("messages", [_message(message) for message in wire.body["messages"]])
    if "logprobs" not in wire.body:
        wire = wire.discard("top_logprobs")  # MS-P10: it means nothing alone
    return _output(_begun(_sampling(wire, context), call, context), call)


def _check_stop(stop: Any, context: Context) -> None:
    """Raise UnsupportedFeatureError for a stop string of more than 32 bytes (MS-P4)."""
    if any(len(text.encode()) > 32 for text in ([stop] if isinstance(stop, str) else stop)):
        raise UnsupportedFeatureError(
            f"{context.provider.title} takes stop strings of at most 32 bytes (MS-P4).",
            provider=context.provider.name,
            model=context.model,
        )


def _message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    return {**message, "content": [_part(part) for part in content]} if isinstance(content, list) else message


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refer to an uploaded picture as Moonshot does (MS-M1)."""
    file = part.get("file") if part.get("type") == "file" else None
    upload = file.get("file_id") if isinstance(file, Mapping) else None
    if upload is None:
        return part
    own = {key: value for key, value in part.items() if key != "file"}
    return {**own, "type": "image_url", "image_url": {"url": f"ms://{upload}"}}


def _sampling(wire: WireRequest, context: Context) -> WireRequest:
    """Take out what is fixed (MS-0.3, MS-P5, MS-X1); a value that is the fixed one is no wish that is lost."""
    fixed = {**context.facts.quirks["fixed"], **({} if reasons(wire, context) else {"temperature": 0.6})}
    for field in fixed.keys() & wire.body.keys():
        same = wire.body[field] in (fixed[field], None)
        reason = f"fixed at {fixed[field]} for this model"
        wire = wire.discard(field) if same else wire.drop(field, reason, "MS-P5")
    return wire


def _begun(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Give the beginning of an answer a blank for its thoughts, where the model thinks (MS-P16)."""
    if call.prefix is None or not reasons(wire, context):
        return wire
    *before, last = wire.body["messages"]
    wire = wire.set("messages", [*before, {**last, "reasoning_content": " "}])
    return wire.note("added", "messages.reasoning_content", "a blank where it is missing", "MS-R3")


def _output(wire: WireRequest, call: Call) -> WireRequest:
    wanted = wire.body.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return wire
    spec = wanted["json_schema"]
    try:
        schema, lost = fit_schema(spec["schema"])  # MS-J1, MS-T6
    except Misfit as misfit:
        return schema_in_words(wire, call, None, f"{misfit}", "MS-J1")
    wire = wire.set("response_format", {**wanted, "json_schema": {**spec, "schema": schema}})
    return with_losses(wire, lost, "output", "MS-T4")
