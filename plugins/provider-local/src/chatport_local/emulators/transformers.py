"""The twin of `transformers serve`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatport.testing import EmulatedRequest, Refusal, Script, table_of

from . import ANY_OBJECTS, LocalEmulator

__all__ = ["TransformersEmulator"]

# TS-P1: what it takes, as far as seen; anything else is refused.
_TAKEN = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
        "stop", "seed", "tools", "tool_choice", "parallel_tool_calls", "response_format", "n", "logprobs",
        "top_logprobs", "reasoning_effort", "chat_template_kwargs", "frequency_penalty", "presence_penalty", "user",
    }
)  # fmt: skip
_ROUTES = ("/v1/chat/completions", "/v1/responses", "/v1/models", "/health")


class TransformersEmulator(LocalEmulator):
    """`transformers serve` pinned to one model that thinks unless its template is told not to."""

    name = "transformers"
    models: Sequence[str] = ("./emulated-model",)
    shapes: Mapping[str, Any] = {**LocalEmulator.shapes, "tools": ANY_OBJECTS}
    pages: Mapping[str, Any] = {
        "/health": {"status": "ok"},
        "/openapi.json": {"openapi": "3.1.0", "info": {"title": "FastAPI"}, "paths": {route: {} for route in _ROUTES}},
    }

    def headers(self, content_type: str) -> dict[str, str]:
        return {**super().headers(content_type), "x-request-id": f"1c26b79c-1da9-43d3-a521-{self.serial:012x}"}

    def read(self, request: EmulatedRequest) -> Mapping[str, Any]:
        if not self.is_json(request):
            raise super().refuse(422, "Input should be a valid dictionary")
        return super().read(request)

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return Refusal(404, {"detail": "Not Found"})

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        return {"detail": message}

    def refuse(self, status: int, message: str, **details: Any) -> Refusal:
        if status == 500 or "param" in details:  # TS-E1: so it ends for bad values too
            return self.text_error(500, "Internal Server Error")
        return super().refuse(status, message)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(400, f"Server is pinned to '{self.models[0]}'; requested '{body.get('model')}'.")  # TS-E1

    def check(self, body: Mapping[str, Any]) -> None:
        unknown = set(body) - _TAKEN
        if unknown:
            raise self.refuse(422, f"Unexpected fields in the request: {unknown}")  # TS-P1
        if body.get("max_tokens", 1) < 1:
            raise self.text_error(500, "Internal Server Error")  # TS-E1
        if body.get("model") == "":
            raise self.unknown_model(body)
        super().check(body)
        script = self.script(body)
        if script.calls and script.finish == "length" and not body.get("stream"):
            raise self.text_error(500, "Internal Server Error")  # TS-E1

    def reasons(self, body: Mapping[str, Any]) -> bool:
        switched = table_of(body.get("chat_template_kwargs")).get("enable_thinking", True)
        return bool(switched and ("think" in self.commands(body)))

    def script(self, body: Mapping[str, Any]) -> Script:
        ignored = ("response_format", "tool_choice", "n", "logprobs", "top_logprobs")  # TS-P1
        return super().script({name: value for name, value in body.items() if name not in ignored})

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message = {**super().message(body, script), "content": script.text}
        if script.reasoning:
            message["reasoning_content"] = script.reasoning
        return message

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield {"role": "assistant"}
        for piece in self.cut(script.reasoning):
            yield {"reasoning_content": piece}
        for piece in self.cut(script.text):
            yield {"content": piece}
        for number, (name, arguments) in enumerate(script.calls):  # TS-E1: whole
            function = {"arguments": arguments, "name": name}
            call = {"index": number, "id": self.call_id(number), "function": function, "type": "function"}
            yield {"tool_calls": [call]}

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        *pieces, _ = super().stream(body, script)  # TS-S1: no [DONE]
        yield from pieces

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield self.chunk(body, [self.choice({}, script.finish)], usage=self.usage(body, script))  # TS-S1

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        ended = {"finish_reason": finish} if finish else {}  # TS-S1: null keys are left out
        return {"delta": delta, "index": 0, **ended}

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        return super().chunk(body, choices, system_fingerprint="", **more)  # D4

    def answers_as(self, body: Mapping[str, Any]) -> str:
        return f"{super().answers_as(body)}@main"

    def models_body(self) -> Any:
        return {"object": "list", "data": []}

    def reply_id(self) -> str:
        return f"1c26b79c-1da9-43d3-a521-{self.serial:012x}"
