"""Schemas as a vendor takes them, in tools and in structured output: the `schemas` rule of the facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from msgspec.structs import replace

from ..call import Call, Tool, WireRequest, WireTools
from ..facts.rules import SchemaRule
from ..types import Adjustment
from .plain import plain_schema
from .schemas import Loss, loss_warnings, with_losses
from .strict import NotStrict, strict_schema

__all__ = ["fit_output_schema", "fit_tools"]


def fit_tools(tools: WireTools, call: Call, rule: SchemaRule) -> WireTools:
    """Return the tools with their schemas as they are taken. Raises UnsupportedFeatureError for one without measure."""
    sent, notes = [], list(tools.adjustments)
    for tool, own in zip(tools.tools or (), call.tools, strict=True):
        function = tool["function"]
        if rule.barred_at_root:
            function, told = _rooted_function(function, own, rule)
            notes += told
        if rule.plain is not None:
            function, told = _plain_function(function, own, rule)
            notes += told
        if rule.strict is not None and own.strict:
            function, told = _strict_function(function, own, rule)
            notes += told
        sent.append({**tool, "function": function})
    return attrs.evolve(tools, tools=sent, adjustments=tuple(notes))


def _rooted_function(
    function: Mapping[str, Any], own: Tool, rule: SchemaRule
) -> tuple[Mapping[str, Any], tuple[Adjustment, ...]]:
    schema, barred = function["parameters"], rule.barred_at_root
    if schema.get("type") == "object" and "$ref" not in schema and schema.keys().isdisjoint(barred):
        return function, ()  # as nearly every schema is
    from .roots import joined_root

    field, losses = f"tools.{own.name}.parameters", list[Loss]()
    schema = joined_root(schema, barred, losses, field)
    return {**function, "parameters": schema}, loss_warnings(losses, field, rule.cite("barred_at_root"))


def _plain_function(
    function: Mapping[str, Any], own: Tool, rule: SchemaRule
) -> tuple[Mapping[str, Any], tuple[Adjustment, ...]]:
    assert rule.plain is not None
    field = f"tools.{own.name}.parameters"
    schema, losses = plain_schema(function["parameters"], rule.plain, field)
    return {**function, "parameters": schema}, loss_warnings(losses, field, rule.cite("losses"))


def _strict_function(
    function: Mapping[str, Any], own: Tool, rule: SchemaRule
) -> tuple[Mapping[str, Any], tuple[Adjustment, ...]]:
    assert rule.strict is not None
    try:
        kept = (*rule.strict.kept, *rule.strict.kept_in_tools)
        schema, losses = strict_schema(function["parameters"], replace(rule.strict, kept=kept))
    except NotStrict as problem:
        note = Adjustment("lowered", f"tools.{own.name}.strict", f"the schema cannot be strict: {problem}", rule.fact)
        return {**function, "strict": False}, (note,)
    notes = loss_warnings(losses, f"tools.{own.name}.parameters", rule.cite("losses"))
    return {**function, "parameters": schema}, notes


def fit_output_schema(wire: WireRequest, call: Call, rule: SchemaRule) -> WireRequest:
    """Return the request with the schema of its `response_format` as it is taken.

    A schema that came by `extra` is the caller's own: it is made plain, since it would be refused, but never strict.
    """
    wanted = wire.body["response_format"]
    spec = wanted.get("json_schema")
    if not isinstance(spec, Mapping):
        return wire
    if rule.plain is not None:
        schema, losses = plain_schema(spec.get("schema") or {}, rule.plain, "output")
        spec = {**spec, "schema": schema}
        wire = wire.set("response_format", {**wanted, "json_schema": spec})
        wire = with_losses(wire, losses, "output", rule.cite("losses"))
    if rule.strict is None or not spec.get("strict") or call.output is None or "response_format" in call.extra:
        return wire
    try:
        schema, strict_losses = strict_schema(spec["schema"], rule.strict)
    except NotStrict as problem:
        loose = {**wanted, "json_schema": {**spec, "strict": False}}
        return wire.lower("response_format", loose, f"the schema cannot be strict: {problem}", rule.fact)
    wire = wire.set("response_format", {**wanted, "json_schema": {**spec, "schema": schema}})
    return with_losses(wire, strict_losses, "output", rule.cite("losses"))
