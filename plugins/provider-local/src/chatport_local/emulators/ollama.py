"""Ollama's twin, written from its sources and recorded replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatport.testing import EmulatedRequest, EmulatedResponse, Refusal, Script, sse, table_of

from . import calls_are_json, has_image
from .responses import PLAIN_ITEMS, LocalResponsesEmulator

__all__ = ["OllamaEmulator"]

_IGNORED = ("tool_choice", "max_completion_tokens", "n", "parallel_tool_calls")  # OL-P1, those that would show
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max")


class OllamaEmulator(LocalResponsesEmulator):
    """Ollama's OpenAI layer with one thinking model, one that can only chat, and one for embeddings."""

    name = "ollama"
    models: Sequence[str] = ("emulated-model:latest", "plain:1b", "nomic-embed-text:latest")
    plain_models: Sequence[str] = ("plain:1b",)
    """Models that neither think nor call."""
    server = ""
    loses_errors_after: int | None = None
    """After so many deltas the runner fails: an empty chunk, and the end (OL-E3)."""
    pages: Mapping[str, Any] = {
        "/": "Ollama is running",  # OL-B2
        "/api/version": {"version": "0.30.1"},
        "/api/ps": {"models": [{"name": "plain:1b", "model": "plain:1b"}]},  # OL-M1
    }

    known_items = PLAIN_ITEMS

    def headers(self, content_type: str) -> dict[str, str]:
        return {"content-type": content_type}

    # --- Responses (RS-V14)

    def as_chat(self, body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        view = super().as_chat(body, items)
        view.pop("tool_choice", None)
        return {**view, "model": _tagged(view["model"])}

    def unknown_item(self, item: Mapping[str, Any], where: str) -> Refusal:
        return self.refuse(400, f"unknown input item type: {item.get('type')}")

    def check_reasoning_item(self, item: Mapping[str, Any], where: str, follows: str | None) -> None:
        """A thought is plain text: nothing is checked."""

    def reasoning_item(self, body: Mapping[str, Any], thoughts: str) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": thoughts}]
        return {
            **super().reasoning_item(body, thoughts),
            "content": [],
            "summary": summary,
            "encrypted_content": thoughts,
        }

    # --- chat

    def check_key(self, request: EmulatedRequest) -> None:
        """A key is ignored (OL-B1)."""

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        kind = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")  # OL-E1
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return self.text_error(404, "404 page not found")

    def error_for(self, status: int) -> Refusal:
        if status == 503:  # OL-E4
            return self.refuse(503, "server busy, please try again.  maximum pending requests exceeded")
        return super().error_for(status)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(404, f"model '{body.get('model')}' not found")  # OL-M2

    def check_model(self, body: Mapping[str, Any]) -> None:
        if body["model"] not in map(_tagged, self.models):
            raise self.unknown_model(body)

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        if not body.get("model"):
            raise self.refuse(400, "model is required")
        read = {name: value for name, value in body.items() if name not in _IGNORED}
        return super().chat({**read, "asked_for": body["model"], "model": _tagged(body["model"])})

    def answers_as(self, body: Mapping[str, Any]) -> str:
        return str(body.get("asked_for") or body["model"])

    def check(self, body: Mapping[str, Any]) -> None:
        if not calls_are_json(body):
            raise self.refuse(400, "invalid tool call arguments")  # OL-P5
        super().check(body)
        if has_image(body, linked=True):
            raise self.refuse(400, "invalid image input")  # OL-I1
        effort = self._effort(body)
        if effort not in (None, *_EFFORTS):
            raise self.refuse(400, f"invalid reasoning value: '{effort}'")  # OL-R2
        if body["model"] in self.plain_models:
            if body.get("tools"):
                raise self.refuse(400, f"{body['model']} does not support tools")  # OL-T4
            if effort not in (None, "none"):
                raise self.refuse(400, f'"{body["model"]}" does not support thinking')  # OL-R3

    @staticmethod
    def _effort(body: Mapping[str, Any]) -> Any:
        return table_of(body.get("reasoning")).get("effort") or body.get("reasoning_effort")

    def reasons(self, body: Mapping[str, Any]) -> bool:
        return body["model"] not in self.plain_models and self._effort(body) != "none"  # OL-R2

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": script.text}
        if script.reasoning:
            message["reasoning"] = script.reasoning  # OL-R1
        if script.calls:
            message["tool_calls"] = [self._call(number, *call) for number, call in enumerate(script.calls)]
        return message

    def _call(self, number: int, name: str, arguments: str) -> Any:
        function = {"name": name, "arguments": arguments}
        return {"id": self.call_id(number), "index": number, "type": "function", "function": function}  # OL-T2

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        for piece in self.cut(script.reasoning):
            yield {"role": "assistant", "content": "", "reasoning": piece}
        for piece in self.cut(script.text):
            yield {"role": "assistant", "content": piece}
        for number, call in enumerate(script.calls):  # OL-T1: whole
            yield {"role": "assistant", "content": "", "tool_calls": [self._call(number, *call)]}

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        pieces = list(super().stream(body, script))
        if self.loses_errors_after is None:
            yield from pieces
        else:
            yield from pieces[: self.loses_errors_after]
            yield sse(self.chunk(body, [self.choice({"role": "assistant", "content": ""})]))

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield self.chunk(body, [self.choice({"role": "assistant", "content": ""}, script.finish)])  # OL-S2
        if (body.get("stream_options") or {}).get("include_usage"):
            yield self.chunk(body, [], usage=self.usage(body, script))

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        return super().chunk(body, choices, system_fingerprint="fp_ollama", **more)  # D4

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().completion(body, script), "system_fingerprint": "fp_ollama"}

    def models_body(self) -> Any:
        body = super().models_body()
        return {**body, "data": [{**entry, "owned_by": "library"} for entry in body["data"]]}  # OL-M1

    def reply_id(self) -> str:
        return f"chatcmpl-{self.serial % 999}"  # OL-S1

    def call_id(self, number: int) -> str:
        return f"call_{self.serial:06d}{number:02d}"


def _tagged(name: str) -> str:
    return name if ":" in name else f"{name}:latest"  # OL-M2
