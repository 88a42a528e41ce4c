"""Bedrock's twin: the OpenAI-compatible paths of its two endpoints, and what their models refuse.

Its rules are written from the same numbered facts as the hooks, and share no code or data with them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import (
    EmulatedRequest,
    EmulatedResponse,
    Misfit,
    Refusal,
    Script,
    VendorEmulator,
    parts_of,
    sse,
)
from chatport_responses.emulator import ResponsesEmulator

__all__ = ["BedrockEmulator"]

_GPT = re.compile(r"(?:(?:us|eu|in|global)\.)?openai\.gpt-[56]\S*")
_OSS = re.compile(r"openai\.gpt-oss-\S+")
_SECOND_PREFIX = re.compile(r"\S*(?:openai\.gpt-[56]|xai\.grok|google\.gemma-4)\S*")  # BR-B2
_CHAT_ONLY = re.compile(r"\S*(?:deepseek|qwen|zai|moonshotai|minimax|mistral|nvidia|writer|gemma-3|safeguard)\S*")
_RESPONSES_ONLY = re.compile(r"openai\.gpt-5\.[45]\S*")  # BR-E3
_EFFORTS = {"gpt": "none low medium high xhigh max", "oss": "low medium high"}  # BR-P3
_ARN = "arn:aws:iam::123456789012:user/emulated"
_STATUSES: Mapping[int, tuple[str, str, str]] = {  # message, code, type
    400: ("Input is too long for requested model.", "validation_error", "invalid_request_error"),  # BR-X13
    401: ("Authentication failed: the API key is invalid or expired.", "invalid_api_key", "authentication_error"),
    403: (f"User: {_ARN} is not authorized to use this model.", "access_denied", "permission_error"),  # BR-X2, BR-X15
    404: ("The model 'x' does not exist", "not_found_error", "invalid_request_error"),  # BR-X16
    429: ("Too many tokens, please wait before trying again.", "throttling_error", "rate_limit_error"),  # BR-X18
    500: ("The server had an error.", "internal_error", "server_error"),  # BR-X19
    503: ("Capacity is not available. Try again later.", "service_unavailable", "server_error"),  # BR-X20
}


class BedrockEmulator(ResponsesEmulator, VendorEmulator):
    """One region of the vendor's.

    Settings: `endpoint` is "mantle" or "runtime", which differ in ids, shapes and abilities; `strict_paths` refuses a
    model below the other's prefix (BR-B3), for clients that are told one of the vendor's own hosts; `blocks` True has a
    guardrail stop every answer (BR-X21).
    """

    name = "bedrock"
    models: Sequence[str] = (
        *(
            "openai.gpt-oss-20b",
            "openai.gpt-oss-120b",
            "openai.gpt-5.6-luna",
            "openai.gpt-5.6-sol",
            "openai.gpt-6-astra",
        ),
        *("openai.gpt-5.5", "openai.gpt-5.4", "deepseek.v3.2", "zai.glm-5", "xai.grok-4.3"),
    )
    endpoint: str = "mantle"
    strict_paths: bool = False
    blocks: bool = False

    # --- paths

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        path = request.path.split("?")[0]
        if request.method == "GET" and path.endswith("/models") and self.endpoint == "runtime":  # BR-E1
            return self.reply(404, {"message": "Not Found"})
        return super()._respond(request)

    def read(self, request: EmulatedRequest) -> Mapping[str, Any]:
        body = super().read(request)
        self._check_path(request.path, body)
        return body

    def fitting(self, request: EmulatedRequest, shapes: Mapping[str, Any]) -> Mapping[str, Any]:
        body = super().fitting(request, shapes)
        if request.path.split("?")[0].endswith("/responses"):
            self._check_path(request.path, body)
        return body

    def _check_path(self, path: str, body: Mapping[str, Any]) -> None:
        """BR-B2, BR-B3, BR-E1, BR-E4, BR-X11: the prefix depends on the model, and so does the surface."""
        model, by_responses = str(body.get("model")), path.split("?")[0].endswith("/responses")
        wants_second = self.endpoint == "runtime" or _SECOND_PREFIX.fullmatch(model) is not None
        if self.strict_paths and path.startswith("/openai/v1/") is not wants_second:
            raise self.refuse(400, f"model `{model}` isn't supported on this route", code="validation_error")
        wrong = by_responses and (_CHAT_ONLY.fullmatch(model) or (self.endpoint == "runtime" and _OSS.fullmatch(model)))
        if wrong or (not by_responses and _RESPONSES_ONLY.fullmatch(model)):
            surface = "/v1/responses" if by_responses else "/v1/chat/completions"
            raise self.refuse(400, f"The model '{model}' does not support the '{surface}' API", code="validation_error")
        if self.endpoint == "runtime" and model.startswith(("openai.gpt-5.6", "openai.gpt-6")):  # BR-X12
            text = f"Invocation of model ID {model} isn't supported. Retry with the ID of an inference profile."
            raise self.refuse(400, text, code="validation_error")

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return Refusal(404, {"message": "Not Found"})  # BR-X1

    def check_key(self, request: EmulatedRequest) -> None:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not sent or (self.api_key is not None and sent != self.api_key):
            raise self.error_for(401)  # BR-X14

    # --- refusals

    def check(self, body: Mapping[str, Any]) -> None:
        super().check(body)
        self._check_values(body)
        if _GPT.fullmatch(str(body["model"])) and "max_tokens" in body:  # BR-P2
            raise self._unsupported("max_tokens")
        has_media = any(part["type"] != "text" for message in body["messages"] for part in parts_of(message))
        if has_media and _OSS.fullmatch(str(body["model"])):  # BR-M1
            raise self.refuse(400, "This model does not support image input.", code="validation_error")

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        self._check_values(view)
        if body.get("background") and self.endpoint == "runtime":  # BR-E1
            raise self._unsupported("background")

    def _check_values(self, body: Mapping[str, Any]) -> None:
        model, effort = str(body["model"]), body.get("reasoning_effort")
        kind = "gpt" if _GPT.fullmatch(model) else "oss" if _OSS.fullmatch(model) else ""
        if effort is not None and kind and effort not in _EFFORTS[kind].split():  # BR-P3
            text = f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model."
            raise self.refuse(400, text, param="reasoning_effort", code="validation_error")
        if kind == "gpt":
            if "temperature" in body:  # BR-P1, BR-I3
                text = "`temperature` is deprecated for this model."
                raise self.refuse(400, text, param="temperature", code="validation_error")
            if "top_p" in body:
                raise self._unsupported("top_p")
            if body.get("service_tier") in ("flex", "priority"):  # BR-P4
                raise self.refuse(400, f"unsupported service_tier '{body['service_tier']}'", code="validation_error")
        self._check_structure(body, model)

    def _check_structure(self, body: Mapping[str, Any], model: str) -> None:
        """BR-J1: on runtime, none for GPT-5.6, and none in a stream for GPT-6 Astra."""
        wanted = (body.get("response_format") or {}).get("type")
        is_asked = wanted in ("json_schema", "json_object") and _GPT.fullmatch(model) is not None
        if self.endpoint == "runtime" and is_asked and ("gpt-5.6" in model or body.get("stream")):
            raise self._unsupported("response_format")

    def _unsupported(self, field: str) -> Refusal:
        text = f"Unsupported parameter: '{field}' is not supported with this model."
        return self.refuse(400, text, param=field, code="validation_error")

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
        return {"error": {"code": code or "validation_error", "message": message, "param": param, "type": kind}}

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(400, f"Invalid value for '{found.place}': it {found.problem}.", param=found.place)

    def error_for(self, status: int) -> Refusal:
        if status == 404 and self.endpoint == "runtime":
            return self.unknown_model({"model": "x"})
        if status not in _STATUSES:
            return self.refuse(status, f"An emulated error with status {status}.")
        text, code, kind = _STATUSES[status]
        return self.refuse(status, text, code=code, type=kind)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        if self.endpoint == "runtime":  # BR-X17
            text = "The model doesn't exist or doesn't support this API. Retry your request with a different model ID."
            return self.refuse(404, text, code="model_not_found", type="not_found_error")
        return self.refuse(404, f"The model '{body.get('model')}' does not exist", code="not_found_error")  # BR-X16

    # --- answers

    def reasons(self, body: Mapping[str, Any]) -> bool:
        model = str(body["model"])
        if _OSS.fullmatch(model):
            return True
        return _GPT.fullmatch(model) is not None and body.get("reasoning_effort") != "none"

    def script(self, body: Mapping[str, Any]) -> Script:
        script = super().script(body)
        if self.blocks:
            return Script(text="Sorry, this is not allowed.", input_tokens=0)  # BR-X21
        if script.refusal:
            script = attrs.evolve(script, text=script.refusal, refusal="")
        return script

    def _tagged(self, body: Mapping[str, Any], script: Script) -> str:
        """BR-S1: what the endpoint runtime puts before the text."""
        is_tagged = self.endpoint == "runtime" and script.reasoning and _OSS.fullmatch(str(body["model"]))
        return f"<reasoning>{script.reasoning}</reasoning>" if is_tagged else ""

    def _shown(self, body: Mapping[str, Any], script: Script) -> str:
        """BR-S2: what the endpoint mantle has in a field of its own."""
        is_shown = self.endpoint == "mantle" and _OSS.fullmatch(str(body["model"])) is not None
        return script.reasoning if is_shown else ""

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message = {"refusal": None, **super().message(body, script)}
        message["content"] = (self._tagged(body, script) + script.text) or None
        shown = self._shown(body, script)
        return {**message, **({"reasoning": shown} if shown else {})}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        whole = super().completion(body, script)
        choices = [{**choice, "logprobs": None} for choice in whole["choices"]]
        return {**whole, "choices": choices, "service_tier": "default", "system_fingerprint": None}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield {"role": "assistant", "content": ""}
        tagged, shown = self._tagged(body, script), self._shown(body, script)
        if tagged:
            yield {}
            yield {"content": tagged}
        for piece in self.cut(shown):
            yield {"reasoning": piece}
        yield from (delta for delta in super().deltas(body, script) if "role" not in delta)

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        """BR-T1: several fragments of one call in one chunk, and all of them typed."""
        first = {"name": name, "arguments": ""}
        yield {"tool_calls": [{"index": number, "id": self.call_id(number), "type": "function", "function": first}]}
        rest: dict[str, Any] = {"index": number, "id": None, "type": "function"}
        pieces = [arguments[start : start + 4] for start in range(0, len(arguments), 4)]
        for start in range(0, len(pieces), 3):
            held = [{**rest, "function": {"name": None, "arguments": piece}} for piece in pieces[start : start + 3]]
            yield {"tool_calls": held}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**super().choice(delta, finish), "logprobs": None, "obfuscation": self._digits(str(delta), 9)}

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        return super().chunk(
            body, choices, **{"service_tier": "default", "system_fingerprint": None, "usage": None, **more}
        )

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """BR-S3: runtime ends on the last piece of the text, mantle on a chunk of its own."""
        deltas = list(self.deltas(body, script))
        last = deltas.pop() if self.endpoint == "runtime" and not script.calls and script.text else {}
        for delta in deltas:
            yield sse(self.chunk(body, [self.choice(delta)]))
        yield sse(self.chunk(body, [self.choice(last, script.finish)]))
        if (body.get("stream_options") or {}).get("include_usage"):
            yield sse(self.chunk(body, [], usage=self.usage(body, script)))
        yield b"data: [DONE]\n\n"

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """BR-U1: no count of the thoughts."""
        found = {"cached_tokens": script.cached_tokens, "audio_tokens": 0} if script.cached_tokens else None
        return {**super().usage(body, script), "completion_tokens_details": None, "prompt_tokens_details": found}

    def reasoning_item(self, body: Mapping[str, Any], thoughts: str) -> dict[str, Any]:
        """BR-R2: gpt-oss shows its thoughts, under an id as of a message; GPT seals them."""
        if _OSS.fullmatch(str(body["model"])):
            content = [{"type": "reasoning_text", "text": thoughts}]
            return {
                "id": self.item_id("msg", 0), "type": "reasoning", "status": "completed", "summary": [],
                "content": content,
            }  # fmt: skip
        item = super().reasoning_item(body, thoughts)
        return {**item, "encrypted_content": f"rsn_{item['encrypted_content']}"}

    def check_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        super().check_items([self._unwrapped(item) for item in items])

    @staticmethod
    def _unwrapped(item: Mapping[str, Any]) -> Mapping[str, Any]:
        sealed = item.get("encrypted_content")
        return item if not isinstance(sealed, str) else {**item, "encrypted_content": sealed.removeprefix("rsn_")}

    def response(
        self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script, output: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """BR-R2, BR-T2: who pays, and calls that are numbered anew in every response."""
        numbered = [
            {**item, "call_id": f"call_{item['id'][-1]}"} if item["type"] == "function_call" else item
            for item in output
        ]
        whole = super().response(body, view, script, numbered)
        return {**whole, "billing": {"payer": "developer"}, "top_p": 0.98}

    def respond_to_items(self, body: Mapping[str, Any]) -> EmulatedResponse:
        """BR-S4: the line with the data comes before that with the event's name."""
        answer = super().respond_to_items(body)
        turned = [re.sub(rb"\A(event: [^\n]+)\n(data: [^\n]+)\n\n\Z", rb"\2\n\1\n\n", piece) for piece in answer.pieces]
        return attrs.evolve(answer, pieces=turned)

    def headers(self, content_type: str) -> dict[str, str]:
        return {"content-type": content_type, "x-amzn-requestid": self._digits("request", 32)}  # BR-H1

    def models_body(self) -> Any:
        """BR-E2: also of models that chat refuses."""
        kept = {"allowed_modes": ["none", "default", "provider_data_share"], "mode": "default", "source": "account"}
        more = {"created": 1_790_000_000, "object": "model", "owned_by": "system", "status": "available"}
        names = [*self.models, "anthropic.claude-emulated"]
        return {"object": "list", "data": [{"id": name, **more, "data_retention": kept} for name in names]}

    def reply_id(self) -> str:
        return f"bedrock-guardrails-{self.serial}" if self.blocks else f"chatcmpl-{self._digits('reply', 24)}"

    def call_id(self, number: int) -> str:
        return f"chatcmpl-tool-{self._digits(f'call {number}', 16)}"

    def _digits(self, what: str, length: int) -> str:
        return hashlib.sha256(f"{self.serial} {what}".encode()).hexdigest()[:length]
