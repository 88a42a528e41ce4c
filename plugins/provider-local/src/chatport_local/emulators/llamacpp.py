"""llama.cpp server's twin; the real one is in the tests beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import EmulatedRequest, EmulatedResponse, Misfit, Refusal, Script, table_of

from . import ANY_OBJECTS, LocalEmulator, calls_are_json, has_image, last_answer, odd_type
from .responses import PLAIN_ITEMS, LocalResponsesEmulator

__all__ = ["LlamaCppEmulator"]

_TYPES = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error", 501: "not_supported_error",
    503: "unavailable_error",
}  # fmt: skip


class LlamaCppEmulator(LocalResponsesEmulator):
    """llama.cpp's server with one text model; `loading` makes it answer as while the model loads."""

    name = "llamacpp"
    server = "llama.cpp"
    any_model = True  # LC-M3
    shapes: Mapping[str, Any] = {**LocalEmulator.shapes, "tools": ANY_OBJECTS}
    ranges: Mapping[str, tuple[float, float]] = {"max_tokens": (-1, 2**31 - 1), "n": (1, 2)}  # LC-P1: two slots
    known_items = PLAIN_ITEMS
    context_tokens = 4096
    loading = False

    # --- Responses (RS-V13)

    def check_parameters(self, body: Mapping[str, Any]) -> None:
        super().check_parameters(body)
        if body.get("previous_response_id") is not None:
            raise self.refuse(400, "llama.cpp does not support 'previous_response_id'.")

    def unknown_item(self, item: Mapping[str, Any], where: str) -> Refusal:
        return self.refuse(400, "Cannot determine type of 'item'")

    def check_reasoning_item(self, item: Mapping[str, Any], where: str, follows: str | None) -> None:
        content = item.get("content")
        if not isinstance(content, list) or not content:
            raise self.refuse(400, f"item['content'] is {'empty' if content == [] else 'not an array'}")

    def as_chat(self, body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        functions = [tool for tool in body.get("tools") or () if tool.get("type") == "function"]
        view = super().as_chat({**body, "tools": functions}, items)
        kept = {name: body[name] for name in ("chat_template_kwargs",) if name in body}
        return {**view, **kept}

    def response(
        self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script, output: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        whole = super().response(body, view, script, output)
        names = (
            "id",
            "object",
            "created_at",
            "completed_at",
            "status",
            "incomplete_details",
            "model",
            "output",
            "usage",
        )
        return {name: whole[name] for name in names}

    def usage_of_items(self, script: Script) -> dict[str, Any]:
        usage = super().usage_of_items(script)
        return {name: value for name, value in usage.items() if name != "output_tokens_details"}

    # --- chat

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        if self.loading:  # LC-B3
            return self.reply(503, self.error_body(503, "Loading model"))
        if request.path.endswith("/health"):
            return self.reply(200, {"status": "ok"})
        return super()._respond(request)

    def headers(self, content_type: str) -> dict[str, str]:
        plain = content_type == "application/json"
        return {"content-type": content_type + "; charset=utf-8" * plain, "server": self.server}

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        message = "Invalid API Key" if status == 401 else "Loading model" if status == 503 else message
        kind = type or _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return {"error": {"code": status, "message": message, "type": kind}}  # LC-E1

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return self.refuse(404, "File Not Found")

    def check(self, body: Mapping[str, Any]) -> None:
        if not isinstance(body.get("tool_choice", ""), str):
            body = {**body, "tool_choice": "auto"}  # LC-T1
        super().check(body)
        if has_image(body) and not self.sees(body):  # LC-I1
            raise self.refuse(500, "image input is not supported - hint: you may need to provide the mmproj")
        if not calls_are_json(body):  # LC-T7
            raise self.refuse(500, "Failed to parse tool call arguments as JSON: [json.exception.parse_error.101]")
        if any("type" not in tool for tool in body.get("tools") or ()):
            raise self.refuse(500, "Failed to parse tools: Missing tool type")
        odd = odd_type(body)
        if odd is not None:  # LC-T3
            words = f"Unable to generate parser for this template. JSON schema error at #: unrecognized type {odd}"
            raise self.refuse(400, words)
        if body.get("tool_choice", "auto") not in ("auto", "none", "required"):
            raise self.refuse(400, f"Invalid tool_choice: {body['tool_choice']}")
        thinking = table_of(body.get("chat_template_kwargs")).get("enable_thinking")
        if isinstance(thinking, str):  # LC-R2
            raise self.refuse(400, 'invalid type for "enable_thinking" (expected boolean, got string)')
        if body.get("continue_final_message") and body.get("add_generation_prompt", True):  # LC-P6
            raise self.refuse(400, "Cannot set both add_generation_prompt and continue_final_message to true.")
        if last_answer(body) and self._thinking(body):
            raise self.refuse(400, "Assistant response prefill is incompatible with enable_thinking.")
        prompt = self.script(body).input_tokens
        if prompt > self.context_tokens:  # LC-C1
            message = f"request ({prompt} tokens) exceeds the available context size ({self.context_tokens} tokens)"
            refusal = self.refuse(400, message, type="exceed_context_size_error")
            refusal.body["error"] |= {"n_prompt_tokens": prompt, "n_ctx": self.context_tokens}
            raise refusal

    def out_of_range(self, name: str, value: Any, least: float, most: float) -> Refusal:
        return self.refuse(400, f"Field '{name}': Value must be between {least} <= value <= {most}, but got {value}")

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(400, f"Field '{found.place}': it {found.problem}")  # LC-P1

    def check_tool_turns(self, messages: Any) -> None:
        """Past turns are only text for the template: nothing is checked."""

    def reasons(self, body: Mapping[str, Any]) -> bool:
        asked = "think" in self.commands(body) or body.get("reasoning_effort") is not None
        return asked and self._thinking(body)

    @staticmethod
    def _thinking(body: Mapping[str, Any]) -> bool:
        """Whether thinking is left on (LC-R2)."""
        switched = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
        return bool(switched and body.get("reasoning_effort") != "none")

    def script(self, body: Mapping[str, Any]) -> Script:
        if not isinstance(body.get("tool_choice", ""), str):
            # LC-T1: read as auto, where this twin's model says something instead of calling
            body = {name: value for name, value in body.items() if name not in ("tool_choice", "tools")}
        if (body.get("response_format") or {}).get("type") == "json_schema":
            body = {name: value for name, value in body.items() if name != "tools"}  # LC-J1
        script = super().script(body)
        script = attrs.evolve(script, text=script.text.removeprefix(last_answer(body)))  # LC-P6
        return attrs.evolve(script, cached_tokens=max(script.input_tokens - 1, 0))

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        text = last_answer(body) + script.text  # LC-P6: repeated, but in a plain reply only
        message: dict[str, Any] = {"role": "assistant", "content": text}  # LC-T4
        if script.reasoning:
            message["reasoning_content"] = script.reasoning  # LC-R1
        if script.calls:
            calls = super().message(body, script)["tool_calls"]
            message["tool_calls"] = calls
        return message

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield {"role": "assistant", "content": None}  # LC-S1
        for piece in self.cut(script.reasoning):
            yield {"reasoning_content": piece}
        for piece in self.cut(script.text):
            yield {"content": piece}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        first, *rest = super().call_deltas(number, name, arguments)
        if rest:  # LC-T4: the first piece has the opening of the arguments
            first["tool_calls"][0]["function"]["arguments"] = arguments[:1]
            rest[0]["tool_calls"][0]["function"]["arguments"] = arguments[1:6]
        yield first
        yield from rest

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        timings = {"timings": self._timings(more["usage"])} if "usage" in more else {}  # LC-S3
        return {**super().chunk(body, choices, system_fingerprint="b0-unknown", **more), **timings}

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        finish, *usage = super().finish_chunks(body, script)
        yield finish if usage else {**finish, "timings": self._timings(self.usage(body, script))}
        yield from usage

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        reply = super().completion(body, script)
        return {**reply, "system_fingerprint": "b0-unknown", "timings": self._timings(reply["usage"])}  # LC-U1

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().usage(body, script), "prompt_tokens_details": {"cached_tokens": script.cached_tokens}}

    @staticmethod
    def _timings(usage: Mapping[str, Any]) -> dict[str, Any]:
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        return {
            "cache_n": cached,
            "prompt_n": usage["prompt_tokens"] - cached,
            "predicted_n": usage["completion_tokens"],
        }

    def models_body(self) -> Any:
        meta = {"n_ctx": self.context_tokens, "n_ctx_train": 8192, "n_vocab": 304, "n_params": 701568, "size": 2806272}
        entry = {"object": "model", "created": 1_790_000_000, "owned_by": "llamacpp", "meta": meta}  # LC-M1
        return {"object": "list", "data": [{"id": name, "aliases": [name], **entry} for name in self.models]}

    def call_id(self, number: int) -> str:
        return hashlib.sha256(f"{self.serial} {number}".encode()).hexdigest()[:32]  # LC-T4
