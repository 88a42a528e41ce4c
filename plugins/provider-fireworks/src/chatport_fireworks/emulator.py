"""Fireworks' server side in miniature: what it refuses, in its words, and what it streams, in its shapes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs

from chatport.testing import EmulatedRequest, Refusal, Script, VendorEmulator

__all__ = ["FireworksEmulator"]

_M = "accounts/fireworks/models/"
_BODY_KEYS = frozenset(
    {
        "context_length_exceeded_behavior", "echo", "echo_last", "frequency_penalty", "function_call", "functions",
        "ignore_eos", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "messages", "metadata", "min_p",
        "mirostat_lr", "mirostat_target", "model", "n", "parallel_tool_calls", "perf_metrics_in_response", "prediction",
        "presence_penalty", "prompt_cache_isolation_key", "prompt_cache_key", "prompt_truncate_len", "raw_output",
        "reasoning_effort", "reasoning_history", "repetition_penalty", "response_format", "return_token_ids",
        "safe_tokenization", "seed", "service_tier", "speculation", "stop", "stream", "temperature", "thinking",
        "tool_choice", "tools", "top_k", "top_logprobs", "top_p", "typical_p", "user",
    }
)  # fmt: skip
_INNER_KEYS: Mapping[str, frozenset[str]] = {
    "messages": frozenset({"role", "content", "reasoning_content", "tool_calls", "tool_call_id"}),
    "tools": frozenset({"type", "function"}),
    "content": frozenset({"type", "text", "image_url", "video_url"}),
    "image_url": frozenset({"url", "detail"}),
    "video_url": frozenset({"url", "detail", "max_frames", "sample_fps", "spatial_limit"}),
    "function": frozenset({"name", "description", "parameters", "strict"}),
    "tool_calls": frozenset({"id", "type", "called"}),
    "called": frozenset({"name", "arguments"}),
}
_RANGES: Mapping[str, tuple[float, float]] = {  # FW-P5, FW-P6
    "temperature": (0, 2), "top_p": (0, 1), "top_k": (0, 100), "min_p": (0, 1), "typical_p": (0, 1), "n": (1, 128),
    "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2), "repetition_penalty": (0, 2), "top_logprobs": (0, 5),
    "logprobs": (0, 5),
}  # fmt: skip
_TEXTS = {
    401: "The API key you provided is invalid.",  # FW-X14
    402: "Payment required.",  # FW-X15
    403: "You do not have access to this resource.",  # FW-X16
    405: "Method not allowed.",  # FW-X18
    412: "Account emulated is suspended, possibly due to reaching the monthly spending limit or failure to pay past "
    "invoices. Please go to the billing page to settle it.",  # FW-X20
    425: "The deployment is scaling up from zero.",  # FW-X22
    429: "Rate limit exceeded.",  # FW-X23
    500: "Internal server error.",  # FW-X24
    503: "The service is overloaded.",  # FW-X25
}
_CODES = {400: "INVALID_ARGUMENT", 401: "UNAUTHORIZED", 404: "NOT_FOUND", 412: "PRECONDITION_FAILED"}


class FireworksEmulator(VendorEmulator):
    """Fireworks' twin. It refuses fields that it does not know, at any depth, as the vendor does.

    Settings: `models` (full ids), `always_thinking` and `never_thinking` (models, by a part of the id), `api_key`,
    `context_tokens`, `cached_tokens` (of each prompt), `plain_limit` (the highest `max_tokens` without a stream),
    `usage_chunk` (usage in a chunk of its own at the end), `error_form` (`object`, `text` or `detail`).
    """

    name = "fireworks"
    shapes: Mapping[str, Any] = {
        **VendorEmulator.shapes,
        "thinking": {"type": "object"},
        "typical_p": {"type": "number"},
        "repetition_penalty": {"type": "number"},
        "logprobs": {"type": ["integer", "boolean"]},
    }
    models: Sequence[str] = (
        f"{_M}kimi-k2p6", f"{_M}glm-5p2", f"{_M}gpt-oss-120b", f"{_M}minimax-m3", f"{_M}deepseek-v4-flash",
        f"{_M}llama-v3p1-8b-instruct",
    )  # fmt: skip
    always_thinking: Sequence[str] = ("gpt-oss", "minimax")
    never_thinking: Sequence[str] = ("llama",)
    context_tokens = 131_072
    cached_tokens = 0
    plain_limit = 4096
    usage_chunk = False
    error_form = "object"

    # --- refusals

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse a missing or wrong key (FW-B2, FW-X14); the words are not recorded."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if (self.needs_key and not sent) or (self.api_key is not None and sent != self.api_key):
            raise self.error_for(401)

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error in one of the vendor's three forms (FW-X1, FW-X2)."""
        if self.error_form == "text":
            return {"error": message}
        if self.error_form == "detail":
            return {"detail": message}
        error = {"message": message, "code": _CODES.get(status, "error"), "type": "error"}
        if details.get("param"):
            error["param"] = details["param"]
        return {"error": error, "request_id": self.reply_id()}

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error with this status."""
        if status == 404:
            return self.unknown_model({})
        return self.refuse(status, _TEXTS.get(status, f"An emulated error with status {status}."))

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there, by whatever cause (FW-X17, FW-X2)."""
        return self.refuse(404, "Model not found, inaccessible, and/or not deployed", param="model")

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what Fireworks refuses."""
        self.check_keys(body, _BODY_KEYS, "")
        super().check(body)
        self.check_ranges(body)
        self.check_limits(body)
        self.check_reasoning(body)
        self.check_tools(body)
        if body.get("prompt_truncate_len") and body.get("safe_tokenization"):  # FW-P12
            raise self.refuse(400, "safe_tokenization cannot be combined with prompt_truncate_len")

    def check_keys(self, value: Any, known: frozenset[str], place: str) -> None:
        """Refuse an unknown field, here and below (FW-X10)."""
        for key, item in value.items():
            if key not in known:
                shown = json.dumps(item, ensure_ascii=False)
                raise self.refuse(400, f"Extra inputs are not permitted, field: '{place}{key}', value: {shown}")
            if key in _INNER_KEYS:
                items = item if isinstance(item, list) else [item]
                for number, inner in enumerate(items):
                    if key == "tool_calls" and isinstance(inner, dict):  # whose functions have other keys than a tool's
                        inner = {"called" if name == "function" else name: own for name, own in inner.items()}
                    if isinstance(inner, dict):
                        self.check_keys(inner, _INNER_KEYS[key], f"{place}{key}[{number}].")

    def check_ranges(self, body: Mapping[str, Any]) -> None:
        """Refuse numbers out of range, and more than four stop strings."""
        for name, (low, high) in _RANGES.items():
            value = body.get(name)
            if value is not None and not low <= value <= high:
                raise self.refuse(400, f"{name} must be between {low} and {high}", param=name)
        if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
            raise self.refuse(400, "stop must have at most 4 sequences", param="stop")

    def check_limits(self, body: Mapping[str, Any]) -> None:
        """Refuse two limits at once, high ones without a stream (FW-X12), and prompts over the window (FW-X11)."""
        if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:  # FW-P4
            raise self.refuse(400, "max_tokens and max_completion_tokens cannot be set together")
        limit = _limit(body) or 0
        if limit > self.plain_limit and not body.get("stream"):
            raise self.refuse(400, f"Requests with max_tokens > {self.plain_limit} must have stream=true")
        prompt = _prompt_tokens(body)
        strict = body.get("context_length_exceeded_behavior") == "error"  # FW-P2
        if prompt + (limit if strict else 0) > self.context_tokens:
            message = f"The prompt is too long: {prompt + limit}, model maximum context length: {self.context_tokens}"
            raise self.refuse(400, message)

    def check_reasoning(self, body: Mapping[str, Any]) -> None:
        """Refuse an effort that the model does not take (FW-X13), and two ways of saying it (FW-P9)."""
        effort = body.get("reasoning_effort")
        if effort is None:
            return
        if body.get("thinking") is not None:
            raise self.refuse(400, "reasoning_effort and thinking cannot be set together")
        words = ("low", "medium", "high") if self._always_thinks(body) else ("none", "low", "medium", "high")
        if isinstance(effort, bool):
            effort = "medium" if effort else "none"  # FW-P7
        if effort not in words and (isinstance(effort, str) or self._always_thinks(body)):  # FW-P8
            raise self.refuse(400, f"Invalid reasoning effort: {effort}")

    def check_tools(self, body: Mapping[str, Any]) -> None:
        """Refuse tools that are no functions (FW-T1), or whose arguments are no object (FW-T4)."""
        for number, tool in enumerate(body.get("tools") or ()):
            if tool.get("type") != "function":
                raise self.refuse(400, f"tools[{number}].type must be function")
            name, parameters = tool["function"]["name"], tool["function"].get("parameters")
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):  # FW-P5
                raise self.refuse(400, f"tools[{number}].function.name is not valid")
            if not isinstance(parameters, dict) or parameters.get("type") != "object":
                raise self.refuse(400, f"tools[{number}].function.parameters must be an object schema")

    # --- what the model says

    def _always_thinks(self, body: Mapping[str, Any]) -> bool:
        return any(part in str(body.get("model")) for part in self.always_thinking)

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """Whether the model thinks: it does unless it cannot, or is told not to (FW-P7, FW-P8)."""
        off = body.get("reasoning_effort") in ("none", False) or (body.get("thinking") or {}).get("type") == "disabled"
        return not off and not any(part in str(body.get("model")) for part in self.never_thinking)

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says. JSON that the prompt does not ask for becomes blanks up to the limit (FW-J2)."""
        wanted = body.get("response_format") or {}
        schema = wanted.get("schema") if wanted.get("type") == "json_object" else None  # FW-J1
        seen, limit = dict(body), _limit(body)
        if limit is not None:  # FW-P2: what does not fit the window is lowered in silence
            seen["max_tokens"] = min(limit, self.context_tokens - _prompt_tokens(body))
        if schema is not None:
            seen["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        script = super().script(seen)
        script = attrs.evolve(script, cached_tokens=min(self.cached_tokens, script.input_tokens))
        said = json.dumps([m.get("content") for m in body["messages"] if m["role"] in ("system", "user")]).lower()
        if wanted.get("type") in ("json_object", "json_schema") and not script.calls and "json" not in said:
            return attrs.evolve(script, text=" " * (limit or 2048), finish="length")
        return script

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: timing only beside a whole reply (FW-H2), and the headroom (FW-H1)."""
        timing = {"fireworks-server-processing-time": "0.120", "fireworks-prompt-tokens": "15"}
        return {
            "content-type": content_type,
            "server": "cloudflare",
            "x-request-id": self.reply_id(),  # FW-H4
            "x-ratelimit-limit-requests": "600",
            "x-ratelimit-remaining-requests": "599",
            "x-ratelimit-limit-tokens-prompt": "60000",
            "x-ratelimit-remaining-tokens-prompt": "59000",
            "x-ratelimit-over-limit": "no",
            **(timing if content_type == "application/json" else {}),
        }

    def reply_id(self) -> str:
        """Return the id of this reply."""
        return str(UUID(bytes=hashlib.md5(f"reply {self.serial}".encode()).digest(), version=4))

    def call_id(self, number: int) -> str:
        """Return the id of a tool call."""
        return f"call_{hashlib.md5(f'{self.serial} {number}'.encode()).hexdigest()[:24]}"

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the only choice of a chunk: keys that are not used are absent (FW-S1)."""
        return {"index": 0, "delta": dict(delta), "finish_reason": finish}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give reasoning (FW-S3), then text, then tool calls."""
        yield {"role": "assistant"}
        for piece in self.cut(script.reasoning):
            yield {"reasoning_content": piece}
        for piece in self.cut(script.text):
            yield {"content": piece}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        """Give a call in fragments that have its id and no index (FW-S4)."""
        call_id = self.call_id(number)
        yield {"tool_calls": [{"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}]}
        for start in range(0, len(arguments), 8):
            yield {"tool_calls": [{"id": call_id, "function": {"arguments": arguments[start : start + 8]}}]}

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the end: usage comes unasked, on the last chunk (FW-S2)."""
        end: dict[str, Any] = {"usage": self.usage(body, script)}
        if body.get("perf_metrics_in_response"):  # FW-H2
            end["perf_metrics"] = {"prompt-tokens": script.input_tokens, "server-processing-time": 0.12}
        last = [self.choice({}, script.finish)]
        yield self.chunk(body, last, **({} if self.usage_chunk else end))
        if self.usage_chunk:
            yield self.chunk(body, [], **end)

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply (FW-R1)."""
        message = super().message(body, attrs.evolve(script, refusal=""))
        message["content"] = script.text or script.refusal or (None if script.calls else "")
        return {**message, "reasoning_content": script.reasoning} if script.reasoning else message

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the counts: none for reasoning (FW-R3), and details only for what was cached (FW-U1)."""
        cached = {"prompt_tokens_details": {"cached_tokens": script.cached_tokens}} if script.cached_tokens else {}
        return {**super().usage(body, script), **cached}

    def models_body(self) -> Any:
        """Return the model list (FW-E3)."""
        data = [
            {"id": name, "object": "model", "owned_by": "fireworks", "created": 0, "context_length": 131_072}
            for name in self.models
        ]
        return {"object": "list", "data": data}


def _limit(body: Mapping[str, Any]) -> int | None:
    value = body.get("max_tokens", body.get("max_completion_tokens"))
    return value if isinstance(value, int) else None


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    return len(json.dumps(body["messages"], ensure_ascii=False)) // 4
