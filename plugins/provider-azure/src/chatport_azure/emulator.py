"""Azure's twin: both forms of its address, its content filter, and what its models refuse.

Its rules are written from the same numbered facts as the hooks, and share no code or data with them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from chatport.testing import (
    EmulatedRequest,
    EmulatedResponse,
    Misfit,
    Refusal,
    Script,
    VendorEmulator,
    functions_of,
    list_of,
    sse,
)
from chatport_responses.emulator import ResponsesEmulator

__all__ = ["AzureEmulator"]

_EFFORTS: Mapping[str, str] = {  # AZ-P2: the longest prefix holds; none: it does not reason
    "o": "low medium high",
    "gpt-5": "minimal low medium high",
    "gpt-5-pro": "high",
    "gpt-5-chat": "",
    "gpt-5.1": "none low medium high",
    **dict.fromkeys(("gpt-5.2", "gpt-5.3", "gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6"), "none low medium high xhigh"),
}
_DEFAULTS = {"gpt-5.1": "none", "gpt-5.2": "none", "gpt-5.3": "none", "gpt-5.4": "none"}
_TOOLS_NEED_NONE = ("gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6")  # AZ-P3
_REFUSED = (  # AZ-P1
    "max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
    "logit_bias",
)  # fmt: skip
_ONLY_RESPONSES = re.compile(r"gpt-5[.\d]*-(?:pro|codex)")  # AZ-E3
_FILTERS = ("hate", "self_harm", "sexual", "violence")
_SAFE = {name: {"filtered": False, "severity": "safe"} for name in _FILTERS}
_BLOCKED = {**_SAFE, "hate": {"filtered": True, "severity": "high"}}
_NOT_DETECTED = {"detected": False, "filtered": False}
_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again."
)
_BY_POLICY = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify "
    "your prompt and retry. To learn more about our content filtering policies please read our documentation: "
    "https://go.microsoft.com/fwlink/?linkid=2198766"
)
_TOO_FAST = (
    "Your requests to gpt for gpt in westeurope have exceeded the token rate limit of your current deployment. "
    "Please retry after 20 seconds."
)
_STATUSES: Mapping[int, Mapping[str, Any]] = {
    401: {"code": "401", "message": _DENIED},  # AZ-X10, AZ-X32
    402: {"code": "insufficient_quota", "message": "You exceeded your current quota.", "type": "insufficient_quota"},
    403: {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."},  # AZ-X12
    404: {"type": "invalid_request_error", "code": "DeploymentNotFound", "message": _NO_DEPLOYMENT},  # AZ-X14
    408: {"code": "Timeout", "message": "The operation was timeout."},
    429: {"code": "RateLimitReached", "message": _TOO_FAST},  # AZ-X20
    500: {"code": "InternalServerError", "message": "Internal server error"},
    503: {"code": "503", "message": "System is experiencing high demand. Please try again later."},  # AZ-X22
}
_LATENCY = dict.fromkeys(
    (
        "engine_tbt_ms", "engine_ttft_ms", "engine_ttlt_ms", "pre_inference_ms", "service_tbt_ms", "service_ttft_ms",
        "service_ttlt_ms", "total_duration_ms", "user_visible_ttft_ms",
    ),
    42,
)  # fmt: skip


class AzureEmulator(ResponsesEmulator, VendorEmulator):
    """One resource, its deployments, and the content filter before and behind them.

    Settings: `base_models` maps deployments to the models in them, where their names do not say it (AZ-B4);
    `blocks` is what the content filter stops: "prompt" (AZ-C3) or "completion" (AZ-C2); `larger_than_limit` answers
    every call as one above the tokens of a minute (AZ-X30).
    """

    name = "azure"
    models: Sequence[str] = (
        *("gpt-4o", "gpt-4.1", "o4-mini", "gpt-5-mini", "gpt-5-nano", "gpt-5.1", "gpt-5.2", "gpt-5.4"),
        *("gpt-5.4-mini", "gpt-5.5", "gpt-5.6-sol", "gpt-5.6-luna", "gpt-6-sol", "gpt-6-luna", "prod-chat"),
    )
    roles = ("system", "developer", "user", "assistant", "tool", "function")
    most_tools = 128  # AZ-T2
    base_models: Mapping[str, str] = {"prod-chat": "gpt-4o"}
    blocks: str = ""
    larger_than_limit: bool = False

    # --- addresses

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        try:
            self._check_address(request)
            if request.method == "POST" and urlsplit(request.path).path.endswith("/embeddings"):
                self.check_key(request)
                return self.reply(200, self._embeddings(self.read(request)))
        except Refusal as refusal:
            return self.reply(refusal.status, refusal.body, refusal.headers)
        return super()._respond(request)

    def _check_address(self, request: EmulatedRequest) -> None:
        """Refuse a deployment's path without a version (AZ-B2), and the v1 path with one (AZ-I3)."""
        parts = urlsplit(request.path)
        version = (parse_qs(parts.query).get("api-version") or [""])[0]
        is_dated = re.match(r"\d{4}-", version) is not None
        if is_dated if "/openai/v1/" in parts.path else "/deployments/" in parts.path and not is_dated:
            raise self.no_such_path(request)

    def read(self, request: EmulatedRequest) -> Mapping[str, Any]:
        """In the older form the path names the deployment, whatever the body says (AZ-B3)."""
        body = super().read(request)
        named = re.search(r"/deployments/([^/]+)/", urlsplit(request.path).path)
        return body if named is None else {**body, "model": unquote(named[1])}

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return Refusal(404, {"error": {"code": "404", "message": "Resource not found"}})  # AZ-X15

    def check_key(self, request: EmulatedRequest) -> None:
        """A key in its own header, or a token as a bearer (AZ-B6, AZ-B7)."""
        sent = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not sent or (self.api_key is not None and sent != self.api_key):
            raise self.error_for(401)

    # --- refusals

    def base_model(self, body: Mapping[str, Any]) -> str:
        """Return the model in a deployment."""
        model = str(body.get("model"))
        return self.base_models.get(model, model)

    def check(self, body: Mapping[str, Any]) -> None:
        super().check(body)
        if _ONLY_RESPONSES.match(self.base_model(body)):
            raise self.refuse(400, "The requested operation is unsupported.", code="OperationNotSupported")  # AZ-X19
        roles = {message.get("role") for message in body["messages"]}
        if {"system", "developer"} <= roles:  # AZ-P4
            raise self.refuse(400, "System and developer messages cannot both be in one request.", param="messages")
        self._check_model_rules(body)
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_object" and "json" not in str(body["messages"]).lower():  # AZ-J1
            text = (
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            )
            raise self.refuse(400, text, param="messages")
        if self._effort(body) != "none" and functions_of(body) and self._is_one_of(body, _TOOLS_NEED_NONE):  # AZ-P3
            text = f"Function tools with reasoning_effort are not supported for {self.base_model(body)} in "
            text += "/v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'."
            raise self.refuse(400, text, param="reasoning_effort")
        self._check_filter()

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        self._check_model_rules(view)
        self._check_filter()

    def _check_model_rules(self, body: Mapping[str, Any]) -> None:
        known = self._efforts(body)
        effort = body.get("reasoning_effort")
        if not known:
            return
        for field in _REFUSED:
            if field in body:  # AZ-P1
                text = f"Unsupported parameter: '{field}' is not supported with this model."
                raise self.refuse(400, text, param=field, code="unsupported_parameter")
        if effort is not None and effort not in known.split():
            text = f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model."
            raise self.refuse(400, text, param="reasoning_effort", code="unsupported_value")
        is_parallel = body.get("parallel_tool_calls") is not None
        if is_parallel and (effort == "minimal" or self.base_model(body).startswith("o")):  # AZ-P2
            text = "Unsupported parameter: 'parallel_tool_calls' is not supported with this model."
            raise self.refuse(400, text, param="parallel_tool_calls", code="unsupported_parameter")

    def _check_filter(self) -> None:
        if self.larger_than_limit:
            refusal = self.error_for(429)
            refusal.headers |= {"retry-after": "1", "retry-after-ms": "0"}  # AZ-X30
            raise refusal
        if self.blocks == "prompt":
            inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": _BLOCKED}
            error = {"message": _BY_POLICY, "type": None, "param": "prompt", "code": "content_filter", "status": 400}
            raise Refusal(400, {"error": {**error, "innererror": inner}})

    def _efforts(self, body: Mapping[str, Any]) -> str:
        model = self.base_model(body)
        prefixes = [name for name in _EFFORTS if model.startswith(name) and (name != "o" or model[1:2].isdigit())]
        return _EFFORTS[max(prefixes, key=len)] if prefixes else ""

    def _effort(self, body: Mapping[str, Any]) -> str:
        """Return the effort that holds."""
        if not self._efforts(body):
            return "none"
        default = next((word for name, word in _DEFAULTS.items() if self._is_one_of(body, (name,))), "medium")
        return str(body.get("reasoning_effort") or default)

    def _is_one_of(self, body: Mapping[str, Any], names: Sequence[str]) -> bool:
        return self.base_model(body).startswith(tuple(names))

    def error_body(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
    ) -> Any:
        kind = type or ("invalid_request_error" if status < 500 else "server_error")
        return {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(400, f"Invalid value for '{found.place}': it {found.problem}.", param=found.place)

    def error_for(self, status: int) -> Refusal:
        if status == 400:
            text = "This model's maximum context length is 128000 tokens. However, your messages resulted in 128027."
            return self.refuse(400, text, param="messages", code="context_length_exceeded")  # AZ-X18
        if status not in _STATUSES:
            return self.refuse(status, f"An emulated error with status {status}.")
        headers = {"retry-after-ms": "20000", "retry-after": "20"} if status == 429 else {}  # AZ-H2
        return Refusal(429 if status == 402 else status, {"error": _STATUSES[status]}, headers)  # AZ-X21: no 402 here

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        return self.error_for(404)

    # --- answers

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """It does, and never shows it on chat (AZ-R1)."""
        return self._effort(body) != "none"

    def script(self, body: Mapping[str, Any]) -> Script:
        script = super().script(body)
        if self.blocks == "completion":
            return attrs.evolve(script, text="", calls=(), refusal="", finish="content_filter")
        return script

    def served(self, body: Mapping[str, Any]) -> str:
        """Return the dated id that answers (AZ-B4)."""
        return f"{self.base_model(body)}-2025-08-07"

    def results(self, script: Script) -> Mapping[str, Any]:
        """Return what the filter found in the text of an answer, nothing in calls (AZ-C1)."""
        if script.finish == "content_filter":
            return _BLOCKED
        found = {**_SAFE, "protected_material_code": _NOT_DETECTED, "protected_material_text": _NOT_DETECTED}
        return found if script.text else {}

    @property
    def of_the_prompt(self) -> list[Any]:
        """What the filter found in the prompt."""
        return [{"prompt_index": 0, "content_filter_results": {**_SAFE, "jailbreak": _NOT_DETECTED}}]

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """AZ-U1."""
        details = {"audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        return {
            **super().usage(body, script),
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens, **details},
        }

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        whole = super().completion(body, script)
        message = {"refusal": None, "annotations": [], **whole["choices"][0]["message"]}
        choice = {"content_filter_results": self.results(script), "finish_reason": script.finish, "index": 0}
        if self.blocks != "completion":  # AZ-C2: a blocked one has no message at all
            choice["message"] = message
        choices = [{**choice, "logprobs": None, "index": index} for index in range(body.get("n") or 1)]
        usage = {**whole["usage"], "latency_checkpoint": _LATENCY}
        more = {"prompt_filter_results": self.of_the_prompt, "service_tier": "default", "system_fingerprint": None}
        return {**whole, "model": self.served(body), "choices": choices, "usage": usage, **more}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return a choice, its keys in the order of the alphabet, as recorded."""
        found: Mapping[str, Any] = {}
        if delta.get("content"):
            found = {"protected_material_text": _NOT_DETECTED}
        if finish == "content_filter":
            found = _BLOCKED
        return {
            "content_filter_results": found, "delta": delta, "finish_reason": finish, "index": 0, "logprobs": None,
        }  # fmt: skip

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """AZ-S2, AZ-S3."""
        if (body.get("stream_options") or {}).get("include_usage"):
            more = {"usage": None, **more}
        if more.get("usage"):
            more["latency_checkpoint"] = _LATENCY
        more |= {"obfuscation": self._digits(str(choices), 9), "service_tier": "default", "system_fingerprint": None}
        whole = super().chunk({**body, "model": self.served(body)}, choices, **more)
        return {"choices": whole.pop("choices"), **whole}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        pieces = [delta for delta in super().deltas(body, script) if "role" not in delta]
        first = {"role": "assistant", "content": None if script.calls and not script.text else "", "refusal": None}
        if script.calls and not script.text:
            first |= pieces.pop(0)
        yield first
        yield from pieces

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """AZ-S1: the first chunk has no choice, and nothing in its ids."""
        empty = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        yield sse({**empty, "prompt_filter_results": self.of_the_prompt})
        yield from super().stream(body, script)

    def response(
        self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script, output: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """AZ-C4."""
        is_blocked = self.blocks == "completion"
        whole = super().response(body, view, script, output)
        if is_blocked:
            whole |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}
        found: dict[str, Any] = {
            "blocked": is_blocked, "source_type": "completion" if is_blocked else "prompt", "content_filter_raw": [],
            "content_filter_results": _BLOCKED if is_blocked else {},
            "content_filter_offsets": {"start_offset": 0, "end_offset": 802, "check_offset": 0},
        }  # fmt: skip
        return {**whole, "content_filters": [found]}

    def headers(self, content_type: str) -> dict[str, str]:
        return {
            "content-type": content_type + ("; charset=utf-8" if "stream" in content_type else ""),
            "apim-request-id": self._digits("apim", 32),  # AZ-H2
            "x-request-id": self._digits("request", 32),
            "x-ms-region": "West Europe",
            "x-ratelimit-limit-requests": "250",  # AZ-H1
            "x-ratelimit-limit-tokens": "250000",
            "x-ratelimit-remaining-requests": "249",
            "x-ratelimit-remaining-tokens": "249982",
            "x-ratelimit-reset-requests": "0",
            "x-ratelimit-reset-tokens": "0",
            "x-ratelimit-renewalperiod-requests": "60",
            "x-ratelimit-renewalperiod-tokens": "60",
            "x-ratelimit-abusepenalty-active": "False",
        }

    def models_body(self) -> Any:
        """AZ-E2: the models of the region, not the deployments of the resource."""
        names = dict.fromkeys(self.base_models.get(name, name) for name in self.models)
        able = {"chat_completion": True, "embeddings": False, "fine_tune": False, "inference": True}
        data = [
            {"id": f"{name}-2025-08-07", "object": "model", "created_at": 1_790_000_000, "capabilities": able}
            for name in names
        ]
        return {"object": "list", "data": data}

    def _embeddings(self, body: Mapping[str, Any]) -> dict[str, Any]:
        texts = [body["input"]] if isinstance(body.get("input"), str) else list_of(body.get("input"))
        if self.models and body.get("model") not in self.models:
            raise self.unknown_model(body)
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise self.refuse(400, "'$.input' is invalid. Please check the API reference.", param="input")
        data = [{"object": "embedding", "index": n, "embedding": [len(t) / 100, 0.5]} for n, t in enumerate(texts)]
        tokens = sum(max(len(text) // 4, 1) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}

    def reply_id(self) -> str:
        return f"chatcmpl-{self._digits('reply', 29)}"

    def call_id(self, number: int) -> str:
        return f"call_{self._digits(f'call {number}', 24)}"

    def _digits(self, what: str, length: int) -> str:
        return hashlib.sha256(f"{self.serial} {what}".encode()).hexdigest()[:length]
