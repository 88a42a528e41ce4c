"""`shape_request` for Fireworks: nothing that its strict validation refuses, and nothing that it lowers in silence."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Context, ModelFacts, WireRequest, hookimpl
from chatport.standard.efforts import EFFORTS, is_weaker, nearest_effort
from chatport.standard.output import with_instruction

from .tools import fitted_tools

__all__ = ["describe_model", "shape_request"]

# FW-P1: what the vendor's SDK declares, here and in the two sets below; all else is a 400. Among it are its own
# fields (FW-P12), the keys of its cache (FW-B5), `reasoning_history` (FW-P10) and the old `functions` (FW-T2).
_FIELDS = """
model messages stream tools tool_choice parallel_tool_calls functions function_call response_format stop user metadata
max_tokens temperature top_p top_k min_p typical_p frequency_penalty presence_penalty seed n
repetition_penalty logit_bias logprobs top_logprobs reasoning_effort reasoning_history thinking service_tier prediction
context_length_exceeded_behavior prompt_truncate_len prompt_cache_key prompt_cache_isolation_key speculation echo
echo_last ignore_eos raw_output return_token_ids safe_tokenization perf_metrics_in_response mirostat_lr mirostat_target
"""
_DECLARED = frozenset(_FIELDS.split())
_MESSAGE_KEYS = frozenset({"role", "content", "reasoning_content", "tool_calls", "tool_call_id"})
_PART_KEYS = frozenset({"type", "text", "image_url", "video_url"})
_PLAIN_LIMIT = 4096  # FW-P4: the lowest cap that was reported for calls that do not stream
_JSON_LIMIT = 8192  # FW-J2, FW-I4: what a loop of blanks may cost at most


def _full_id(model: str) -> str:
    """Return the id as the vendor has it: a short name is one of its own models (FW-E2)."""
    return model if "/" in model.partition("#")[0] else f"accounts/fireworks/models/{model}"


@hookimpl
def describe_model(model: str, context: Context) -> ModelFacts | None:
    """Look a model up by its full id, so that both forms mean the same facts."""
    facts = context.provider.facts
    return None if facts is None else facts.describe(_full_id(model), context.base_url)


@hookimpl(wrapper=True)
def shape_request(context: Context) -> Generator[None, WireRequest, WireRequest]:
    """Shape the request for Fireworks. A limit of the caller's must hold; one that JSON output adds need not."""
    wire = yield
    wire = fitted_tools(_messages(_declared(wire, context)), context)
    wire = _structured(_limited(_reasoning(wire, context)), context)
    return _streamed(wire).set("model", _full_id(wire.body["model"]))


def _declared(wire: WireRequest, context: Context) -> WireRequest:
    """Drop the fields that fail the whole request (FW-I1), and those without effect."""
    more = context.settings.get("extra_fields") or ()
    known = _DECLARED | {more} if isinstance(more, str) else _DECLARED | set(more)
    for field in [field for field in wire.body if field not in known]:
        wire = wire.drop(field, "Fireworks refuses fields that it does not know", "FW-P1")
    if wire.body.get("service_tier") == "flex":
        wire = wire.drop("service_tier", "only priority has an effect", "FW-P11")
    if "prompt_truncate_len" in wire.body:
        wire = wire.drop("safe_tokenization", "not together with prompt_truncate_len", "FW-P12")
    return wire


def _messages(wire: WireRequest) -> WireRequest:
    """Keep the keys that are known, in messages and their parts; what a model refused to say is its text (FW-P1)."""
    lost: dict[str, None] = {}
    messages = []
    for message in wire.body["messages"]:
        content = message.get("content") or message.get("refusal") or message.get("content")
        if isinstance(content, list):
            lost.update(dict.fromkeys(key for part in content for key in part if key not in _PART_KEYS))
            content = [{key: value for key, value in part.items() if key in _PART_KEYS} for part in content]
        lost.update(dict.fromkeys(key for key in message if key not in _MESSAGE_KEYS and key != "refusal"))
        known = {key: value for key, value in message.items() if key in _MESSAGE_KEYS}
        messages.append({**known, "content": content})
    wire = wire.set("messages", messages)
    return wire.note("dropped", "messages", f"unknown here: {', '.join(lost)}", "FW-P1") if lost else wire


