"""Groq: GQ-P4, GQ-T1, GQ-J2 to GQ-J4."""

from __future__ import annotations

from typing import Any

from .reading import open_objects, output_schema, standard

STRICT = ("openai/gpt-oss-20b", "openai/gpt-oss-120b", "qwen/qwen3.8-27b")
LOOSE = ("openai/gpt-oss-safeguard", "moonshotai/kimi-k2", "meta-llama/llama-4")


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body)
    kind = (body.get("response_format") or {}).get("type", "text")
    if kind != "text" and body.get("tools"):
        found.append("structured output together with tools")
    if kind != "json_schema":
        return found
    found += ["a stream with a schema"] * bool(body.get("stream"))
    found += [] if body["model"].startswith((*STRICT, *LOOSE)) else ["a schema, on a model without"]
    if body["response_format"]["json_schema"].get("strict"):
        found += [] if body["model"] in STRICT else ["strict, on a model without"]
        found += open_objects(output_schema(body))
    return found
