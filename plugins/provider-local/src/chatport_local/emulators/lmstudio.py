"""LM Studio's twin, written from its documentation, public reports and pasted replies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import EmulatedRequest, EmulatedResponse, Refusal, Script

from .responses import LocalResponsesEmulator

__all__ = ["LmStudioEmulator"]


class LmStudioEmulator(LocalResponsesEmulator):
    """LM Studio 0.4 with two chat models and one for embeddings, reasoning in a field of its own."""

    name = "lmstudio"
    models: Sequence[str] = ("emulated-model", "second-model", "text-embedding-nomic")
    loaded: Sequence[str] = ("second-model",)
    server = ""
    chat_path = "/v1/chat/completions"
    stores = True  # RS-V15
    context_tokens = 4096
    overflow_status = 400
    """How a prompt that is too long is told: 400, or 200 with the error inside (LM-C1)."""

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        if request.method == "GET" and request.path == "/api/v0/models":
            return self.reply(200, self._details())
        return super()._respond(request)

    def _details(self) -> Any:
        return {
            "object": "list",
            "data": [
                {
                    "id": name,
                    "object": "model",
                    "type": "embeddings" if "embedding" in name else "llm",
                    "publisher": "emulated",
                    "arch": "llama",
                    "compatibility_type": "gguf",
                    "quantization": "Q4_K_M",
                    "state": "loaded" if name in self.loaded else "not-loaded",
                    "max_context_length": self.context_tokens,
                }
                for name in self.models
            ],
        }  # LM-M2

    def headers(self, content_type: str) -> dict[str, str]:
        return {"content-type": content_type, "x-powered-by": "Express"}  # D2

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        if code is None and status != 401:
            return {"error": message}  # LM-E1
        return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return Refusal(200, {"error": f"Unexpected endpoint or method. ({request.method} {request.path})"})  # LM-E2

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        message = f"Model {body.get('model')} not found. Please specify a valid model."
        return self.refuse(404, message, code="model_not_found", param="model")  # LM-M4

    def check(self, body: Mapping[str, Any]) -> None:
        super().check(body)
        kind = (body.get("response_format") or {}).get("type", "text")
        if kind not in ("json_schema", "text"):
            raise self.refuse(400, "'response_format.type' must be 'json_schema' or 'text'")  # LM-J1
        if isinstance(body.get("tool_choice"), dict):
            raise self.refuse(400, "Invalid tool_choice type: 'object'. Supported string values: none, auto, required")
        prompt = self.script(body).input_tokens
        if prompt > self.context_tokens:  # LM-C1
            message = (
                "The number of tokens to keep from the initial prompt is greater than the context length "
                f"(n_keep: {prompt}>= n_ctx: {self.context_tokens}). Try to load the model with a larger one."
            )
            raise Refusal(self.overflow_status, self.error_body(400, message))

    def reasons(self, body: Mapping[str, Any]) -> bool:
        return "think" in self.commands(body)

    def script(self, body: Mapping[str, Any]) -> Script:
        script = super().script(body)
        return attrs.evolve(script, calls=tuple((_snake(name), text) for name, text in script.calls))  # LM-T3

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message = super().message(body, script)
        content = {} if script.calls and not script.text else {"content": script.text}  # LM-T4
        calls = message.get("tool_calls", [])
        return {"role": "assistant", **content, "reasoning_content": script.reasoning, "tool_calls": calls}  # LM-R1

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        for piece in self.cut(script.reasoning):
            yield {"role": "assistant", "reasoning_content": piece}
        for piece in self.cut(script.text):
            yield {"role": "assistant", "content": piece}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        for call in super().call_deltas(number, name, arguments):
            fragment = call["tool_calls"][0]
            if "id" not in fragment:  # LM-S2: an empty name after the first piece, as up to 0.3.15
                fragment = {**fragment, "function": {"name": "", **fragment["function"]}}
            yield {"tool_calls": [fragment]}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**super().choice(delta, finish), "logprobs": None}

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        return super().chunk(body, choices, system_fingerprint=self.answers_as(body), **more)  # D4

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        reply = super().completion(body, script)
        choices = [{**choice, "logprobs": None} for choice in reply["choices"]]
        return {**reply, "choices": choices, "stats": {}, "system_fingerprint": self.answers_as(body)}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        details = {"reasoning_tokens": script.reasoning_tokens}
        return {**super().usage(body, script), "completion_tokens_details": details}

    def models_body(self) -> Any:
        entries = [{"id": name, "object": "model", "owned_by": "organization_owner"} for name in self.models]
        return {"data": entries, "object": "list"}

    def call_id(self, number: int) -> str:
        return f"{365_174_485 + 10 * self.serial + number}"  # LM-T2


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
