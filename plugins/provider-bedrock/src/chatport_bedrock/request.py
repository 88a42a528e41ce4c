"""`shape_request` for Bedrock, after its facts: the path, which depends on the model, and guardrails."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Call, Context, UnsupportedFeatureError, WireRequest, hookimpl

from .settings import endpoint_of

__all__ = ["shape_request"]

_GUARDRAIL = "x-amzn-bedrock-guardrail"


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    endpoint, quirks = endpoint_of(context.base_url), context.facts.quirks
    wanted = context.settings.get("guardrail") or any(header.startswith(_GUARDRAIL) for header, _ in call.headers)
    is_guarded = endpoint != "mantle" and context.provider.protocol == "chat" and quirks.get("guardrails", True)
    if wanted and not is_guarded:  # BR-P6: it would be ignored, in silence
        raise UnsupportedFeatureError(
            f"A guardrail would not guard {context.model} here: it works in chat on the endpoint runtime, not for GPT.",
            provider=context.provider.name,
            model=context.model,
        )
    prefix = {"mantle": quirks.get("prefix", "/v1"), "runtime": "/openai/v1"}.get(endpoint, "")  # BR-B1, BR-B2, BR-B3
    return attrs.evolve(wire, path=prefix + wire.path)
