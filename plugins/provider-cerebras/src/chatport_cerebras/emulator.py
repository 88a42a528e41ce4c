"""Cerebras' server side in miniature: what it refuses, in its words, and what it streams, in its shapes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs

from chatport.testing import (
    EmulatedRequest,
    Misfit,
    Refusal,
    Script,
    VendorEmulator,
    functions_of,
    list_of,
    parts_of,
    sse,
    table_of,
)

__all__ = ["CerebrasEmulator"]

_BODY_KEYS = (  # CB-P2
    "model", "messages", "stream", "stream_options", "max_completion_tokens", "max_tokens", "min_tokens",
    "min_completion_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs",
    "top_logprobs", "n", "seed", "stop", "user", "tools", "tool_choice", "parallel_tool_calls", "response_format",
    "prediction", "reasoning_effort", "reasoning_format", "clear_thinking", "prompt_cache_key", "service_tier",
    "model_parameters",
)  # fmt: skip
_MESSAGE_KEYS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "reasoning"})
_FUNCTION_KEYS = frozenset({"name", "description", "parameters", "strict"})
_EFFORTS: Mapping[str, Sequence[str]] = {  # CB-R1
    "gpt-oss": ("low", "medium", "high"),
    "qwen-3": ("none", "low", "medium", "high"),
    "gemma-4": ("low", "medium", "high"),
}
_SEEING = ("qwen-3.8", "gemma-4")
_UNKNOWN_KEYWORDS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "minLength",
    "maxLength", "pattern", "format", "nullable", "min_items",
)  # fmt: skip
_PLACES = ("properties", "$defs", "definitions", "patternProperties")
_STRICT_MIXED = (
    "Tools with mixed values for 'strict' are not allowed. Please set all tools to 'strict: true' or 'strict: false'"
)
_ERRORS: Mapping[int, tuple[str, str, str, str]] = {
    401: ("Wrong API Key", "invalid_request_error", "api_key", "wrong_api_key"),  # CB-X3
    402: ("Payment required", "payment_required_error", "", "payment_required"),  # CB-X4
    403: ("You do not have access.", "permission_error", "", "forbidden"),
    404: ("Model does not exist or you do not have access to it.", "not_found_error", "model", "model_not_found"),
    413: ("Request body too large", "invalid_request_error", "", "request_too_large"),  # CB-X7
    422: ("Validation failed", "invalid_request_error", "validation_error", "wrong_api_format"),  # CB-X8
    429: (
        "Requests per minute limit exceeded - too many requests sent.", "too_many_requests_error", "quota",
        "request_quota_exceeded",
    ),
    500: ("Internal server error", "server_error", "", "internal_error"),
    503: ("Service unavailable", "server_error", "", "unavailable"),
}  # fmt: skip
_BUSY = (
    "We're experiencing high traffic right now! Please try again soon.", "too_many_requests_error", "queue",
    "queue_exceeded",
)  # fmt: skip


class CerebrasEmulator(VendorEmulator):
    """Cerebras' twin, of API version 2.

    Settings: `models`, `api_key`, `cached_tokens` (of each prompt), `busy` (a 429 is for the traffic, not for an
    allowance), `without_done` (a stream has no end mark, as in 2025), `fails_in_stream` (an error ends the text),
    `error_form` (`flat`, `nested`, `status` or `detail`).
    """

    name = "cerebras"
    shapes: Mapping[str, Any] = {
        **VendorEmulator.shapes,
        "min_tokens": {"type": "integer"},
        "min_completion_tokens": {"type": "integer"},
        "reasoning_format": {"type": "string"},
    }
    models: Sequence[str] = ("gpt-oss-120b", "qwen-3.8-27b")
    retired: Mapping[str, str] = {  # CB-L1, CB-L2
        "gemma-4-31b": "2026-09-30",
        "llama3.1-8b": "2026-05-27",
        "qwen-3-235b-a22b-instruct-2507": "2026-05-27",
        "qwen-3-32b": "2026-02-16",
        "llama-3.3-70b": "2026-02-16",
        "qwen-3-235b-a22b-thinking-2507": "2025-11-14",
        "llama-4-scout-17b-16e-instruct": "2025-11-03",
        "llama-4-maverick-17b-128e-instruct": "2025-10-15",
    }
    ranges: Mapping[str, tuple[float, float]] = {  # CB-P2, CB-P3
        "temperature": (0, 1.5), "top_p": (0, 1), "top_logprobs": (0, 20), "n": (1, 128),
        "max_completion_tokens": (-1, 2**31), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2),
    }  # fmt: skip
    words: Mapping[str, Sequence[Any]] = {
        "reasoning_format": ("none", "parsed", "text_parsed", "raw", "hidden"),
        "service_tier": ("auto", "default", "flex", "priority"),
    }
    roles: Sequence[str] = ("system", "developer", "user", "assistant", "tool")
    known_fields: Sequence[str] = _BODY_KEYS
    most_stops = 4
    cached_tokens = 0
    busy = False
    without_done = False
    fails_in_stream = False
    error_form = "flat"

    # --- refusals

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error, flat as a rule, in one of the four forms (CB-X1, CB-X20)."""
        error = {
            "message": message,
            "type": details.get("type") or "invalid_request_error",
            "param": details.get("param") or "validation_error",
            "code": details.get("code") or "wrong_api_format",
        }
        if self.error_form == "detail":
            return {"detail": message}
        if self.error_form == "nested":
            return {"error": error}
        return {"status_code": status, "error": error} if self.error_form == "status" else error

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error with this status."""
        known = _BUSY if status == 429 and self.busy else _ERRORS.get(status)
        message, kind, param, code = known or (f"An emulated error with status {status}.", "error", "", "error")
        return self.refuse(status, message, type=kind, param=param, code=code)

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse a missing or wrong key (CB-X3), but for the public catalogue (CB-E2)."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        is_wrong = (self.needs_key and not sent) or (self.api_key is not None and sent != self.api_key)
        if is_wrong and "/public/" not in request.path:
            raise self.error_for(401)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there, or no longer (CB-X6)."""
        message = f"Model {body.get('model')} does not exist or you do not have access to it."
        return self.refuse(404, message, type="not_found_error", param="model", code="model_not_found")

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a value of a wrong type, or to none."""
        return self.refuse(400, f"body.{found.place}: {found.problem}")

    def out_of_range(self, name: str, value: Any, least: float, most: float) -> Refusal:
        """Return the answer to a number out of range."""
        return self.refuse(400, f"body.{name}: Input should be from {least} to {most}")

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what Cerebras refuses."""
        super().check(body)
        self.check_messages(body)
        self.check_tools(body)
        self.check_reasoning(body)
        self.check_output(body)
        if "max_tokens" in body and "max_completion_tokens" in body:  # CB-P4
            raise self.refuse(400, "max_tokens and max_completion_tokens cannot both be set", param="max_tokens")
        if body.get("prediction") is not None:  # CB-P6
            if not body["model"].startswith("gpt-oss"):
                raise self.refuse(400, '"prediction" is not currently supported', param="prediction")
            if body.get("tools") or body.get("logprobs") or (body.get("n") or 1) > 1:
                raise self.refuse(400, '"prediction" cannot be combined with these fields', param="prediction")

    def check_tool_turns(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Refuse null for calls (CB-T5), before the turns are looked at."""
        if any("tool_calls" in message and message["tool_calls"] is None for message in messages):
            raise self.refuse(400, "'NoneType' object is not iterable", param="messages")
        super().check_tool_turns(messages)

    def check_messages(self, body: Mapping[str, Any]) -> None:
        """Refuse unknown keys of messages (CB-P1, CB-R3), and pictures that are not taken (CB-M1, CB-M2)."""
        for number, message in enumerate(body["messages"]):
            for key in message:
                if key not in _MESSAGE_KEYS:
                    place = f"messages.{number}.{message['role']}.{key}"
                    raise self.refuse(400, f"{place}: property '{place}' is unsupported")
            for call in list_of(message.get("tool_calls")):
                self.check_keys(call, frozenset({"id", "type", "function"}), f"messages.{number}.tool_calls")
            for part in parts_of(message):
                self.check_part(part, body)

    def check_part(self, part: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """Refuse a part of another kind, a picture by its address, and any for a model without eyes."""
        if part["type"] == "text":
            return
        if part["type"] not in ("image_url", "image"):
            raise self.refuse(400, f"content type '{part['type']}' is unsupported")
        if not body["model"].startswith(_SEEING):
            words = "Multimodal is not enabled for your organization and model"
            raise self.refuse(403, words, param="model", code="multimodal_not_enabled")
        url = str(table_of(part.get("image_url")).get("url", part.get("image_url")))
        if url.startswith(("http://", "https://")):
            raise self.refuse(400, "Only base64 data URIs are supported for images", param="messages")

    def check_keys(self, value: Mapping[str, Any], known: frozenset[str], place: str) -> None:
        """Refuse an unknown key (CB-P1)."""
        for key in value:
            if key not in known:
                raise self.refuse(400, f"{place}.{key}: property '{place}.{key}' is unsupported")

    def check_tools(self, body: Mapping[str, Any]) -> None:
        """Refuse tools of other types (CB-W1), and strict ones that are not all strict (CB-T2)."""
        for number, tool in enumerate(list_of(body.get("tools"))):
            if tool["type"] != "function":
                raise self.refuse(400, f"tools.{number}.type: Input should be 'function'", param="tools")
            self.check_keys(tool, frozenset({"type", "function"}), f"tools.{number}")
            self.check_keys(table_of(tool.get("function")), _FUNCTION_KEYS, f"tools.{number}.function")
        strict = [bool(function.get("strict")) for function in functions_of(body)]
        if any(strict) and not all(strict):
            raise self.refuse(400, _STRICT_MIXED, param="tools")
        for function in functions_of(body) if any(strict) else ():
            self.check_schema(function.get("parameters") or {}, "tools")

    def check_reasoning(self, body: Mapping[str, Any]) -> None:
        """Refuse an effort that the model does not take (CB-R1)."""
        effort = body.get("reasoning_effort")
        taken = next((words for name, words in _EFFORTS.items() if body["model"].startswith(name)), ())
        if effort is not None and effort not in taken:
            words = f"Input should be one of {list(taken)}" if taken else "property 'reasoning_effort' is unsupported"
            raise self.refuse(400, f"body.reasoning_effort: {words}")

    def check_output(self, body: Mapping[str, Any]) -> None:
        """Refuse any form of the answer beside tools (CB-3, CB-T6), and schemas out of the subset."""
        wanted = body.get("response_format")
        if wanted is None:
            return
        if body.get("tools"):
            raise self.refuse(400, '"tools" is incompatible with "response_format"', param="response_format")
        spec = table_of(wanted.get("json_schema"))
        if wanted.get("type") == "json_schema":
            if table_of(spec.get("schema")).get("type") != "object":  # CB-J4
                raise self.refuse(400, "The root of a schema must be an object", param="response_format")
            if spec.get("strict"):
                self.check_schema(spec["schema"], "response_format")

    def check_schema(self, schema: Any, param: str, levels: int = 60) -> None:
        """Refuse what a strict schema may not have (CB-J2, CB-J3)."""
        if not isinstance(schema, Mapping) or not levels:
            return
        words = None
        unknown = [word for word in _UNKNOWN_KEYWORDS if word in schema]
        if "definitions" in schema:
            words = "'definitions' is not supported in JSON schema. Use '$defs' instead"
        elif isinstance(schema.get("type"), list):
            words = "Lists of types are not supported in JSON schema, use anyOf with a null type"
        elif unknown:
            words = f"Unsupported JSON schema fields: {set(unknown)}"
        elif schema.get("type") == "array" and "items" not in schema and "prefixItems" not in schema:
            words = "Array fields require at least one of 'items' or 'prefixItems'."
        elif schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            words = "'additionalProperties' is required to be supplied and set to false."
        if words is not None:
            raise self.refuse(400, words, param=param)
        for key, value in schema.items():
            inner = table_of(value).values() if key in _PLACES else list_of(value) if key in ("anyOf", "oneOf") else ()
            for part in (value,) if key == "items" else inner:
                self.check_schema(part, param, levels - 1)

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """gpt-oss always, qwen unless told otherwise, gemma if told to (CB-R1)."""
        effort = body.get("reasoning_effort")
        if body["model"].startswith("gemma"):
            return effort is not None
        return body["model"].startswith(("gpt-oss", "qwen-3")) and effort != "none"

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says; raw thoughts are part of the text (CB-R4)."""
        script = attrs.evolve(super().script(body), cached_tokens=self.cached_tokens)
        if script.refusal:
            script = attrs.evolve(script, text=script.refusal, refusal="")
        if body.get("reasoning_format") == "raw" and script.reasoning:
            mark = ("", "") if body["model"].startswith("gpt-oss") else ("<think>", "</think>")
            script = attrs.evolve(script, text=f"{mark[0]}{script.reasoning}{mark[1]}{script.text}")
        return script

    def shown(self, body: Mapping[str, Any], script: Script) -> str:
        """Return the thoughts that have a field of their own (CB-R2, CB-R4)."""
        return "" if body.get("reasoning_format") in ("raw", "hidden") else script.reasoning

    def reply_id(self) -> str:
        """Return the id of this reply."""
        return f"chatcmpl-{UUID(int=self.serial)}"

    def call_id(self, number: int) -> str:
        """Return an id of nine hexadecimal digits (CB-S5)."""
        return hashlib.md5(f"{self.serial} {number}".encode()).hexdigest()[:9]

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers, with the limits of a minute, an hour and a day (CB-H1)."""
        found = {"content-type": content_type}
        for kind, most in (("requests", 1000), ("tokens", 1_000_000)):
            for window, factor in (("minute", 1), ("hour", 60), ("day", 1440)):
                found[f"x-ratelimit-limit-{kind}-{window}"] = str(most * factor)
                found[f"x-ratelimit-remaining-{kind}-{window}"] = str(most * factor - 8)
        return found

    def around(self, script: Script, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the last chunk, and a whole reply, has beside its choices (CB-S2, CB-U1)."""
        seconds = dict.fromkeys(("queue_time", "prompt_time", "completion_time", "total_time", "created"), 0.25)
        return {"usage": self.usage(body, script), "time_info": seconds}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the only choice of a chunk: the finish is absent until the end (CB-S1)."""
        return {"delta": delta, **({"finish_reason": finish} if finish else {}), "index": 0}

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """Return a chunk around its choices."""
        return super().chunk(body, choices, system_fingerprint="fp_emulated", **more)

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give thoughts, the last beside the first text (CB-S4), then text, then all calls at once (CB-S5)."""
        yield {"role": "assistant"}
        thoughts, texts = list(self.cut(self.shown(body, script))), list(self.cut(script.text))
        for number, piece in enumerate(thoughts, 1):
            first = {"content": texts.pop(0)} if number == len(thoughts) and texts else {}
            yield {**first, "reasoning": piece}
        for piece in texts:
            yield {"content": piece}
        if script.calls:
            yield {"tool_calls": [{**call, "index": number} for number, call in enumerate(self.wire_calls(script))]}

    def wire_calls(self, script: Script) -> list[dict[str, Any]]:
        """Return the calls as a message holds them."""
        return [
            {"function": {"name": name, "arguments": arguments}, "type": "function", "id": self.call_id(number)}
            for number, (name, arguments) in enumerate(script.calls)
        ]

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the end: finish reason, counts and times together (CB-S2)."""
        yield self.chunk(body, [self.choice({}, script.finish)], **self.around(script, body))

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the event stream, which an error may end (CB-S7), and which had no end mark once (CB-S3)."""
        pieces = list(super().stream(body, script))
        if self.fails_in_stream:
            error = self.error_for(503).body
            return iter([*pieces[:-2], sse({"error": error, "status_code": 503})])
        return iter(pieces[:-1] if self.without_done else pieces)

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply: what is not there is absent (CB-T4)."""
        found: dict[str, Any] = {"content": script.text} if script.text else {}
        if self.shown(body, script):
            found["reasoning"] = script.reasoning
        return {**found, **({"tool_calls": self.wire_calls(script)} if script.calls else {}), "role": "assistant"}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply."""
        found = {**super().completion(body, script), "system_fingerprint": "fp_emulated"}
        return {**found, **self.around(script, body)}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the counts; pictures are counted by models that see (CB-U1, CB-M3)."""
        return {
            **super().usage(body, script),
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
            **({"image_tokens": 0} if body["model"].startswith(_SEEING) else {}),
        }

    def models_body(self) -> Any:
        """Return the public catalogue (CB-E2)."""
        data = [
            {
                "id": name, "object": "model", "created": 0, "owned_by": "Cerebras", "deprecated": False,
                "pricing": {"prompt": "0.00000035", "completion": "0.00000075"},
                "capabilities": {"function_calling": True, "structured_outputs": True, "reasoning": True},
                "limits": {"max_context_length": 131_072, "max_completion_tokens": 40_960},
            }
            for name in self.models
        ]  # fmt: skip
        return {"object": "list", "data": data}
