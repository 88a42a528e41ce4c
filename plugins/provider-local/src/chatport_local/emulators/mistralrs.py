"""Mistral.rs's twin, written from its documentation, sources and two recorded replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatport.testing import EmulatedRequest, EmulatedResponse, Refusal, Script, sse

from . import LocalEmulator

__all__ = ["MistralRsEmulator"]

_EFFORTS = ("off", "none", "low", "medium", "high", "xhigh")


class MistralRsEmulator(LocalEmulator):
    """Mistral.rs with one model that thinks unless told not to."""

    name = "mistralrs"
    server = ""
    context_tokens = 4096
    pages: Mapping[str, Any] = {"/health": "OK", "/": "OK", "/api-doc/openapi.json": {"openapi": "3.1.0"}}  # MR-B1, D2

    def headers(self, content_type: str) -> dict[str, str]:
        return {"content-type": content_type}

    def check_key(self, request: EmulatedRequest) -> None:
        """There is no authentication at all (MR-B1)."""

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        return {"message": message}  # MR-E1

    def refuse(self, status: int, message: str, **details: Any) -> Refusal:
        return super().refuse(422 if status in (400, 404) else status, message, **details)

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return self.text_error(404, "")

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(422, f"Requested model '{body.get('model')}' is not available.")  # MR-M1

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        try:
            return super().chat(body)
        except Refusal as refusal:
            if not body.get("stream"):
                raise
            error = {"message": refusal.body["message"], "type": "server_error", "param": None, "code": None}
            pieces = [sse({"error": error}), b"data: [DONE]\n\n"]
            return EmulatedResponse(200, self.headers("text/event-stream"), pieces)  # MR-E2

    def check(self, body: Mapping[str, Any]) -> None:
        super().check({**body, "model": self.answers_as(body)})
        effort = body.get("reasoning_effort")
        if effort not in (None, *_EFFORTS):
            raise self.refuse(422, f"Invalid reasoning_effort: {effort}")  # MR-R1
        if effort in ("off", "none") and body.get("enable_thinking") is True:
            raise self.refuse(422, "reasoning_effort is off and enable_thinking is true")
        if (body.get("response_format") or {}).get("type") == "json_object":
            raise self.refuse(422, "response_format json_object is not accepted")  # MR-J1
        if self.script(body).input_tokens > self.context_tokens and not body.get("truncate_sequence"):  # MR-C1
            raise self.refuse(422, f"Prompt sequence length is greater than {self.context_tokens}")

    def answers_as(self, body: Mapping[str, Any]) -> str:
        return self.models[0] if body.get("model") in (None, "", "default") else str(body["model"])

    def reasons(self, body: Mapping[str, Any]) -> bool:
        return body.get("reasoning_effort") not in ("off", "none") and body.get("enable_thinking") is not False

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": script.text or None}
        if script.reasoning:
            message["reasoning_content"] = script.reasoning
        if script.calls:
            message["tool_calls"] = [self._call(number, *call) for number, call in enumerate(script.calls)]
        return message

    def _call(self, number: int, name: str, arguments: str) -> Any:
        function = {"name": name, "arguments": arguments}
        return {"id": self.call_id(number), "index": number, "type": "function", "function": function}  # MR-T1

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield {"content": None, "role": "assistant", "tool_calls": None}  # MR-S3
        for piece in self.cut(script.reasoning):
            yield {"content": None, "reasoning_content": piece, "role": "assistant", "tool_calls": None}
        for piece in self.cut(script.text):
            yield {"content": piece, "role": "assistant", "tool_calls": None}
        if script.calls:
            calls = [self._call(number, *call) for number, call in enumerate(script.calls)]
            yield {"content": None, "role": "assistant", "tool_calls": calls}

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        first, *rest = super().stream(body, script)
        yield first
        yield b": keep-alive\n\n"  # MR-S1
        yield sse({"step": 1}, event="agentic_step")  # MR-S1
        yield from rest

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        last = self.choice({"content": None, "role": "assistant", "tool_calls": None}, script.finish)
        yield {**self.chunk(body, [last]), "usage": self.usage(body, script)}  # MR-S2

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**super().choice(delta, finish), "logprobs": None}

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        return {**super().chunk(body, choices, **more), "system_fingerprint": "local", "usage": None}  # D4

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        reply = super().completion(body, script)
        choices = [{**choice, "logprobs": None} for choice in reply["choices"]]
        return {**reply, "choices": choices, "system_fingerprint": "local"}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().usage(body, script), "avg_tok_per_sec": 27.5, "total_time_sec": 1.25}

    def models_body(self) -> Any:
        body = super().models_body()
        return {**body, "data": [{**entry, "status": "loaded", "tools_available": True} for entry in body["data"]]}
