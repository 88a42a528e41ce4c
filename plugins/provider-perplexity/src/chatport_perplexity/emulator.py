"""Perplexity's twin: the Agent API, the Orchestrator's chat completions, and what is left of Sonar's: a refusal.

Its rules are written from the same numbered facts as the hooks, and share no code or data with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import (
    EmulatedRequest,
    EmulatedResponse,
    Misfit,
    Refusal,
    Script,
    VendorEmulator,
    list_of,
    parts_of,
    table_of,
)
from chatport_responses.emulator import ResponsesEmulator

__all__ = ["OrchestratorEmulator", "PerplexityEmulator"]

_PRESETS: Mapping[str, str] = {  # PX-P5: which model a preset takes, is the vendor's to change
    "fast": "perplexity/sonar",
    "low": "perplexity/sonar",
    "medium": "perplexity/deepseek-v4-pro-0813",
    "high": "openai/gpt-6-astra",
    "xhigh": "openai/gpt-6-astra",
}
_KEYS = (  # PX-P2
    "model", "models", "preset", "input", "instructions", "max_output_tokens", "temperature", "top_p", "stream",
    "stream_options", "reasoning", "response_format", "tools", "tool_choice", "parallel_tool_calls", "max_tool_calls",
    "max_steps", "previous_response_id", "background", "store", "metadata", "truncation", "language_preference",
    "service_tier",
)  # fmt: skip
_INNER: Mapping[str, Sequence[str]] = {  # PX-P1: what is within is as strict
    "reasoning": ("effort",),
    "response_format": ("type", "json_schema"),
    "response_format.json_schema": ("name", "schema", "strict", "description"),
    "tools.function": ("type", "name", "description", "parameters", "strict"),
    "input.message": ("type", "role", "content"),
    "input.function_call": ("type", "call_id", "name", "arguments", "thought_signature"),
    "input.function_call_output": ("type", "call_id", "output", "name", "thought_signature"),
    "content.input_text": ("type", "text"),
    "content.input_image": ("type", "image_url"),
}
_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")  # PX-R1
_RESERVED = ("web_search", "search_web", "people_search", "search_people", "fetch_url", "finance_search", "sandbox")
_TOOLS = (
    "function", "web_search", "fetch_url", "people_search", "finance_search", "sandbox", "image_search", "mcp"
)  # fmt: skip
_GONE = {
    **dict.fromkeys(("sonar", "sonar-pro", "sonar-reasoning-pro", "sonar-deep-research"), "2026-09-27"),  # PX-0
    "sonar-reasoning": "2025-12-31",  # PX-L4
}
_UNTAKEN = (  # PX-P9
    "seed", "logit_bias", "top_logprobs", "functions", "function_call", "modalities", "audio", "prediction",
    "web_search_options", "moderation", "verbosity",
)  # fmt: skip
_DEFAULTS: Mapping[str, Any] = {
    "n": 1,
    "logprobs": False,
    "store": False,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
_MIGRATED = "Sonar is now the Agent API. Use /v1/responses instead of /chat/completions."
_TYPES: Mapping[int, str] = {  # PX-X1 to PX-X11
    400: "invalid_request",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    413: "request_too_large",
    424: "external_connector_error",
    429: "request_rate_limit_exceeded",
    500: "internal_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}
_RATES: Mapping[str, tuple[float, float, float]] = {  # PX-U1: USD for a million tokens in, cached and out
    "perplexity/deepseek-v4-pro-0813": (1.32, 0.044, 3.96),
    "openai/gpt-6-astra": (10, 10, 50),
}
_FOUND = ("https://example.org/rain", "Rain")


class PerplexityEmulator(ResponsesEmulator, VendorEmulator):
    """The Agent API of api.perplexity.ai, and the Orchestrator where a path goes there.

    Settings: `has_preview` False refuses the Orchestrator (PX-2); `has_credits` False answers with the 401 of an empty
    account (PX-X3); `ends` is the status of every answer that is cut short: "failed" or "cancelled" (PX-X12).
    """

    name = "perplexity"
    models: Sequence[str] = (
        *("perplexity/sonar", "perplexity/deepseek-v4-pro-0813", "openai/gpt-6-astra", "anthropic/claude-opus-5-5"),
        *_PRESETS,
    )
    retired: Mapping[str, str] = _GONE
    summary_of_reasoning = False
    ranges: Mapping[str, tuple[float, float]] = {"temperature": (0, 2), "top_p": (0, 1)}  # PX-P2
    has_preview: bool = True
    has_credits: bool = True
    ends: str | None = None
    _api = "agent"

    # --- where a request goes

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        self._api = "orchestrator" if "/orchestrator/" in request.path else type(self)._api
        return super()._respond(request)

    def routes(self) -> Mapping[str, Callable[[EmulatedRequest], EmulatedResponse]]:
        known = dict(super().routes())
        if self._api == "agent":  # PX-0, PX-1
            known["/agent"] = known["/responses"]
            known |= dict.fromkeys(("/chat/completions", "/sonar"), self._migrated)
        elif not self.has_preview:  # PX-2
            known = dict.fromkeys(known, self._limited)
        return known

    def _migrated(self, request: EmulatedRequest) -> EmulatedResponse:
        raise self.refuse(403, _MIGRATED, type="chat_completions_not_available")

    def _limited(self, request: EmulatedRequest) -> EmulatedResponse:
        raise self.refuse(403, "The Router API is currently in limited preview.")

    def check_key(self, request: EmulatedRequest) -> None:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not sent or (self.api_key is not None and sent != self.api_key):
            raise self.refuse(401, "Invalid API key provided.")  # PX-X2
        if not self.has_credits:
            raise self.refuse(401, "You have run out of credits. Please add to your balance.", type="unauthorized")

    # --- refusals in its shape

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        """PX-X20: the number is the code, and the name is the type."""
        named = {"param": param} if param else {}
        return {"error": {"message": message, "type": type or _TYPES.get(status, "error"), "code": status, **named}}

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        if found.place == "input":  # PX-P7
            return self.refuse(400, "input array cannot be empty")
        return self.refuse(400, f"invalid request body: json: {found.place}: it {found.problem}", param=found.place)

    def unreadable(self, request: EmulatedRequest) -> Refusal:
        return self.refuse(400, "invalid request body: json: syntax error")

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(400, f"model {body.get('model')} is not supported")  # PX-X6

    def _unknown_field(self, name: str) -> Refusal:
        text = f'invalid request body: json: unknown field "{name}"'
        return self.refuse(400, text, param=name)

    # --- the Agent API

    def respond_to_items(self, body: Mapping[str, Any]) -> EmulatedResponse:
        if self._api == "orchestrator":
            return super().respond_to_items(body)
        named = body.get("preset") or body.get("model") or next(iter(list_of(body.get("models"))), None)
        return super().respond_to_items({**body, **({} if named is None else {"model": named})})

    def check_parameters(self, body: Mapping[str, Any]) -> None:
        if self._api == "orchestrator":
            super().check_parameters(body)
            return
        for name in body:
            if name not in _KEYS:  # PX-P1
                raise self._unknown_field(name)
        self._check_keys(table_of(body.get("reasoning")), "reasoning")
        self._check_keys(table_of(body.get("response_format")), "response_format")
        spec = table_of(table_of(body.get("response_format")).get("json_schema"))
        self._check_keys(spec, "response_format.json_schema")
        self._check_named(body)
        self._check_values(body)
        self._check_tools(body)

    def _check_keys(self, value: Mapping[str, Any], place: str) -> None:
        unknown = next((name for name in value if name not in _INNER.get(place, value)), None)
        if unknown is not None:
            raise self._unknown_field(unknown)

    def _check_named(self, body: Mapping[str, Any]) -> None:
        """Refuse a request that names no model, or one that is not there (PX-L1, PX-L2, PX-X6)."""
        model = body.get("model")
        if not model:
            raise self.refuse(400, "one of model, models or preset is required")
        if body.get("preset") is not None and model not in _PRESETS:
            raise self.refuse(400, f"unknown preset {model}")
        if body.get("preset") is None and model in _PRESETS:
            raise self.unknown_model(body)
        if len(list_of(body.get("models"))) > 5:
            raise self.refuse(400, "at most 5 models are taken", param="models")
        self.check_model(body)
        if str(model).startswith("anthropic/") and body.get("max_output_tokens") is None:  # PX-P4
            raise self.refuse(400, "max_output_tokens is required when using Anthropic models")

    def _check_values(self, body: Mapping[str, Any]) -> None:
        self.check_data(body, "ranges")
        least = body.get("max_output_tokens")
        if isinstance(least, int) and least < 16:
            raise self.refuse(400, "max_output_tokens must be at least 16", param="max_output_tokens")
        effort = table_of(body.get("reasoning")).get("effort")
        if effort is not None and effort not in _EFFORTS:
            raise self.refuse(400, f"invalid reasoning effort {effort}", param="reasoning")
        if len(table_of(body.get("metadata"))) > 16:
            raise self.refuse(400, "metadata has more than 16 keys", param="metadata")
        if table_of(body.get("response_format")).get("type", "text") not in ("text", "json_schema"):  # PX-J1
            raise self.refuse(400, "invalid request", param="response_format")

    def _check_tools(self, body: Mapping[str, Any]) -> None:
        for tool in list_of(body.get("tools")):
            kind = table_of(tool).get("type")
            if kind not in _TOOLS:
                raise self.refuse(400, f"unknown tool type {kind}", param="tools")
            if kind != "function":
                continue
            self._check_keys(tool, "tools.function")
            if not isinstance(tool.get("name"), str) or tool["name"] in _RESERVED:  # PX-T2
                raise self.refuse(400, f"tool name {tool.get('name')} is reserved", param="tools")
        choice = body.get("tool_choice")
        if not (choice in (None, "none", "auto", "required") or isinstance(choice, Mapping)):
            raise self.refuse(400, "invalid tool_choice", param="tool_choice")
        if isinstance(choice, Mapping) and choice.keys() != {"name"} and choice.get("type") not in _TOOLS[1:]:  # PX-T3
            raise self.refuse(400, "invalid tool_choice", param="tool_choice")

    def check_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        if self._api == "orchestrator":
            super().check_items(items)
            return
        for item in items:
            kind = item.get("type", "message")
            if f"input.{kind}" not in _INNER:
                raise self.refuse(400, "invalid request")  # PX-P7, PX-F2
            self._check_keys(item, f"input.{kind}")
            for part in list_of(item.get("content")):
                if f"content.{part.get('type')}" not in _INNER:  # PX-M1
                    raise self.refuse(400, f"unsupported content type {part.get('type')}")
                self._check_keys(part, f"content.{part['type']}")
            if kind == "message" and item.get("role") not in ("user", "assistant", "system", "developer"):
                raise self.refuse(400, f"invalid role {item.get('role')}")
            if kind == "function_call_output" and not isinstance(item.get("output"), str):
                raise self.refuse(400, "output must be a string")
        calls = [item.get("call_id") for item in items if item.get("type") == "function_call"]
        given = [item.get("call_id") for item in items if item.get("type") == "function_call_output"]
        if set(calls) != set(given):
            raise self.refuse(400, "invalid request")

    def _with_earlier(self, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """PX-P7: every trouble with the input, or with what it goes on from, has the same words."""
        try:
            return super()._with_earlier(body)
        except Refusal:
            known = body.get("previous_response_id") is None
            text = "input array cannot be empty" if known else "invalid request"
            raise self.refuse(400, text) from None

    def as_chat(self, body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        view = super().as_chat(body, items)
        if self._api == "agent":
            view["model"] = _PRESETS.get(view["model"], view["model"])
            named = table_of(body.get("tool_choice")).get("name")
            more = {
                "tool_choice": {"type": "function", "function": {"name": named}} if isinstance(named, str) else None,
                "response_format": body.get("response_format"),
            }
            view |= {name: value for name, value in more.items() if value is not None}
        return view

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """It does where an effort is asked for; only the count tells (PX-R1)."""
        return body.get("reasoning_effort") not in (None, "none")

    # --- its answers

    def output(self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        items = super().output(body, view, attrs.evolve(script, reasoning="", citations=()))  # PX-W3: none in the text
        if self._api == "agent" and self._searches(body):
            yield self._search(script)
        for item in items:
            yield item | ({"thought_signature": "c2lnbmVk"} if item["type"] == "function_call" else {})

    @staticmethod
    def _searches(body: Mapping[str, Any]) -> bool:
        """PX-W2: only with the tool, or by a preset; PX-P6: and never with no calls to spend."""
        offered = any(table_of(tool).get("type") == "web_search" for tool in list_of(body.get("tools")))
        return (offered or "preset" in body) and body.get("max_tool_calls") != 0

    @staticmethod
    def _search(script: Script) -> dict[str, Any]:
        """PX-W3."""
        found = script.citations or (_FOUND,)
        results = [
            {
                "id": number,
                "url": url,
                "title": title,
                "snippet": f"About {title}.",
                "date": None,
                "last_updated": None,
                "source": "web",
            }
            for number, (url, title) in enumerate(found, 1)
        ]
        return {"type": "search_results", "queries": ["a question"], "results": results}

    def response(
        self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script, output: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        whole = {**super().response(body, view, script, output), "model": view["model"]}
        if self._api == "agent":
            whole |= {"usage": self._counted(script, view["model"], any(i["type"] == "search_results" for i in output))}
            if self.ends is not None:  # PX-X12
                error = {"code": "internal_error", "message": "The run was stopped."}
                whole |= {"status": self.ends, "error": error, "usage": None, "output": []}
        return whole

    def _counted(self, script: Script, model: str, searched: bool) -> dict[str, Any]:
        """PX-U1, PX-U2: what was used, with its price; a tool has another name on the bill."""
        usage = {**self.usage_of_items(script)}
        usage["input_tokens_details"] = {"cached_tokens": script.cached_tokens}
        fresh, cached, written = _RATES.get(model, (0.25, 0.0625, 2.5))
        told = ((script.input_tokens - script.cached_tokens) * fresh + script.cached_tokens * cached) / 1e6
        spent = script.output_tokens * written / 1e6
        tools = 0.0025 if searched else 0.0
        cost = {"currency": "USD", "input_cost": told, "output_cost": spent, "total_cost": told + spent + tools}
        if searched:
            cost |= {"tool_calls_cost": tools}
            usage["tool_calls_details"] = {"search_web": {"invocation": 1, "cost_usd": tools}}
        return {**usage, "cost": cost}

    def _events(self, whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """PX-S1, PX-S3, PX-S4: progress in words of its own, and a call that is whole when it is added."""
        for event in super()._events(whole):
            kind, item = event["type"], table_of(event.get("item"))
            if self._api == "agent" and kind == "response.in_progress":
                yield event
                yield {"type": "response.reasoning.started", "thought": "Let me see."}
                yield {"type": "response.reasoning.stopped"}
            elif self._api == "agent" and kind.startswith("response.function_call_arguments."):
                continue
            elif self._api == "agent" and kind == "response.output_item.added" and item["type"] != "message":
                yield {**event, "item": whole["output"][event["output_index"]]}
            else:
                yield event

    def _item_events(self, index: int, item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if item["type"] == "search_results":
            yield {"type": "response.reasoning.search_queries", "queries": item["queries"]}
            yield {"type": "response.reasoning.search_results", "results": item["results"]}
            return
        yield from super()._item_events(index, item)

    def headers(self, content_type: str) -> dict[str, str]:
        """PX-H1."""
        if self._api == "orchestrator":
            return {"content-type": content_type}
        limits = {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "49", "x-ratelimit-used": "1"}
        return {"content-type": content_type, "x-request-id": f"{self.serial:08d}", **limits, "x-ratelimit-reset": "60"}

    def models_body(self) -> Any:
        """PX-E4: without the presets."""
        rates = {"input": 0.25, "output": 2.5, "cache_read": 0.0625, "unit": "usd_per_1m_tokens"}
        entries = [
            {"id": name, "object": "model", "created": 0, "owned_by": name.partition("/")[0], "pricing": rates}
            for name in self.models
            if "/" in name
        ]
        return {"object": "list", "data": entries}

    # --- the Orchestrator's chat

    def check(self, body: Mapping[str, Any]) -> None:
        for name in body:
            if name in _UNTAKEN or (name in _DEFAULTS and body[name] != _DEFAULTS[name]):  # PX-P9
                raise self.refuse(400, f"{name} is not supported", param=name)
        if table_of(body.get("response_format")).get("type", "text") not in ("text", "json_schema"):  # PX-P8
            raise self.refuse(400, "response_format is not supported", param="response_format")
        super().check(body)
        if body.get("reasoning_effort") not in (None, "none", *_EFFORTS):  # PX-R3
            raise self.refuse(400, "reasoning_effort is not supported", param="reasoning_effort")
        for part in (part for message in body["messages"] for part in parts_of(message)):
            if part["type"] not in ("text", "image_url"):  # PX-M2
                raise self.refuse(400, f"{part['type']} is not supported", param="messages")


class OrchestratorEmulator(PerplexityEmulator):
    """The Orchestrator alone, whatever the path (PX-2)."""

    _api = "orchestrator"
