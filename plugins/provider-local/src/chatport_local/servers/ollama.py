"""Ollama: an OpenAI layer that drops in silence whatever it does not read."""

from __future__ import annotations

from collections.abc import Generator

from chatport import WireRequest, hookimpl

__all__ = ["shape_request"]

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
def shape_request() -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    for field in [name for name in wire.body if name not in _READ]:
        wire = wire.drop(field, f"the OpenAI layer does not read it{_HINTS.get(field, '')}", "OL-P1")
    return wire
