"""Groq's server side in miniature: what it refuses, in its words, and what it streams, in its shapes."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs

from chatport.helpers import jsoncodec
from chatport.testing import (
    BatchesEmulator,
    EmulatedResponse,
    Refusal,
    Script,
    VendorEmulator,
    functions_of,
    list_of,
    parts_of,
    sse,
    table_of,
    text_of,
)
from chatport_responses.emulator import ResponsesEmulator

__all__ = ["GroqEmulator"]

_NOT_SUPPORTED = ("logprobs", "top_logprobs", "logit_bias")
_TOOL_TYPES = ("function", "mcp")
_BUILT_IN = ("browser_search", "code_interpreter")
_STRICT = ("openai/gpt-oss-20b", "openai/gpt-oss-120b", "qwen/qwen3.8-27b")
_DOCUMENTATION = "See supported models at https://console.groq.com/docs/structured-outputs#supported-models"
_RATE_LIMITED = (
    "Rate limit reached for model `m` in organization `org_01emulated` service tier `on_demand` on tokens per minute "
    "(TPM): Limit 6000, Used 6000, Requested 477. Please try again in 4.77s."
)
_WHEN_TO_COME_BACK = {  # GQ-H2; the limit that was met is used up, and full again in a minute (GQ-H3)
    "retry-after": "5",
    "x-ratelimit-limit-tokens": "6000",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-tokens": "1m0s",
}
_ERRORS: Mapping[int, tuple[str, str, str | None]] = {
    400: ("The request is invalid.", "invalid_request_error", None),
    401: ("Invalid API Key", "invalid_request_error", "invalid_api_key"),
    403: ("Your project may not use this model.", "permissions_error", None),
    404: ("The model `x` does not exist or you do not have access to it.", "invalid_request_error", "model_not_found"),
    413: ("Request Entity Too Large", "invalid_request_error", None),
    424: ("Failed dependency", "invalid_request_error", None),
    429: (_RATE_LIMITED, "tokens", "rate_limit_exceeded"),
    498: ("Flex tier capacity exceeded", "invalid_request_error", "capacity_exceeded"),
    500: ("Internal Server Error", "internal_server_error", None),
    503: ("Service Unavailable", "internal_server_error", None),
}


class GroqEmulator(BatchesEmulator, ResponsesEmulator, VendorEmulator):
    """Groq's twin.

    Settings: `usage_form` ("both" places, or "x_groq" as in 2025), `tokens_per_minute` (a larger request is a 413),
    `flex_capacity` (False: the flex tier is full), `fails_in_stream` (the older way to end a stream with an error),
    `cached_tokens`, `models`.
    """

    name = "groq"
    stores = False
    reasoning_as_text = True
    models: Sequence[str] = (*_STRICT, "openai/gpt-oss-safeguard-20b", "qwen/qwen3-32b", "groq/compound", "allam-2-7b")
    retired: Mapping[str, str] = {  # GQ-E4
        "meta-llama/llama-4-maverick-17b-128e-instruct": "2026-03-09",
        "meta-llama/llama-4-scout-17b-16e-instruct": "2026-07-17",
        "llama-3.3-70b-versatile": "2026-08-16",
        "llama-3.1-8b-instant": "2026-08-16",
    }
    usage_form = "both"
    tokens_per_minute = 250_000
    flex_capacity = True
    fails_in_stream = ""
    cached_tokens = 0

    # --- refusals

    def check_key(self, request: Any) -> None:
        """Refuse a wrong key (GQ-X16)."""
        sent = request.headers.get("authorization", "")
        if (self.needs_key and not sent) or (self.api_key is not None and sent != f"Bearer {self.api_key}"):
            raise self.error_for(401)

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error: fields without a value are left out (GQ-X1)."""
        known = {"type": "invalid_request_error", **{k: v for k, v in details.items() if v is not None}}
        return {"error": {"message": message, **known}}

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error with this status; only a 429 says when to come back (GQ-H2)."""
        message, kind, code = _ERRORS.get(status, (f"An emulated error with status {status}.", "api_error", None))
        refusal = self.refuse(status, message, type=kind, code=code)
        refusal.headers.update(_WHEN_TO_COME_BACK if status == 429 else {})
        return refusal

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there (GQ-X14)."""
        message = f"The model `{body.get('model')}` does not exist or you do not have access to it."
        return self.refuse(404, message, code="model_not_found")

    def retired_model(self, body: Mapping[str, Any], since: str) -> Refusal:
        """Return the answer to a model that was switched off (GQ-X14); the words are a guess."""
        message = f"The model `{body['model']}` has been decommissioned and is no longer supported."
        return self.refuse(400, message, code="model_decommissioned")

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what Groq refuses."""
        super().check(body)
        self.check_fields(body)
        self.check_messages(body)
        self.check_tools(body)
        self.check_reasoning(body)
        self.check_output(body)
        self.check_limits(body)

    def check_fields(self, body: Mapping[str, Any]) -> None:
        """Refuse what no model supports (GQ-P1), and too much of the rest (GQ-P4)."""
        for name in _NOT_SUPPORTED:
            if body.get(name) is not None:
                raise self.refuse(400, f"property '{name}' is not supported", param=name)
        if body.get("n", 1) != 1:
            raise self.refuse(400, "'n' must be 1", param="n")
        if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
            raise self.refuse(400, "'stop' must have at most 4 items", param="stop")
        if not 0 <= body.get("temperature", 0) <= 2:  # GQ-P2: 0 is taken, and means nearly 0
            raise self.refuse(400, "'temperature' must be between 0 and 2", param="temperature")

    def check_messages(self, body: Mapping[str, Any]) -> None:
        """Refuse names (GQ-P1), nulls (GQ-P5), and parts that the model does not take (GQ-M1, GQ-M2)."""
        sees = body["model"].startswith(("qwen/qwen3.", "meta-llama/"))
        for number, message in enumerate(body["messages"]):
            place = f"messages[{number}]"
            if "name" in message:
                raise self.refuse(400, f"'{place}.name' is not supported", param=f"{place}.name")
            if any(value is None for value in message.values()):
                raise self.refuse(400, f"'{place}' : a property is null", param=place)
            kinds = {part["type"] for part in parts_of(message)} - {"text"}
            if kinds and not sees:
                raise self.refuse(400, f"{place}.content must be a string", param=f"{place}.content")
            if kinds - {"image_url"}:
                raise self.refuse(400, f"{place}.content has a part of an unknown type", param=f"{place}.content")

    def check_tools(self, body: Mapping[str, Any]) -> None:
        """Refuse tools where there are none, of other types, or too many (GQ-P4, GQ-P11)."""
        tools = body.get("tools") or ()
        for number, tool in enumerate(tools):
            built_in = tool.get("type") in _BUILT_IN and "gpt-oss" in body["model"]
            if tool.get("type") not in _TOOL_TYPES and not built_in:
                words = f"tools[{number}].type must be one of [function, mcp]"
                raise self.refuse(400, f"code=400, message={words}, type=invalid_request_error")
        if tools and body["model"].startswith("groq/compound"):
            raise self.refuse(400, "`tool calling` is not supported with this model", param="tool calling")
        if len(tools) > 128:
            raise self.refuse(400, "'tools' must have at most 128 items", param="tools")

    def check_reasoning(self, body: Mapping[str, Any]) -> None:
        """Refuse the switches that a model does not have (GQ-P6, GQ-P7, GQ-P8)."""
        model, form, effort = body["model"], body.get("reasoning_format"), body.get("reasoning_effort")
        words = {"openai": ("low", "medium", "high"), "qwen": ("none", "default")}.get(model.split("/")[0], ())
        if effort is not None and effort not in words:
            raise self.refuse(400, f"`reasoning_effort` must be one of {list(words)}", param="reasoning_effort")
        if form is not None and not model.startswith("qwen/"):
            raise self.refuse(400, "reasoning_format is not supported with this model", param="reasoning_format")
        if form is not None and "include_reasoning" in body:
            raise self.refuse(400, "cannot specify both `reasoning_format` and `include_reasoning`")
        if form == "raw" and (body.get("tools") or body.get("response_format")):
            raise self.refuse(400, "reasoning_format `raw` is not allowed with JSON mode or tools")

    def check_output(self, body: Mapping[str, Any]) -> None:
        """Refuse what structured output excludes (GQ-J1 to GQ-J4)."""
        wanted = body.get("response_format") or {}
        kind = wanted.get("type")
        if kind in ("json_object", "json_schema") and body.get("tools"):
            raise self.refuse(400, "json mode cannot be combined with tool/function calling")
        if kind == "json_object" and "json" not in json.dumps(body["messages"]).lower():
            raise self.refuse(400, "'messages' must contain the word 'json' in some form", param="messages")
        if kind != "json_schema":
            return
        spec = wanted.get("json_schema") or {}
        if body["model"] not in (*_STRICT, "openai/gpt-oss-safeguard-20b"):
            words = f"This model does not support response format `json_schema`. {_DOCUMENTATION}"
            raise self.refuse(400, words, param="response_format")
        if "schema" not in spec:
            words = "code=400, message=json schema is required, type=invalid_request_error"
            raise self.refuse(400, words, param="response_format")
        if body.get("stream"):
            raise self.refuse(400, "response_format `json_schema` does not support streaming", param="response_format")
        if spec.get("strict") and (body["model"] not in _STRICT or not _is_strict(spec["schema"])):
            raise self.refuse(400, "invalid JSON schema for response_format with strict", param="response_format")

    def check_limits(self, body: Mapping[str, Any]) -> None:
        """Refuse a request that is larger than a minute's allowance (GQ-X18), and a full flex tier (GQ-X22)."""
        if body.get("service_tier") == "flex" and not self.flex_capacity:
            raise self.error_for(498)
        needed = len(json.dumps(body["messages"])) // 4 + (body.get("max_completion_tokens") or 0)
        if needed > self.tokens_per_minute:
            words = (
                f"Request too large for model `{body['model']}` in organization `org_01emulated` service tier "
                f"`on_demand` on tokens per minute (TPM): Limit {self.tokens_per_minute}, Requested {needed}, please "
                "reduce your message size and try again."
            )
            raise self.refuse(413, words, type="tokens", code="rate_limit_exceeded")

    # --- Responses, of which no more is known than that it is there (GQ-E1, RS-V11)

    def check_model_of_items(self, body: Mapping[str, Any]) -> None:
        """Refuse a model that is not there (GQ-X14)."""
        self.check_model(body)

    def as_chat(self, body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the request as chat has it: here thoughts are items of their own, never part of the text."""
        view = super().as_chat(body, items)
        return {**view, "reasoning_format": "parsed"} if view["model"].startswith("qwen/") else view

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        """Refuse what the models refuse in chat too."""
        for check in (self.check_fields, self.check_tools, self.check_reasoning, self.check_output, self.check_limits):
            check(view)

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """gpt-oss reasons always, qwen unless told otherwise (GQ-P7)."""
        model = body["model"]
        return model.startswith("openai/gpt-oss") or (
            model.startswith("qwen/") and body.get("reasoning_effort") != "none"
        )

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says; raw reasoning is part of the text (GQ-S2), hidden one is not shown (GQ-P6)."""
        script = attrs.evolve(self.rest(body, super().script(body)), cached_tokens=self.cached_tokens)
        if script.refusal:
            script = attrs.evolve(script, text=script.refusal, refusal="")
        if self.form(body) == "raw" and script.reasoning:
            script = attrs.evolve(script, text=f"<think>\n{script.reasoning}\n</think>\n{script.text}")
        return script

    def rest(self, body: Mapping[str, Any], script: Script) -> Script:
        """Return what follows the beginning that is the last message (GQ-C1).

        A model that reasons first starts anew: the page does not say so, but a client must not count on the contrary.
        """
        last = body["messages"][-1]
        if last["role"] != "assistant" or script.reasoning:
            return script
        return attrs.evolve(script, text=script.text.removeprefix(text_of(last.get("content"))))

    def form(self, body: Mapping[str, Any]) -> str:
        """Return the form in which reasoning is shown: parsed for gpt-oss, tools and JSON, else raw (GQ-P6)."""
        if body.get("include_reasoning") is False:
            return "hidden"
        parsed = "gpt-oss" in body["model"] or body.get("tools") or body.get("response_format")
        return str(body.get("reasoning_format") or ("parsed" if parsed else "raw"))

    def mistake(self, body: Mapping[str, Any], script: Script) -> dict[str, Any] | None:
        """Return the error that the vendor's own checks of the output give, None if it passes (GQ-T2, GQ-X12)."""
        if script.finish == "length":
            return None
        failed: tuple[str, str, str] | None = None
        if (body.get("response_format") or {}).get("type") in ("json_object", "json_schema") and _decoded(
            script.text
        ) is None:
            failed = ("Failed to generate JSON.", "json_validate_failed", script.text)
        if not script.calls and body.get("tool_choice") not in (None, "auto", "none"):
            words = "Tool choice is required, but model did not call a tool"  # GQ-T4
            failed = (words, "tool_use_failed", script.text)
        for name, arguments in () if body.get("disable_tool_validation") else script.calls:  # GQ-T5
            problem = _problem(body, name, arguments)
            if problem:
                meant = _decoded(arguments)
                generation = (
                    f"<function={name}>{arguments}</function>"
                    if meant is None
                    else json.dumps({"name": name, "arguments": meant})
                )
                failed = (f"Tool call validation failed: {problem}", "tool_use_failed", generation)
        if failed is None:
            return None
        message, code, generation = failed
        error: dict[str, Any] = self.error_body(400, message, code=code)
        return {"error": {**error["error"], "failed_generation": generation}}

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        """Return the answer, or what the checks of a whole reply find; those of a stream come inside (GQ-S7)."""
        self.check(body)
        script = self.script(body)
        mistake = self.mistake(body, script)
        if body.get("stream"):
            return EmulatedResponse(200, self.headers("text/event-stream"), list(self.stream(body, script)))
        return self.reply(400, mistake) if mistake else self.reply(200, self.completion(body, script))

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: requests count by the day, tokens by the minute (GQ-H1)."""
        return {
            "content-type": content_type,
            "x-request-id": self.request_id(),
            "x-groq-region": "emulated",
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-limit-tokens": str(self.tokens_per_minute),
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-remaining-tokens": str(self.tokens_per_minute - 50),
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-reset-tokens": "12.5ms",
        }

    def request_id(self) -> str:
        """Return the id that header and body share (GQ-H4)."""
        return f"req_{self.serial:026d}"

    def call_id(self, number: int) -> str:
        """Return the id of a call (GQ-S3)."""
        return f"fc_{UUID(bytes=hashlib.md5(f'{self.serial} {number}'.encode()).digest())}"

    def envelope(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what belongs to every reply but the compound systems'."""
        return {} if body["model"].startswith("groq/") else {"system_fingerprint": "fp_emulated"}

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """Return a chunk around its choices."""
        return {**super().chunk(body, choices), **self.envelope(body), **more}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the only choice of a chunk."""
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give reasoning, then text, then each tool call whole (GQ-S1 to GQ-S3)."""
        yield {"role": "assistant", "content": ""}
        channel = {"channel": "analysis"} if "gpt-oss" in body["model"] else {}
        for piece in self.cut(script.reasoning if self.form(body) == "parsed" else ""):
            yield {"reasoning": piece, **channel}
        for piece in self.cut(script.text):
            yield {"content": piece}
        for number, call in enumerate(self.wire_calls(script)):
            yield {"tool_calls": [{**call, "index": number}]}

    def wire_calls(self, script: Script) -> list[dict[str, Any]]:
        """Return the calls as a message holds them."""
        return [
            {"id": self.call_id(number), "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(script.calls)
        ]

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the event stream. A failure ends it, with no `[DONE]` (GQ-S7); the older one is a field (GQ-S8)."""
        mistake = self.mistake(body, script)
        if mistake:  # what passed is out already, the last call never comes
            script = attrs.evolve(script, calls=script.calls[:-1])
        first = {"x_groq": {"id": self.request_id(), "seed": random.Random(self.serial).randrange(2**31)}}
        for delta in self.deltas(body, script):
            yield sse(self.chunk(body, [self.choice(delta)], **first))
            first = {}
        if mistake:
            yield sse({"error": {**mistake["error"], "status_code": 400}}, "error")
            return
        if self.fails_in_stream:
            x_groq = {"id": self.request_id(), "error": self.fails_in_stream}
            yield sse(self.chunk(body, [self.choice({})], x_groq=x_groq))
            return
        yield from map(sse, self.finish_chunks(body, script))
        yield b"data: [DONE]\n\n"

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the end, with usage in one place or two (GQ-S4), and once more if it was asked for (GQ-S5)."""
        usage = self.usage(body, script)
        top = {"usage": usage} if self.usage_form == "both" else {}
        last = [self.choice({}, script.finish)]
        yield self.chunk(body, last, x_groq={"id": self.request_id(), "usage": usage}, **top)
        if top and (body.get("stream_options") or {}).get("include_usage"):
            yield self.chunk(body, [], usage=usage, service_tier="on_demand")

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply."""
        message: dict[str, Any] = {"role": "assistant"}
        if script.text or not script.calls:
            message["content"] = script.text
        if script.reasoning and self.form(body) == "parsed":
            message["reasoning"] = script.reasoning
        return {**message, **({"tool_calls": self.wire_calls(script)} if script.calls else {})}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply (GQ-U2)."""
        choice = {
            "index": 0,
            "message": self.message(body, script),
            "logprobs": None,
            "finish_reason": script.finish,
        }
        return {
            **super().completion(body, script),
            **self.envelope(body),
            "choices": [choice],
            "usage_breakdown": None,
            "x_groq": {"id": self.request_id(), "seed": random.Random(self.serial).randrange(2**31)},
            "service_tier": body.get("service_tier") or "on_demand",
        }

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return counts and times (GQ-U1); reasoning is counted unless it is raw (GQ-R3)."""
        counted = script.reasoning and self.form(body) != "raw"
        return {
            **super().usage(body, script),
            **dict.fromkeys(("queue_time", "prompt_time", "completion_time", "total_time"), 0.25),
            **({"prompt_tokens_details": {"cached_tokens": script.cached_tokens}} if script.cached_tokens else {}),
            **({"completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens}} if counted else {}),
        }


def _decoded(text: str) -> Any:
    """Return the value of a JSON text, None if it is none."""
    try:
        return jsoncodec.decode_text(text)
    except ValueError:
        return None


def _problem(body: Mapping[str, Any], name: str, arguments: str) -> str | None:
    """Return what keeps a call from its tool's schema, by the two rules that matter most (GQ-T2, GQ-T4)."""
    tools = {function["name"]: function for function in functions_of(body)}
    if name not in tools:
        return f"attempted to call tool '{name}' which was not in request.tools"
    schema, given = tools[name].get("parameters") or {}, _decoded(arguments)
    if given is None:
        return "Failed to parse tool call arguments as JSON"
    if not isinstance(given, Mapping):
        return f"parameters for tool {name} did not match schema: errors: [expected object]"
    errors = [f"missing properties: '{field}'" for field in list_of(schema.get("required")) if str(field) not in given]
    if schema.get("additionalProperties") is False:
        extra = [field for field in given if field not in table_of(schema.get("properties"))]
        errors += [f"additionalProperties '{field}' not allowed" for field in extra]
    return f"parameters for tool {name} did not match schema: errors: [{', '.join(errors)}]" if errors else None


def _is_strict(schema: Any) -> bool:
    """Whether every object of a schema is closed, and has all its properties required (GQ-J2)."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties, required = table_of(schema.get("properties")), list_of(schema.get("required"))
    closed = schema.get("additionalProperties") is False and all(name in required for name in properties)
    if schema.get("type") == "object" and not closed:
        return False
    return all(_is_strict(value) for key, value in schema.items() if key not in ("required", "enum"))
