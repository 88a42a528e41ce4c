"""The twin of llama-cpp-python's server, the one known server without a provider of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatport.testing import EmulatedRequest, EmulatedResponse, Refusal, Script

from . import LocalEmulator

__all__ = ["LlamaCppPythonEmulator"]

_PLACE = (
    '\n\n  File "/opt/app/llama_cpp/server/errors.py", line 176, in custom_route_handler\n    POST /v1/chat/completions'
)


class LlamaCppPythonEmulator(LocalEmulator):
    """llama-cpp-python's server with one model. `cut_after` plays another request that comes in between (LP-Q1)."""

    name = "local"
    any_model = True
    context_tokens = 4096
    cut_after: int | None = None
    pages: Mapping[str, Any] = {"/openapi.json": {"openapi": "3.1.0", "info": {"title": "llama.cpp Python API"}}}  # D2

    def headers(self, content_type: str) -> dict[str, str]:
        return {**super().headers(content_type), "x-request-id": f"{self.serial:032x}"}

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        kind = type or ("internal_server_error" if status == 500 else "invalid_request_error")
        text = message + _PLACE if status == 500 else message  # LP-E1
        return {"error": {"message": text, "type": kind, "param": None, "code": code}}

    def refuse(self, status: int, message: str, **details: Any) -> Refusal:
        return super().refuse(500 if status == 400 and not details.get("code") else status, message, **details)

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return Refusal(404, {"detail": "Not Found"})

    def answers_as(self, body: Mapping[str, Any]) -> str:
        return str(body.get("model") or self.models[0])

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        if body.get("messages") and self.script(body).input_tokens > self.context_tokens and body.get("stream"):
            return EmulatedResponse(200, self.headers("text/event-stream"), [])  # LP-E2
        return super().chat(body)

    def check(self, body: Mapping[str, Any]) -> None:
        super().check(body)
        if any(message["role"] == "developer" for message in body["messages"]):
            raise self.refuse(400, "7 validation errors: Input should be 'system'")  # LP-P1
        if (body.get("response_format") or {}).get("type") == "json_schema":
            raise self.refuse(400, "1 validation error: Input should be 'text' or 'json_object'")  # LP-P1
        prompt = self.script(body).input_tokens
        if prompt > self.context_tokens:  # LP-E2
            message = f"This model's maximum context length is {self.context_tokens} tokens."
            raise self.refuse(400, message, code="context_length_exceeded", param="messages")

    def script(self, body: Mapping[str, Any]) -> Script:
        return super().script({name: value for name, value in body.items() if name != "max_completion_tokens"})

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        if not script.calls:
            return {"content": script.text, "role": "assistant"}
        name, arguments = script.calls[0]
        if not isinstance(body.get("tool_choice"), dict):  # LP-T1
            return {"content": f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}', "role": "assistant"}
        function = {"name": name, "arguments": arguments}
        call = {"id": self.call_id(0), "type": "function", "function": function}
        return {"content": None, "tool_calls": [call], "role": "assistant", "function_call": function}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield {"role": "assistant"}
        message = self.message(body, script)
        for piece in self.cut(message["content"] or ""):
            yield {"content": piece}
        for call in message.get("tool_calls", ()):
            call = {"index": 0, **call}
            yield {"role": None, "content": None, "function_call": call["function"], "tool_calls": [call]}

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        *pieces, done = super().stream(body, script)
        yield from pieces[: self.cut_after]
        yield done

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield self.chunk(body, [self.choice({}, script.finish)])  # LP-P1: no usage in streams

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**super().choice(delta, finish), "logprobs": None}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        reply = super().completion(body, script)
        return {**reply, "choices": [{**choice, "logprobs": None} for choice in reply["choices"]]}

    def models_body(self) -> Any:
        entries = [{"id": name, "object": "model", "owned_by": "me", "permissions": []} for name in self.models]
        return {"object": "list", "data": entries}  # D3

    def call_id(self, number: int) -> str:
        return f"call__{number}_get_time_cmpl-{self.serial:032x}"
