"""vLLM's twin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import EmulatedRequest, Misfit, Refusal, Script, chosen_name, example_of, functions_of, table_of

from . import has_image, last_answer, odd_type
from .responses import LocalResponsesEmulator

__all__ = ["VllmEmulator"]

_TYPES = {400: "BadRequestError", 404: "NotFoundError", 501: "NotImplementedError", 503: "ServiceUnavailableError"}
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_NO_PARSER = "--tool-call-parser to be set"


class VllmEmulator(LocalResponsesEmulator):
    """vLLM 0.32, started with a tool parser and a reasoning parser unless told otherwise."""

    name = "vllm"
    models: Sequence[str] = ("emulated-model", "second-alias")
    pages: Mapping[str, Any] = {"/version": {"version": "0.32.0"}, "/health": ""}  # VL-B3
    ranges: Mapping[str, tuple[float, float]] = {  # VL-P4, VL-P5
        "max_tokens": (1, float("inf")),
        "max_completion_tokens": (1, float("inf")),
        "temperature": (0, float("inf")),
        "top_p": (1e-9, 1),
        "top_logprobs": (-1, 20),
        "n": (1, float("inf")),
    }
    max_model_len = 4096
    tool_parser = True
    assumes_open_tag = False
    """Like the parsers of Qwen 3 and DeepSeek R1: text without tags is taken for reasoning (VL-R4)."""
    vision = False

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        if status == 401:
            return {"error": "Unauthorized"}  # VL-E3
        kind = type or _TYPES.get(status, "InternalServerError" if status >= 500 else "BadRequestError")  # VL-E4
        return {"error": {"message": message, "type": kind, "param": param, "code": status}}  # VL-E1

    def read(self, request: EmulatedRequest) -> Mapping[str, Any]:
        if not self.is_json(request):  # VL-E4
            words = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
            raise self.refuse(400, words, type="Bad Request")
        return super().read(request)

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        words = f"1 validation error:\n  'loc': 'body.{found.place}', it {found.problem}"  # VL-E4
        return self.refuse(400, words, type="Bad Request", param=f"body.{found.place}")

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        return Refusal(404, {"detail": "Not Found"})  # VL-E3, VL-M1

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        return self.refuse(404, f"The model `{body.get('model')}` does not exist.", param="model")  # VL-M3

    def out_of_range(self, name: str, value: Any, least: float, most: float) -> Refusal:
        shown = {"temperature": "non-negative", "top_p": "in (0, 1]", "top_logprobs": "at most 20"}  # VL-P5
        return self.refuse(400, f"{name} must be {shown.get(name, f'at least {least:g}')}, got {value}.", param=name)

    def check(self, body: Mapping[str, Any]) -> None:
        super().check(body)
        self._check_values(body)
        if "tools" in body or "tool_choice" in body:
            self._check_tools(body)
        odd = odd_type(body)
        if odd is not None:  # VL-J1
            raise self.refuse(400, f"Grammar error: Invalid type: {odd}")
        if has_image(body) and not (self.vision or self.sees(body)):
            raise self.refuse(400, f"{self.models[0]} is not a multimodal model")  # VL-I1
        prompt = self.script(body).input_tokens
        if prompt > self.max_model_len:  # VL-C1
            raise self.refuse(
                400,
                f"This model's maximum context length is {self.max_model_len} tokens. However, your prompt contains at "
                f"least {self.max_model_len + 1} input tokens. Please reduce the length of the input prompt.",
                param="input_tokens",
            )

    def _check_values(self, body: Mapping[str, Any]) -> None:
        if body.get("reasoning_effort", "none") not in _EFFORTS:  # VL-R5
            raise self.refuse(400, "1 validation error", type="Bad Request", param="body.reasoning_effort")
        if "stream_options" in body and not body.get("stream"):  # VL-P6
            raise self.refuse(400, "Stream options can only be defined when `stream=True`.", param="stream_options")
        if body.get("n", 1) > 1 and body.get("temperature") == 0:  # VL-P5
            raise self.refuse(400, f"n must be 1 when using greedy sampling, got {body['n']}.")
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 1  # VL-P4
        if limit > self.max_model_len:
            message = f"max_tokens={limit} cannot be greater than max_model_len={self.max_model_len}."
            raise self.refuse(400, message, param="max_tokens")
        if body.get("continue_final_message") and body.get("add_generation_prompt", True):  # VL-P9
            both = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
            raise self.refuse(400, both)
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema" and "json_schema" not in wanted:  # VL-J1
            raise self.refuse(400, "The 'json_schema' field must be provided.", param="response_format")

    def _check_tools(self, body: Mapping[str, Any]) -> None:
        choice = body.get("tool_choice", "auto")
        if body.get("tools") == []:  # VL-T2
            raise self.refuse(400, "`tools` must not be an empty array.", param="tools")
        if "tools" not in body and choice != "none":
            raise self.refuse(400, "When using `tool_choice`, `tools` must be set.", param="tool_choice")
        if isinstance(choice, str) and choice not in ("auto", "none", "required"):
            raise self.refuse(400, f"Invalid value for `tool_choice`: {choice}!", param="tool_choice")
        if isinstance(choice, dict) and chosen_name(body) not in _names(body):
            raise self.refuse(400, "The tool specified in `tool_choice` does not match any.", param="tool_choice")
        if not self.tool_parser and choice != "none":  # VL-T1
            flags = (
                f"requires --enable-auto-tool-choice and {_NO_PARSER}" if choice == "auto" else f"requires {_NO_PARSER}"
            )
            raise self.refuse(400, f'"{choice}" tool choice {flags}')

    def reasons(self, body: Mapping[str, Any]) -> bool:
        switched = table_of(body.get("chat_template_kwargs")).get("enable_thinking")
        effort = body.get("reasoning_effort")
        return bool(effort not in (None, "none") if switched is None else switched)

    @staticmethod
    def _switched_off(body: Mapping[str, Any]) -> bool:
        switched = table_of(body.get("chat_template_kwargs")).get("enable_thinking")
        return switched is False or body.get("reasoning_effort") == "none"

    def script(self, body: Mapping[str, Any]) -> Script:
        script = super().script(body)
        structured = table_of(body.get("structured_outputs"))
        if "json" in structured and not self.answer_is_given:  # VL-P3; guided_json has no effect
            script = attrs.evolve(script, text=_example(structured["json"]))
        if body.get("continue_final_message"):  # VL-P9
            script = attrs.evolve(script, text=script.text.removeprefix(last_answer(body)))
        if self.assumes_open_tag and not script.reasoning and not script.calls and not self._switched_off(body):
            script = attrs.evolve(script, reasoning=script.text, text="")  # VL-R4
        choice = body.get("tool_choice")
        if script.calls and (choice == "required" or isinstance(choice, dict)):
            keeps = self.answer_is_given
            loose = tuple(
                (name, text if keeps or _strict(body, name) else '"z"') for name, text in script.calls
            )  # VL-T3
            finish = "stop" if isinstance(choice, dict) and script.finish == "tool_calls" else script.finish  # VL-T4
            script = attrs.evolve(script, calls=loose, finish=finish)
        return script

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        calls = super().message(body, script).get("tool_calls")
        text = script.text or None
        if calls and script.finish == "length":  # VL-T6
            name, arguments = script.calls[0]
            calls, text = None, f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}'
        return {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            **({"tool_calls": calls} if calls else {}),
            "reasoning": script.reasoning or None,  # VL-R1
        }

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        reply = super().completion(body, script)
        choice = {
            **reply["choices"][0],
            "logprobs": None,
            "stop_reason": None,
            "token_ids": None,
            "routed_experts": None,
        }
        more = dict.fromkeys(("service_tier", "prompt_logprobs", "prompt_token_ids", "kv_transfer_params", "metrics"))
        return {**reply, "choices": [choice], "system_fingerprint": "vllm-0.32.0-cd107437", **more}  # VL-S4, D4

    def answers_as(self, body: Mapping[str, Any]) -> str:
        return self.models[0]  # VL-M2

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        first, *rest = super().stream(body, script)
        yield first.replace(b"}\n\n", b', "prompt_token_ids": null, "prompt_text": null}\n\n')  # VL-S1
        if script.finish == "length" and len(rest) > 3:  # VL-S2: the finish rides on the last piece
            at = 3 if (body.get("stream_options") or {}).get("include_usage") else 2
            rest[-at - 1] = rest[-at - 1].replace(b'"finish_reason": null', b'"finish_reason": "length"')
            del rest[-at]
        yield from rest

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        yield {"role": "assistant", "content": ""}  # VL-S1
        for piece in self.cut(script.reasoning):
            yield {"reasoning": piece}
        for piece in self.cut(script.text):
            yield {"content": piece}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        for call in super().call_deltas(number, name, arguments):  # VL-T5
            fragment = call["tool_calls"][0]
            if "id" in fragment:
                fragment = {**fragment, "function": {"name": name}}
            yield {"content": None, "tool_calls": [fragment]}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        ended = {"stop_reason": None} if finish else {}  # VL-S4
        return {**super().choice(delta, finish), "logprobs": None, **ended, "token_ids": None}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        details = {"reasoning_tokens": script.reasoning_tokens}  # VL-R6
        more = {} if body.get("stream") else {"prompt_tokens_details": None}  # VL-U1
        return {**super().usage(body, script), **more, "completion_tokens_details": details}

    def models_body(self) -> Any:
        entry = {"object": "model", "created": 1_790_000_000, "owned_by": "vllm", "root": "tiny", "parent": None}
        return {
            "object": "list",
            "data": [{"id": name, **entry, "max_model_len": self.max_model_len} for name in self.models],  # VL-M1
        }

    def call_id(self, number: int) -> str:
        return f"chatcmpl-tool-{self.serial:014x}{number:02x}"


def _names(body: Mapping[str, Any]) -> list[str]:
    return [function["name"] for function in functions_of(body)]


def _strict(body: Mapping[str, Any], name: str) -> bool:
    return any(function.get("strict") for function in functions_of(body) if function["name"] == name)


def _example(schema: Any) -> str:
    return json.dumps(example_of(schema))
