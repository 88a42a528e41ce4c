"""The twin of mlx-lm's server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatport.testing import EmulatedRequest, Refusal, Script, table_of

from . import ANY_OBJECTS, LocalEmulator, calls_are_json, has_image

__all__ = ["MlxEmulator"]


class MlxEmulator(LocalEmulator):
    """mlx-lm's server with one model that thinks unless its template is told not to."""

    name = "mlx"
    server = "BaseHTTP/0.6 Python/3.11.7"
    shapes: Mapping[str, Any] = {**LocalEmulator.shapes, "tools": ANY_OBJECTS}
    ranges: Mapping[str, tuple[float, float]] = {"temperature": (0, float("inf")), "top_logprobs": (0, 11)}  # MX-E1

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        return {"error": message}  # MX-E1

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return self.text_error(404, "Not Found")  # D5

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(404, "Cannot find an appropriate cached snapshot folder for the specified revision.")

    def check(self, body: Mapping[str, Any]) -> None:
        if body.get("messages") == []:
            raise self.refuse(404, "Cannot apply chat template to an empty conversation.")  # MX-E1
        if body.get("model") == "":
            raise self.refuse(404, "[Errno 2] No such file or directory: 'config.json'")
        super().check(body)
        if not calls_are_json(body):
            raise self.refuse(404, "Expecting value: line 1 column 10 (char 9)")
        if has_image(body):
            raise self.refuse(404, "Only 'text' content type is supported.")  # MX-E1

    def reasons(self, body: Mapping[str, Any]) -> bool:
        switched = table_of(body.get("chat_template_kwargs")).get("enable_thinking", True)
        return bool(switched and "think" in self.commands(body))

    def script(self, body: Mapping[str, Any]) -> Script:
        return super().script({k: v for k, v in body.items() if k not in ("response_format", "tool_choice")})  # MX-E1

    def _calls_of(self, script: Script) -> list[Any]:
        return [
            {"function": {"name": name, "arguments": arguments}, "type": "function", "id": self.call_id(number)}
            for number, (name, arguments) in enumerate(script.calls)
        ]

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": script.text}
        if script.reasoning:
            message["reasoning"] = script.reasoning  # MX-S1
        if script.calls:
            message["tool_calls"] = self._calls_of(script)
        return message

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        for piece in self.cut(script.reasoning):
            yield {"role": "assistant", "reasoning": piece}  # MX-S1
        for piece in self.cut(script.text):
            yield {"role": "assistant", "content": piece}
        for number, call in enumerate(self._calls_of(script)):  # MX-S1: whole
            yield {"role": "assistant", "tool_calls": [{**call, "index": number}]}

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        yield b": keepalive 1/1\n\n"  # MX-S1
        yield from super().stream(body, script)

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        _, *usage = super().finish_chunks(body, script)
        yield self.chunk(body, [self.choice({"role": "assistant"}, script.finish)])
        yield from usage

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        return super().chunk(body, choices, system_fingerprint="0.32.2-0.32.4-Linux", **more)

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().completion(body, script), "system_fingerprint": "0.32.2-0.32.4-Linux"}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().usage(body, script), "prompt_tokens_details": {"cached_tokens": script.cached_tokens}}

    def models_body(self) -> Any:
        entries = [{"id": name, "object": "model", "created": 1_790_000_000} for name in self.models]
        return {"object": "list", "data": entries}  # D3: no owner

    def call_id(self, number: int) -> str:
        return f"ae60a2d4-4d9a-4f1f-{self.serial:04x}-{number:012x}"
