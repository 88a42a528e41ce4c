"""Ollama: an OpenAI layer that drops in silence whatever it does not read."""

from __future__ import annotations

from collections.abc import Generator

from chatport import (
    Call,
    Context,
    Failure,
    ImagePart,
    ServerError,
    UnsupportedFeatureError,
    Verdict,
    WireRequest,
    hookimpl,
)

from .shared import fit_effort, without_tool_choice

__all__ = ["classify_error", "shape_request"]

# OL-P1: what the layer reads; everything else has no effect, and the reply does not say so.
_READ = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "seed", "stop", "temperature", "top_p",
        "frequency_penalty", "presence_penalty", "response_format", "tools", "reasoning", "reasoning_effort",
        "logprobs", "top_logprobs",
    }
)  # fmt: skip
_HINTS = {
    "options": "; set OLLAMA_CONTEXT_LENGTH, or a Modelfile, for num_ctx",  # OL-P3
    "keep_alive": "; set OLLAMA_KEEP_ALIVE",  # OL-Q1
    "think": "; use reasoning=",  # OL-R2
}


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    _check_images(call, context)
    wire = without_tool_choice(wire, "OL-T4")
    wire = fit_effort(wire, call, context, "OL-R2")
    for field in [name for name in wire.body if name not in _READ]:
        wire = wire.drop(field, f"the OpenAI layer does not read it{_HINTS.get(field, '')}", "OL-P1")
    return wire


def _check_images(call: Call, context: Context) -> None:
    """Refuse linked images: leaving one out would change the question (OL-I1)."""
    for message in call.messages:
        if any(isinstance(part, ImagePart) and not part.is_inline for part in message.content):
            raise UnsupportedFeatureError(
                "Ollama takes images as data URLs only; use ImagePart.from_file or from_bytes.",
                provider=context.provider.name,
                model=context.model,
            )


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    message = failure.details.message
    if "does not support t" in message:  # thinking (OL-R3) and tools (OL-T4)
        return Verdict(UnsupportedFeatureError)
    if failure.status == 499:  # OL-E4: it gave the request up while it waited in the queue
        return Verdict(ServerError)
    return None
