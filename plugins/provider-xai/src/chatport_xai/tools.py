"""`translate_tools` for xAI: schemas without what fails the whole request (XA-T3, XA-T4)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Call, WireTools, hookimpl
from chatport.helpers import Loss, in_words, joined, loss_warnings, with_parts

__all__ = ["fitted", "translate_tools"]

_UNTAKEN = frozenset({"contains", "minContains", "maxContains"})  # XA-T4
_MOST = {
    **dict.fromkeys(("minLength", "maxLength"), 2048),  # XA-T3
    **dict.fromkeys(("minItems", "maxItems"), 256),
    **dict.fromkeys(("minProperties", "maxProperties"), 64),
}
_MOST_PARTS = 16
"""Parts of an `allOf` that are joined: each costs a walk through what was joined before."""
_UNIONS = ("enum", "anyOf", "oneOf", "allOf")


@hookimpl(wrapper=True)
def translate_tools(call: Call) -> Generator[None, WireTools, WireTools]:
    """Fit the schema of each function; server tools stand behind them, as they are."""
    wire = yield
    sent, notes = list(wire.tools or ()), list(wire.adjustments)
    for number, own in enumerate(call.tools[: len(sent)]):
        function, losses = sent[number]["function"], list[Loss]()
        schema = function.get("parameters")
        if isinstance(schema, Mapping):
            sent[number] = {**sent[number], "function": {**function, "parameters": fitted(schema, "", losses)}}
            notes += loss_warnings(losses, f"tools.{own.name}.parameters", "XA-T4")
    return attrs.evolve(wire, tools=sent or wire.tools, adjustments=tuple(notes))


def fitted(schema: Mapping[str, Any], path: str, losses: list[Loss]) -> dict[str, Any]:
    """Return a schema in the subset that is taken; what nothing stands for is told to the model in words."""
    schema = _alone(schema, path, losses)
    over = {word for word, most in _MOST.items() if isinstance(size := schema.get(word), int) and size > most}
    plain = _listed({word: value for word, value in schema.items() if word not in _UNIONS or value})
    losses.extend(Loss(path, word, "left out: it is empty") for word in _UNIONS if word in schema and not schema[word])
    plain = in_words(plain, _UNTAKEN | over, path, losses)
    return with_parts(plain, path, lambda part, at: _part(part, at, losses))


def _alone(schema: Mapping[str, Any], path: str, losses: list[Loss]) -> Mapping[str, Any]:
    """Say an `allOf` of several parts as one of one part (XA-T3): what can be is joined, the rest stands in a chain."""
    parts = schema.get("allOf")
    if not isinstance(parts, list | tuple) or len(parts) < 2:
        return schema
    whole: Mapping[str, Any] = {word: value for word, value in schema.items() if word != "allOf"}
    chain: list[Any] = []
    for part in reversed(parts[:_MOST_PARTS]):
        if not isinstance(part, Mapping):
            continue
        if part.keys() & {"$ref", "allOf"}:
            chain = [{**part, "allOf": [*part.get("allOf", ()), *chain]} if chain else part]
        else:
            whole = joined(part, whole, path, losses)
    rest = [*(part for part in parts[:_MOST_PARTS] if part is False), *parts[_MOST_PARTS:]]
    if rest:
        whole = in_words({**whole, "allOf": rest}, {"allOf"}, path, losses)
    return {**whole, "allOf": chain} if chain else whole


def _listed(schema: dict[str, Any]) -> dict[str, Any]:
    """Say a schema for each place of a list as the newer drafts do: `items` as a list is refused (XA-T4)."""
    if not isinstance(schema.get("items"), list | tuple):
        return schema
    rest = {"items": schema["additionalItems"]} if "additionalItems" in schema else {}
    own = {word: value for word, value in schema.items() if word not in ("items", "additionalItems")}
    return {**own, "prefixItems": schema["items"], **rest}


def _part(part: Any, path: str, losses: list[Loss]) -> Any:
    if isinstance(part, Mapping):
        return fitted(part, path, losses)
    if path.rpartition(".")[2] in ("additionalProperties", "items"):
        return part
    if part is False:
        losses.append(Loss(path, "false", "sent as a schema of anything: true and false are none here"))
    return {}
