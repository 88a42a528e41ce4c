"""xAI's twin: its Responses endpoint, and the older chat completions.

Its rules are written from the same numbered facts as the hooks, and share no code or data with them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

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

__all__ = ["XAIEmulator"]

_XHIGH = ("low", "medium", "high", "xhigh")
_EFFORTS: Mapping[str, Sequence[str]] = {  # XA-R1, XA-R2: the longest beginning holds; none at all: no effort is taken
    "grok-4.7": _XHIGH,
    "grok-4.6": _XHIGH,
    "grok-4.5": _XHIGH,  # whose xhigh is silently high
    "grok-4.3": ("none", "low", "medium", "high"),
    "grok-latest": ("none", "low", "medium", "high"),
    "grok-4.20": (),
    "grok-4.20-multi-agent": ("low", "medium", "high", "xhigh"),
}
_DEFAULTS = {"grok-4.3": "low", "grok-latest": "low"}
_ANSWERS_AS: Mapping[str, tuple[str, str, str | None]] = {  # XA-D1, XA-D2: since when, as what, with which effort
    **dict.fromkeys(
        ("grok-4-1-fast", "grok-4-1-fast-reasoning", "grok-4-fast", "grok-4-fast-reasoning", "grok-4", "grok-4-0709"),
        ("2026-05-15", "grok-4.3", None),
    ),
    **dict.fromkeys(
        ("grok-4-1-fast-non-reasoning", "grok-4-fast-non-reasoning", "grok-3"), ("2026-05-15", "grok-4.3", "none")
    ),
    "grok-3-mini": ("2026-05-15", "grok-4.3", None),  # RS-V1
    "grok-code-fast-1": ("2026-05-15", "grok-build-0.1", None),
    "grok-build-0.1": ("2026-11-19", "grok-4.7", None),
}
_PENALTIES = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty"}
_INVALID = "Client specified an invalid argument"
_TEAM = "00000000-0000-4000-8000-000000000000"
_BUSY = "The service is currently unavailable"
_LIVE_SEARCH = (
    "Live search is deprecated. Please switch to the Agent Tools API: https://docs.x.ai/docs/guides/tools/overview"
)
_WORDS: Mapping[int, tuple[str, str]] = {  # XA-X4 to XA-X10
    400: (_INVALID, "This model's maximum prompt length is 131072 but the request contains 136973 tokens."),
    401: ("unauthenticated:no-credentials", "No credentials presented."),
    402: ("personal-team-blocked:spending-limit", "You have run out of credits."),
    403: ("The caller does not have permission to execute the specified operation", "Your API key is blocked."),
    404: ("not-found", "Not found."),
    410: ("Live search is deprecated", _LIVE_SEARCH),
    422: (_INVALID, "Failed to deserialize the JSON body into the target type."),
    429: ("Some resource has been exhausted", "Too many requests for the model. Please slow down."),
    500: ("Internal error", "Service temporarily unavailable. Please try again later."),
    503: (_BUSY, _BUSY),
}
_SPENT = (
    f"Your team {_TEAM} has either used all available credits or reached its monthly spending limit. "
    "To continue making API requests, please purchase more credits or raise your spending limit."
)


class XAIEmulator(ResponsesEmulator, VendorEmulator):
    """The Responses and chat completions of api.x.ai.

    Settings: `has_credits` False answers every call as an empty account does (XA-X5); `is_up` False answers a stream
    with a 200 that is none (XA-S7); `cached_tokens` says how much of a prompt was cached.
    """

    name = "xai"
    models: Sequence[str] = (
        *("grok-4.7", "grok-4.6", "grok-4.5", "grok-4.3", "grok-latest"),
        *("grok-4.20-0309-reasoning", "grok-4.20-0309-non-reasoning", "grok-4.20-multi-agent"),
    )
    model_form = r"grok\b\S*"
    most_stops = 8  # XA-P6
    most_tools = 128  # XA-T1
    ranges: Mapping[str, tuple[float, float]] = {"temperature": (0, 2), "top_p": (0, 1), "n": (1, 128)}  # XA-P1, XA-P6
    has_credits: bool = True
    is_up: bool = True
    cached_tokens: int = 0

    # --- what it refuses

    def check_key(self, request: EmulatedRequest) -> None:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not sent:
            raise self.refuse(401, "No credentials presented.", code="unauthenticated:no-credentials")  # XA-X3
        if self.api_key is not None and sent != self.api_key:  # XA-X2: not a 401
            text = f"Incorrect API key provided: {sent[:2]}***. You can obtain an API key from https://console.x.ai."
            raise self.refuse(400, text, code="invalid-argument")

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        return {"code": code or _WORDS.get(status, _WORDS[400])[0], "error": message}  # XA-X1, XA-X20

    def error_for(self, status: int) -> Refusal:
        code, text = _WORDS.get(status, _WORDS[400])
        return self.refuse(status, text, code=code)

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        text = f"Failed to deserialize the JSON body into the target type: {found.place}: it {found.problem}"
        return self.refuse(422, text)  # XA-X7

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        text = f"The model {body.get('model')} does not exist or your team {_TEAM} does not have access to it."
        return self.refuse(404, text, code="not-found")

    def check_model(self, body: Mapping[str, Any]) -> None:
        super().check_model({**body, "model": self._running(str(body.get("model")))[0]})

    def _running(self, model: str) -> tuple[str, str | None]:
        """Return the model that answers to a name, and the effort that the name stands for (XA-D1, XA-D2)."""
        today, effort = self.today or datetime.now(UTC).date().isoformat(), None
        while not (self.models_are_given and model in self.models) and model in _ANSWERS_AS:
            since, heir, word = _ANSWERS_AS[model]
            if since > today:
                break
            model, effort = heir, word or effort
        return model, effort

    def _efforts(self, model: str) -> Sequence[str] | None:
        """Return the efforts that a model takes, None where nothing is known of it."""
        known = [begin for begin in _EFFORTS if model.startswith(begin)]
        return _EFFORTS[max(known, key=len)] if known else None

    def _check_account(self) -> None:
        if not self.has_credits:
            raise self.refuse(403, _SPENT, code=_WORDS[403][0])

    def _check_common(self, body: Mapping[str, Any], effort: Any) -> None:
        """Refuse what both protocols refuse: penalties, and efforts that the model does not have."""
        model = self._running(str(body.get("model")))[0]
        for field, name in _PENALTIES.items():
            if field in body:  # XA-P3: the value 0 too
                raise self.refuse(400, f"Model {model} does not support parameter {name}.")
        taken = self._efforts(model)
        if effort is None or taken is None:
            return
        if not taken:  # XA-P4, XA-R2
            raise self.refuse(400, f"Model {model} does not support parameter reasoningEffort.")
        if effort not in taken:
            raise self.refuse(400, f"This model does not support 'reasoning_effort' value '{effort}'")

    def _check_schema(self, schema: Any) -> None:
        """Refuse what the schema subset does not have (XA-T4)."""
        waiting = [schema]
        while waiting:
            part = waiting.pop()
            if isinstance(part, list):
                waiting += part
            if not isinstance(part, Mapping):
                continue
            for name in ("enum", "anyOf"):
                if part.get(name) == []:
                    raise self.refuse(400, f"Invalid schema: {name} must not be empty")
            if isinstance(part.get("items"), list) or "minContains" in part or "maxContains" in part:
                raise self.refuse(400, "Invalid schema: items must be a schema, and contains is not counted")
            if any(isinstance(value, bool) for value in table_of(part.get("properties")).values()):
                raise self.refuse(400, "Invalid schema: a property must be an object")
            waiting += list(table_of(part.get("properties")).values())
            waiting += list(table_of(part.get("$defs")).values())
            waiting += [part.get(name) for name in ("items", "anyOf", "oneOf", "allOf", "prefixItems")]

    # --- chat completions

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        self.check(body)
        if body.get("deferred"):  # XA-P10
            return self.reply(200, {"request_id": self.reply_id()})
        script = self.script(body)
        if not body.get("stream"):
            return self.reply(200, self.completion(body, script))
        if not self.is_up:  # XA-S7
            return self.reply(200, {"code": _BUSY, "error": _BUSY})
        return EmulatedResponse(200, self.headers("text/event-stream"), list(self.stream(body, script)))

    def check(self, body: Mapping[str, Any]) -> None:
        self._check_account()
        if "search_parameters" in body:  # XA-P7, XA-X8
            raise self.refuse(410, _LIVE_SEARCH, code=_WORDS[410][0])
        if "logit_bias" in body:  # XA-P5
            raise self.refuse(400, f"Model {body.get('model')} does not support parameter logitBias.")
        super().check(body)
        model = self._running(str(body["model"]))[0]
        if "multi-agent" in model:  # XA-R2
            raise self.refuse(400, f"Multi Agent requests are not allowed on chat completions: {model}.")
        self._check_common(body, body.get("reasoning_effort"))
        if "stop" in body and self._always_or_can_reason(model):  # XA-P3
            raise self.refuse(400, f"Model {model} does not support parameter stop.")
        for tool in list_of(body.get("tools")):
            if tool.get("type") != "function":  # XA-T1, XA-W1
                raise self.refuse(422, f"tools: unknown variant `{tool.get('type')}`, expected `function`")
            self._check_schema(table_of(tool.get("function")).get("parameters"))
        self._check_schema(table_of(table_of(body.get("response_format")).get("json_schema")).get("schema"))
        for part in (part for message in body["messages"] for part in parts_of(message)):
            if part["type"] not in ("text", "image_url"):  # XA-M1, XA-M2
                raise self.refuse(422, f"messages: unknown variant `{part['type']}`, expected `text` or `image_url`")

    @staticmethod
    def _always_or_can_reason(model: str) -> bool:
        return not model.endswith("-non-reasoning")

    def reasons(self, body: Mapping[str, Any]) -> bool:
        model, meant = self._running(str(body.get("model")))
        default = meant or ("none" if model.endswith("-non-reasoning") else _DEFAULTS.get(model, "high"))
        return bool(body.get("reasoning_effort", default) != "none")

    def script(self, body: Mapping[str, Any]) -> Script:
        limits = ("max_tokens", "max_completion_tokens", "max_output_tokens")
        script = super().script({name: value for name, value in body.items() if name not in limits})
        limit = next((body[name] for name in limits if body.get(name)), None)
        words = script.text.split()
        if limit is None or script.calls or len(words) <= limit:  # XA-P2: it counts no reasoning, and no calls
            return script
        return Script(
            text=" ".join(words[:limit]), reasoning=script.reasoning, finish="length", input_tokens=script.input_tokens
        )

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """XA-S6: a text even where there is none, and no thoughts: the newest models return none here (XA-R3)."""
        message = super().message(body, script)
        return {**message, "content": script.text, "refusal": script.refusal or None}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        model = self._running(str(body["model"]))[0]
        return {**super().completion(body, script), "model": model, "system_fingerprint": "fp_emulated"}

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """XA-S1: the model is the one that answers."""
        model = self._running(str(body["model"]))[0]
        return {**super().chunk(body, choices, **more), "model": model, "system_fingerprint": "fp_emulated"}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """XA-S3, XA-I7: there is no finish reason until the last chunk."""
        return {"index": 0, "delta": delta, **({"finish_reason": finish} if finish else {})}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """XA-S2: the role stands in the first chunk that says something."""
        deltas = (delta for delta in super().deltas(body, script) if delta.get("content") != "")
        for number, delta in enumerate(deltas):
            yield {"role": "assistant", **delta} if number == 0 else delta

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        """XA-S5: a call comes whole."""
        function = {"name": name, "arguments": arguments}
        yield {"tool_calls": [{"id": self.call_id(number), "function": function, "index": number, "type": "function"}]}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """XA-U1 to XA-U3: the reasoning is counted beside what is written, and the charge is told."""
        written = script.output_tokens - script.reasoning_tokens
        total = script.input_tokens + script.output_tokens
        details = {
            "text_tokens": script.input_tokens, "audio_tokens": 0, "image_tokens": 0,
            "cached_tokens": min(self.cached_tokens, script.input_tokens),
        }  # fmt: skip
        return {
            "prompt_tokens": script.input_tokens,
            "completion_tokens": written,
            "total_tokens": total,
            "prompt_tokens_details": details,
            "completion_tokens_details": {
                "reasoning_tokens": script.reasoning_tokens, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "num_sources_used": 0,
            "cost_in_usd_ticks": _ticks(script),
        }  # fmt: skip

    def reply_id(self) -> str:
        return str(uuid.UUID(int=self.serial))

    def call_id(self, number: int) -> str:
        return f"call_{self.serial * 100 + number:08d}"

    # --- Responses

    def respond_to_items(self, body: Mapping[str, Any]) -> EmulatedResponse:
        self._check_account()
        if body.get("stream") and not self.is_up:  # XA-S7
            return self.reply(200, {"code": _BUSY, "error": _BUSY})
        return super().respond_to_items(body)

    def check_parameters(self, body: Mapping[str, Any]) -> None:
        self._check_common(body, table_of(body.get("reasoning")).get("effort"))
        if body.get("background"):  # RS-V2
            raise self.refuse(400, "Background mode is not supported.")
        if isinstance(body.get("model"), str):
            self.check_model(body)
        least = body.get("max_output_tokens")
        running = {**body, "model": self._running(str(body["model"]))[0]} if body.get("model") else body
        super().check_parameters({**running, **({"max_output_tokens": max(least, 16)} if least else {})})
        if len(list_of(body.get("tools"))) > self.most_tools:
            raise self.refuse(400, f"tools: at most {self.most_tools} are taken")

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        self.check_data(view, "ranges")
        for tool in list_of(body.get("tools")):
            self._check_schema(table_of(tool).get("parameters"))
        self._check_schema(table_of(table_of(body.get("text")).get("format")).get("schema"))

    def check_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        """RS-V2, XA-I6: lost thoughts go unnoticed, but one that is sealed needs its summary."""
        for item in items:
            if item.get("type") == "reasoning" and item.get("encrypted_content") and "summary" not in item:
                raise self.refuse(400, "Could not decode the compaction blob. Please pass it unchanged.")
        super().check_items(items)

    def as_chat(self, body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {**super().as_chat(body, items), "model": self._running(str(body["model"]))[0]}

    def item_id(self, prefix: str, number: int) -> str:
        """RS-V1: all items of one kind have the response's id in theirs."""
        return f"{prefix}_{self.reply_id()}" + (f"_{number}" if prefix == "fc" else "")

    def output(self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        for item in super().output(body, view, script):
            if item["type"] == "function_call":
                item["call_id"] = f"call-{self.reply_id()}-{item['id'].rpartition('_')[2]}"
            yield item

    def reasoning_item(self, body: Mapping[str, Any], thoughts: str) -> dict[str, Any]:
        """RS-V1: what it thought comes unasked, with a line feed behind it, and sealed where that was asked for."""
        item = super().reasoning_item({"reasoning": {"summary": "detailed"}}, f"{thoughts}\n")
        if "reasoning.encrypted_content" not in list_of(body.get("include")):
            del item["encrypted_content"]
        return {**item, "status": "completed"}

    def response(
        self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script, output: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        effort = table_of(body.get("reasoning")).get("effort") or _DEFAULTS.get(view["model"], "high")
        told = {"effort": None, "summary": None} if body.get("stream") else {"effort": effort, "summary": "detailed"}
        return {
            **super().response(body, view, script, output),
            "id": self.reply_id(), "model": view["model"], "temperature": 0.699999988079071, "top_p": 0.949999988079071,
            "reasoning": told, "metadata": {"system_fingerprint": "fp_emulated"},
        }  # fmt: skip

    def usage_of_items(self, script: Script) -> dict[str, Any]:
        details = {"input_tokens": script.input_tokens, "output_tokens": script.output_tokens}
        return {
            "input_tokens": script.input_tokens,
            "input_tokens_details": {"cached_tokens": min(self.cached_tokens, script.input_tokens)},
            "output_tokens": script.output_tokens,
            "output_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
            "total_tokens": script.input_tokens + script.output_tokens,
            "context_details": details,
            "cost_in_usd_ticks": _ticks(script),
            "num_server_side_tools_used": 0,
            "num_sources_used": 0,
        }

    def headers(self, content_type: str) -> dict[str, str]:
        """XA-H1."""
        return {"content-type": content_type, "x-request-id": self.reply_id(), "x-zero-data-retention": "false"}

    def models_body(self) -> Any:
        """XA-E4."""
        entries = [
            {"id": name, "object": "model", "created": 1_790_000_000, "owned_by": "xai", "context_length": 500_000}
            for name in self.models
        ]
        return {"object": "list", "data": entries}


def _ticks(script: Script) -> int:
    """Return what an answer is charged with, in ticks of 1e-10 USD, at 2 and 6 USD for a million tokens (XA-U3)."""
    return script.input_tokens * 20_000 + script.output_tokens * 60_000
