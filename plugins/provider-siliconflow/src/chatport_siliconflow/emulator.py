"""SiliconFlow's twin: its flat error bodies with integer codes, its picky switches, its cumulative usage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import EmulatedRequest, Misfit, Refusal, Script, VendorEmulator

__all__ = ["SiliconFlowEmulator"]

_SWITCHED = (
    "Qwen3-8B", "Qwen3-14B", "Qwen3-32B", "Qwen3-30B-A3B", "Qwen3-235B-A22B", "Hunyuan-A13B-Instruct", "GLM-4.5V",
    "GLM-4.6V", "GLM-5V-Turbo", "DeepSeek-V3.1", "DeepSeek-V3.1-Terminus", "DeepSeek-V3.2", "DeepSeek-V3.2-Exp",
)  # fmt: skip  # SF-P2
_ALWAYS = ("DeepSeek-R1", "DeepSeek-R1-0528-Qwen3-8B", "QwQ-32B", "DeepSeek-V4-Pro", "DeepSeek-V4-Flash", "GLM-5.2")
_SEEING = ("GLM-4.5V", "GLM-4.6V", "GLM-5V-Turbo", "Qwen2.5-VL-72B-Instruct", "Qwen3-Omni-30B-A3B-Instruct")
_INVALID = "The parameter is invalid. Please check again."
_STATUS_ERRORS: Mapping[int, Any] = {
    400: {"code": 20015, "message": _INVALID, "data": None},  # SF-X13
    401: "Api key is invalid",  # SF-X14, SF-X2
    403: {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None},  # SF-X15
    404: "404 page not found",  # SF-X18
    429: {"message": "Request was rejected due to rate limiting. Details: TPM limit reached.", "data": None},  # SF-X19
    451: {"code": 20015, "message": "The content is blocked.", "data": None},  # SF-X23
    500: {"code": 50501, "message": "Unknown error", "data": None},  # SF-X20
    503: {"code": 50505, "message": "Model service overloaded. Please try again later.", "data": None},  # SF-X21
    504: "The request timed out, please use stream mode.",  # SF-X22
}


class SiliconFlowEmulator(VendorEmulator):
    """Answers as SiliconFlow does.

    Settings: `usage_form` (`cumulative` on every chunk, `finish` on the last, `trailing` after it), `finish_reason`
    (end with this word), `cached_tokens`, `context_tokens`, `models`, `api_key`.
    """

    name = "siliconflow"
    models: Sequence[str] = (
        "Qwen/Qwen3-8B", "Qwen/Qwen3-32B", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-VL-72B-Instruct", "Qwen/QwQ-32B",
        "Qwen/Qwen3-Omni-30B-A3B-Instruct", "deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-V3.1",
        "deepseek-ai/DeepSeek-V3.2", "Pro/deepseek-ai/DeepSeek-V3.2", "deepseek-ai/DeepSeek-R1",
        "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "deepseek-ai/DeepSeek-V4-Pro", "deepseek-ai/DeepSeek-V4-Flash",
        "zai-org/GLM-5.2", "zai-org/GLM-4.6V", "moonshotai/Kimi-K2.6", "Pro/zai-org/GLM-4.7",
    )  # fmt: skip
    other_models: Sequence[str] = ("BAAI/bge-m3", "Kwai-Kolors/Kolors")
    drops_nulls = False  # SF-P11
    usage_form = "cumulative"
    finish_reason = ""
    cached_tokens = 0
    context_tokens = 131_072

    # --- errors

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return the flat form; `code` has nothing to do with the status (SF-X1)."""
        return _STATUS_ERRORS[401] if status == 401 else {"code": 20015, "message": message, "data": None}

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error of this status (SF-X2: three of them are bare strings)."""
        return Refusal(status, _STATUS_ERRORS.get(status, {"code": 20015, "message": _INVALID, "data": None}))

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """SF-X10: a 400."""
        return Refusal(
            400, {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None}
        )

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """SF-X13: the same words, whatever it is."""
        return self.error_for(400)

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        """SF-E2, SF-X18"""
        return self.error_for(404)

    # --- what is refused

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what SiliconFlow refuses."""
        for name in ("model", "messages"):
            if not body.get(name):
                raise self.refuse(400, "Field required")  # SF-X13
        super().check(body)
        model = _base(body)
        self._check_fields(body, model)
        for message in body["messages"]:
            self._check_message(message, model)
        self._check_size(body)

    def _check_fields(self, body: Mapping[str, Any], model: str) -> None:
        numbers = ("max_tokens", "temperature", "top_p", "top_k", "min_p", "thinking_budget", "frequency_penalty", "n")
        if not all(type(body.get(name, 1)) in (int, float) for name in numbers):
            raise self.refuse(400, _INVALID)
        invalid = (
            any(value is None for value in body.values())  # SF-P11
            or len(body.get("stop") or ()) > 4  # SF-P1
            or len(body.get("tools") or ()) > 128  # SF-T1
            or body.get("tool_choice", "auto") not in ("auto", "none", "required")  # SF-T1: nothing else documented
            or not 0 <= body.get("temperature", 0.7) <= 2  # SF-P1
        )
        if invalid:
            raise self.refuse(400, _INVALID)
        if "enable_thinking" in body and model not in _SWITCHED:  # SF-P2: even for false
            raise self._unsupported("enable_thinking")
        if "reasoning_effort" in body and not model.startswith(("DeepSeek-V4", "GLM-5.2")):  # SF-P5, unverified
            raise self._unsupported("reasoning_effort")
        if "thinking" in body:  # SF-P7
            raise self._unsupported("thinking")
        if body.get("thinking_budget", 0) > 32768:  # SF-P4
            raise self.refuse(400, "thinking_budget: Must be less than or equal to 32768")
        if "thinking_budget" in body and body["thinking_budget"] < 128:
            raise self.refuse(400, "thinking_budget: Must be greater than or equal to 128")
        if body.get("tools") and (model in _SEEING or (model.startswith("DeepSeek-V3.1") and self.reasons(body))):
            raise self.refuse(400, "Value error, current model does not support function call.")  # SF-T2, SF-P6, SF-T4
        kind = (body.get("response_format") or {}).get("type", "text")
        if kind != "text" and (model == "DeepSeek-V3" or model.startswith("DeepSeek-R1")):  # SF-J1
            raise self._unsupported("response_format")

    def _unsupported(self, name: str) -> Refusal:
        return self.refuse(400, f"Value error, current model does not support parameter `{name}`.")  # SF-X12

    def _check_message(self, message: Mapping[str, Any], model: str) -> None:
        content = message.get("content")
        if content is None or (message["role"] == "tool" and not content):  # SF-P10
            raise self.refuse(400, _INVALID)
        known = {"text", *(("image_url",) if model in _SEEING else ())}
        known |= {"audio_url", "video_url"} if "Omni" in model else {"video_url"} if "-VL-" in model else set()  # SF-M2
        if isinstance(content, list) and not all(part.get("type") in known for part in content):
            raise self.refuse(400, _INVALID)

    def _check_size(self, body: Mapping[str, Any]) -> None:
        prompt, most = len(json.dumps(body["messages"], ensure_ascii=False)) // 4, self.context_tokens
        if prompt >= most:  # SF-X11
            raise self.refuse(400, f"length of prompt_tokens ({prompt}) must be less than max_seq_len ({most}).")
        if prompt + body.get("max_tokens", 0) > most:  # SF-P8
            total = prompt + body["max_tokens"]
            raise self.refuse(400, f"max_total_tokens ({total}) must be less than or equal to max_seq_len ({most}).")

    # --- what it says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """SF-P3: what is not said means something else for each model."""
        model = _base(body)
        return model in _ALWAYS or bool(body.get("enable_thinking", model.startswith("Qwen3-") and model in _SWITCHED))

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says; a used up budget cuts the thought, and the answer begins (SF-P4)."""
        script = super().script(body)
        schema = _schema_in(body)
        if schema is not None and script.finish == "stop" and "say" not in self.commands(body):
            seen = {**body, "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
            script = super().script(seen)
        thought = " ".join(script.reasoning.split()[: body.get("thinking_budget", 4096)])
        if script.finish == "length":
            thought = " ".join(thought.split()[: body.get("max_tokens")])
        return attrs.evolve(
            script,
            text=script.refusal or script.text,  # there is no field for a refusal
            refusal="",
            reasoning=thought,
            cached_tokens=min(self.cached_tokens, script.input_tokens),
            finish=self.finish_reason or script.finish,
        )

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """SF-H1, SF-H2: an id, and no limits."""
        return {"content-type": content_type, "x-siliconcloud-trace-id": f"ti_{self.serial:016x}"}

    def reply_id(self) -> str:
        """Return the id, in hexadecimal (SF-S1)."""
        return hashlib.md5(f"reply {self.serial}".encode()).hexdigest()

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the deltas: the idle one of text and reasoning is null; see SF-S1, SF-S2."""
        yield {"content": "", "reasoning_content": None if self.reasons(body) else "", "role": "assistant"}
        for piece in self.cut(script.reasoning):
            yield {"content": None, "reasoning_content": piece, "role": "assistant"}
        for piece in self.cut(script.text):
            yield {"content": piece, "reasoning_content": None}
        for number, (name, arguments) in enumerate(script.calls):
            for delta in self.call_deltas(number, name, arguments):
                yield {"content": None, "reasoning_content": None, **delta}

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        """SF-S3: pieces of arguments come with an empty name and a null id."""
        first, *rest = super().call_deltas(number, name, arguments)
        yield first
        for delta in rest:
            piece = delta["tool_calls"][0]
            function = {"name": "", **piece["function"]}
            yield {"tool_calls": [{**piece, "id": None, "type": "function", "function": function}]}

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the stream; usage comes in one of three forms (SF-S4)."""
        deltas = list(self.deltas(body, script))
        for number, delta in enumerate(deltas):
            so_far = attrs.evolve(script, text="", reasoning=" ".join(script.reasoning.split()[:number]), calls=())
            usage = {"usage": self.usage(body, so_far)} if self.usage_form == "cumulative" else {}
            yield _event(self.chunk(body, [self.choice(delta)], **usage))
        usage = {"usage": self.usage(body, script)}
        last = [self.choice({"content": "", "reasoning_content": None, "role": "assistant"}, script.finish)]
        yield _event(self.chunk(body, last, **({} if self.usage_form == "trailing" else usage)))
        if self.usage_form == "trailing":
            yield _event(self.chunk(body, [], **usage))
        yield b"data: [DONE]\n\n"

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """Return a chunk around its choices (SF-S1)."""
        return super().chunk(body, choices, system_fingerprint="", **more)

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply (SF-R1)."""
        thought = {"reasoning_content": script.reasoning} if script.reasoning else {}
        return {**super().message(body, script), "content": script.text, **thought}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the counts (SF-U1, SF-R3)."""
        thought = {"completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens}}
        cached = {
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
            "prompt_cache_hit_tokens": script.cached_tokens,
            "prompt_cache_miss_tokens": script.input_tokens - script.cached_tokens,
        }
        return {
            **super().usage(body, script),
            **(thought if script.reasoning else {}),
            **(cached if self.cached_tokens else {}),
        }

    def models_body(self) -> Any:
        """SF-E3: without `sub_type=chat` all kinds of models are mixed."""
        names = (*self.models, *(() if "sub_type=chat" in self.requests[-1].path else self.other_models))
        entries = [{"id": name, "object": "model", "created": 0, "owned_by": ""} for name in names]
        return {"object": "list", "data": entries}


def _base(body: Mapping[str, Any]) -> str:
    """Return a model's own name: the prefixes and the maker say nothing of its abilities (SF-E4)."""
    return str(body.get("model")).rpartition("/")[2]


def _event(data: Any) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def _schema_in(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the JSON Schema that a system text ends with, None if there is none."""
    for message in body["messages"]:
        _, marked, schema = str(message.get("content")).partition("JSON Schema:\n")
        if message["role"] == "system" and marked:
            decoded: dict[str, Any] = json.loads(schema)
            return decoded
    return None