def _reasoning(wire: WireRequest, context: Context) -> WireRequest:
    """Say how much to think in the words this model takes (FW-P7, FW-P8)."""
    effort, facts = wire.body.get("reasoning_effort"), context.facts
    if effort is None:
        return wire
    if wire.body.get("thinking") is not None:
        return wire.drop("reasoning_effort", "not together with thinking", "FW-P9")
    if isinstance(effort, bool):
        effort = "medium" if effort else "none"
    if isinstance(effort, int):
        if facts.quirks.get("budget", True):
            return wire
        if facts.quirks.get("switch"):
            return wire.lower("reasoning_effort", "medium", "no budgets here, only on and off: sent as on", "FW-P8")
        return wire.drop("reasoning_effort", "this model takes no budget in tokens", "FW-P8")
    if effort in facts.efforts or effort not in EFFORTS or not facts.efforts:
        wire = wire.set("reasoning_effort", effort)
        switch = facts.quirks.get("switch") and effort != "none"
        return wire.note("note", "reasoning", "this model only has on and off", "FW-P8") if switch else wire
    sent = nearest_effort(effort, facts.efforts)
    kind = "lowered" if effort == "none" or is_weaker(sent, effort) else "note"
    reason = f"this model cannot be told not to think: sent as {sent}" if effort == "none" else f"sent as {sent}"
    fact = "FW-P7" if effort in ("minimal", "xhigh", "max") else "FW-P8"
    return wire.set("reasoning_effort", sent).note(kind, "reasoning", reason, fact)


def _structured(wire: WireRequest, context: Context) -> WireRequest:
    """Tell the model what the grammar will hold it to: it does not see the schema, and may write blanks (FW-J2)."""
    wanted = wire.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if not isinstance(wanted, Mapping) or kind not in ("json_schema", "json_object"):
        return wire
    holder: Any = wanted.get("json_schema") if kind == "json_schema" else wanted
    schema = holder.get("schema") if isinstance(holder, Mapping) else holder
    said = json.dumps([m["content"] for m in wire.body["messages"] if m["role"] in ("system", "user")]).lower()
    if schema is not None or "json" not in said:
        fits = f"\nIt must fit this JSON Schema:\n{json.dumps(schema, ensure_ascii=False)}" if schema else ""
        wire = with_instruction(wire, f"Answer with one JSON value and nothing else.{fits}")
        wire = wire.note("added", "messages", "the schema in words, since the model does not see it", "FW-J2")
    if _limit(wire) is None:
        limit = min(_JSON_LIMIT, context.facts.max_output_tokens or _JSON_LIMIT)
        wire = wire.add("max_tokens", limit, "an end to blanks, which JSON output can go on with for ever", "FW-J2")
    return wire


def _limited(wire: WireRequest) -> WireRequest:
    """Have the limit mean what it says: by default it is lowered in silence (FW-P2, FW-F2)."""
    if _limit(wire) is None or "context_length_exceeded_behavior" in wire.body:
        return wire
    return wire.set("context_length_exceeded_behavior", "error")


def _streamed(wire: WireRequest) -> WireRequest:
    """Ask for a stream, which is folded for `chat`, where a limit is too high for a plain call (FW-P4)."""
    if wire.stream or (_limit(wire) or 0) <= _PLAIN_LIMIT:
        return wire
    return attrs.evolve(wire.set("stream", True), stream=True)


def _limit(wire: WireRequest) -> int | None:
    value = wire.body.get("max_tokens")
    return value if isinstance(value, int) else None
