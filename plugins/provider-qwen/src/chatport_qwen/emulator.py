"""The vendor's twin: what it refuses and in which words, and the two shapes in which it streams.

Models that think are served by a stack whose deltas carry `content` and `reasoning_content` together; the others by
one that adds `system_fingerprint`. What each model takes stands here a second time, apart from the facts file that the
hooks read, so that a mistake in one of the two shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from chatport.testing import EmulatedRequest, Misfit, Refusal, Script, VendorEmulator, example_of, functions_of, sse

__all__ = ["QwenEmulator"]

_ROLES = ("system", "assistant", "user", "tool", "function")
_BAD = "<400> InternalError.Algo.InvalidParameter: "

# status -> code, type, message, for `error: STATUS`
_ERRORS: Mapping[int, tuple[str, str, str]] = {
    400: ("invalid_parameter_error", "invalid_request_error", f"{_BAD}An emulated parameter is wrong."),
    401: ("invalid_api_key", "invalid_request_error", "Incorrect API key provided."),  # QW-E1
    402: (
        "Arrearage",
        "Arrearage",
        "Access denied, please make sure your account is in good standing.",
    ),  # QW-E2, really a 400
    403: ("Model.AccessDenied", "Model.AccessDenied", "Model access denied."),  # QW-E6
    404: ("model_not_found", "invalid_request_error", "The model does not exist or you do not have access to it."),
    429: ("limit_requests", "limit_requests", "You have exceeded your current request limit."),  # QW-E9, QW-E17
    500: ("internal_error", "internal_error", "<500> InternalError.Algo: An emulated fault."),  # QW-E13
    503: ("ModelServingError", "ModelServingError", "Too many requests. Your requests are being throttled."),
}


@attrs.frozen
class _Model:
    """What a model takes. `thinking`: its switch, or `always`, or `never`; `thinks`: what holds without the switch."""

    thinking: Literal["switch", "object", "always", "never"] = "switch"
    thinks: bool = False
    budget: int | None = None
    formats: tuple[str, ...] = ("json_object",)
    json_with_thinking: bool = False
    required: bool = True
    thinks_in_streams: bool = False
    only_streams: bool = False
    continues: bool = False


_BOTH = ("json_schema", "json_object")

# QW-R2, QW-P8, QW-P9, QW-J2
_MODELS: Mapping[str, _Model] = {
    "qwen3.8-max": _Model(thinks=True, budget=262_144, formats=_BOTH, json_with_thinking=True),
    "qwen3.8-flash": _Model(thinks=True, budget=262_144, formats=_BOTH),
    "qwen3.7-plus": _Model(thinks=True, budget=262_144, formats=_BOTH, continues=True),
    "qwen3.7-max": _Model(thinks=True, budget=262_144, formats=_BOTH, continues=True),
    "qwen3.6-plus": _Model(thinks=True, budget=81_920, formats=_BOTH, continues=True),
    "qwen3.5-plus": _Model(thinks=True, budget=81_920, formats=_BOTH, continues=True),
    "qwen3-max": _Model(budget=81_920, formats=_BOTH, continues=True),
    "qwen-plus": _Model(budget=81_920, formats=_BOTH, continues=True),
    "qwen-flash": _Model(budget=81_920, formats=_BOTH, continues=True),
    "qwen-turbo": _Model(budget=38_912, continues=True),
    "qwen-max": _Model("never", continues=True),
    "qwen3-8b": _Model(thinks=True, budget=38_912, thinks_in_streams=True, continues=True),
    "qwen3-235b-a22b-thinking-2507": _Model("always", budget=81_920, thinks_in_streams=True),
    "qwen3-30b-a3b-instruct-2507": _Model("never", continues=True),
    "qwen3-vl-flash": _Model(budget=81_920, continues=True),
    "qwen3-coder-plus": _Model("never", required=False, continues=True),
    "qwen3-omni-flash": _Model(only_streams=True),
    "qwq-plus": _Model("always", thinks_in_streams=True),
    "deepseek-v3.2": _Model(formats=_BOTH),
    "deepseek-v4-pro": _Model(),
    "glm-5.1": _Model(),
    "kimi-k3": _Model("always"),
    "MiniMax/MiniMax-M3": _Model("object"),
}


class QwenEmulator(VendorEmulator):
    """Alibaba Cloud Model Studio in its compatible mode. `filtered_word` in an answer sets off the content filter."""

    name = "qwen"
    models = tuple(_MODELS)
    shapes: Mapping[str, Any] = {
        **VendorEmulator.shapes,
        "enable_thinking": {"type": "boolean"},
        "thinking_budget": {"type": "integer"},
        "thinking": {"type": "object"},
    }
    filtered_word: str | None = None

    # --- refusals

    def error_body(
        self, status: int, message: str, *, code: str | None = None, type: str | None = None, param: str | None = None
    ) -> Any:
        error = {
            "message": message,
            "type": type or "invalid_request_error",
            "param": param,
            "code": code or "invalid_parameter_error",
        }
        return {"error": error, "id": self.reply_id(), "request_id": self.reply_id().removeprefix("chatcmpl-")}

    def headers(self, content_type: str) -> dict[str, str]:
        return {**super().headers(content_type), "x-dashscope-call-gateway": "true"}  # QW-L2: and no x-ratelimit-*

    def error_for(self, status: int) -> Refusal:
        code, kind, message = _ERRORS.get(status, ("InternalError", "InternalError", f"An emulated {status}."))
        return self.refuse(status, message, code=code, type=kind)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        message = f"The model `{body.get('model')}` does not exist or you do not have access to it."
        return self.refuse(404, message, code="model_not_found")  # QW-E8

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        return self.bad(f"it {found.problem} - '{found.place}'")

    def check_key(self, request: EmulatedRequest) -> None:
        sent = request.headers.get("authorization", "")
        if not sent or (self.api_key is not None and sent != f"Bearer {self.api_key}"):
            raise self.error_for(401)

    def bad(self, message: str, code: str | None = None) -> Refusal:
        """Return the vendor's usual 400."""
        return self.refuse(400, _BAD + message, code=code)

    def check(self, body: Mapping[str, Any]) -> None:
        if body.get("messages") == []:
            raise self.bad("[] is too short - 'messages'")  # QW-P12
        super().check(body)
        model = self._model(body)
        self._check_messages(body)
        self._check_ranges(body)
        self._check_thinking(body, model)
        self._check_tools(body, model)
        self._check_output(body, model)
        self._check_partial(body, model)
        if "stream_options" in body and not body.get("stream"):
            raise self.bad("'stream_options' only set this when you set stream: true")  # QW-P14
        if model.only_streams and not body.get("stream"):
            raise self.bad("This model only support stream mode, please enable the stream parameter.")  # QW-M4

    def _check_messages(self, body: Mapping[str, Any]) -> None:
        messages = body["messages"]
        for number, message in enumerate(messages):
            if message["role"] not in _ROLES:  # QW-P11
                raise self.bad(f"{message['role']} is not one of {list(_ROLES)} - 'messages.{number}.role'")
            parts = message.get("content")
            kinds = [part["type"] for part in parts] if isinstance(parts, list) else []
            if "file" in kinds:  # QW-P15
                raise self.bad("Invalid value: file. Supported values are: 'text','image_url','video_url' and 'video'.")
        if not any(message["role"] == "user" for message in messages):  # QW-P12
            raise self.bad("The messages must contain at least one user message.")

    def _check_partial(self, body: Mapping[str, Any], model: _Model) -> None:
        """Partial mode: the documentation lists the models, and says that none may think. The words are a guess."""
        marked = [message["role"] for message in body["messages"] if message.get("partial")]
        if marked and (marked != ["assistant"] or not body["messages"][-1].get("partial")):
            raise self.bad("'partial' is for the last message, with the role assistant")
        if marked and (not model.continues or self.reasons(body)):
            raise self.bad("The model does not support partial mode, or not while it thinks.")

    def _check_ranges(self, body: Mapping[str, Any]) -> None:
        """QW-P3."""
        if not 0 <= body.get("temperature", 0) < 2:
            raise self.bad("Temperature should be in [0.0, 2.0)")
        if not 0 < body.get("top_p", 1) <= 1:
            raise self.bad("Range of top_p should be (0.0, 1.0]")
        if not 0 <= body.get("seed", 0) < 2**31:
            raise self.bad("Range of seed should be [0, 2147483647]")
        if not 1 <= body.get("n", 1) <= (1 if body.get("tools") else 4):
            raise self.bad("Range of n should be [1, 4]")

    def _check_thinking(self, body: Mapping[str, Any], model: _Model) -> None:
        switch = body.get("enable_thinking")
        if switch is not None and model.thinking == "never":  # QW-P7
            raise self.refuse(
                400, "This model does not support enable_thinking.", code="InvalidParameter.NotSupportEnableThinking"
            )
        if switch is False and model.thinking == "always":
            raise self.bad("The value of the enable_thinking parameter is restricted to True.")
        if model.thinks_in_streams and self.reasons(body) and not body.get("stream"):  # QW-P8
            raise self.bad("parameter.enable_thinking must be set to false for non-streaming calls")
        budget, most = body.get("thinking_budget"), model.budget
        if budget is not None and not 0 < budget <= (most or budget):  # QW-P9
            raise self.bad(f"The thinking_budget parameter must be a positive integer and not greater than {most}")
        if budget is not None and "reasoning_effort" in body:  # QW-P10
            raise self.bad("'reasoning_effort' and 'thinking_budget' cannot be set simultaneously")

    def _check_tools(self, body: Mapping[str, Any], model: _Model) -> None:
        if any(function["name"] == "search" for function in functions_of(body)):  # QW-T1
            raise self.bad("Tool names are not allowed to be [search]")
        choice = body.get("tool_choice", "auto")
        if choice not in ("auto", "none") and self.reasons(body):  # QW-T2
            raise self.bad(
                "The tool_choice parameter does not support being set to required or object in thinking mode"
            )
        if choice == "required" and not model.required:
            raise self.bad("tool_choice is one of the strings that should be one of [none, auto]")

    def _check_output(self, body: Mapping[str, Any], model: _Model) -> None:
        wanted = (body.get("response_format") or {}).get("type", "text")
        if wanted == "text":
            return
        if self.reasons(body) and not (model.json_with_thinking and wanted == "json_object"):  # QW-J3
            raise self.bad("Json mode response is not supported when enable_thinking is true")
        if wanted not in model.formats:  # QW-J2
            raise self.bad("Unknown format of response_format, response_format should be a dict with json_object")
        if wanted == "json_object" and "json" not in json.dumps(body["messages"]).lower():  # QW-J1
            message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type"
            raise self.bad(f"{message} 'json_object'.")

    # --- what the model says

    def _model(self, body: Mapping[str, Any]) -> _Model:
        return _MODELS.get(str(body["model"]), _Model())

    def reasons(self, body: Mapping[str, Any]) -> bool:
        model = self._model(body)
        if model.thinking in ("always", "never"):
            return model.thinking == "always"
        if "reasoning_effort" in body:
            return bool(body["reasoning_effort"] != "none")
        if model.thinking == "object":
            return bool((body.get("thinking") or {}).get("type", "disabled") != "disabled")
        return bool(body.get("enable_thinking", model.thinks))

    def script(self, body: Mapping[str, Any]) -> Script:
        body = self._as_read(body)
        script = self._with_thinking_free_of_limit(body)
        if not body.get("parallel_tool_calls") and str(body["model"]).startswith("qwen"):  # QW-T3
            script = attrs.evolve(script, calls=script.calls[:1])
        schema = _schema_in_words(body)
        if schema is not None and script.text and not script.calls and "say" not in self.commands(body):
            script = attrs.evolve(script, text=json.dumps(example_of(schema), ensure_ascii=False))
        begun = body["messages"][-1].get("content") if body["messages"][-1].get("partial") else None
        return script if begun is None else attrs.evolve(script, text=script.text.removeprefix(begun))

    def _as_read(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """QW-P16: GLM without tools sees nothing of a message that is made of parts."""
        if not str(body["model"]).startswith("glm") or body.get("tools"):
            return body
        empty = [{**m, "content": ""} if isinstance(m.get("content"), list) else m for m in body["messages"]]
        return {**body, "messages": empty}

    def _with_thinking_free_of_limit(self, body: Mapping[str, Any]) -> Script:
        """QW-P5: max_tokens bounds the answer alone, max_completion_tokens the thinking too."""
        limit = body.get("max_tokens")
        if limit is None or "max_completion_tokens" in body:
            return super().script(body)
        whole = super().script({name: value for name, value in body.items() if name != "max_tokens"})
        return super().script({**body, "max_tokens": limit + whole.reasoning_tokens})

    # --- shapes

    def reply_id(self) -> str:
        return f"chatcmpl-{self.serial:08x}-0ada-97f7-8510-{self.serial:012x}"

    def call_id(self, number: int) -> str:
        return f"call_{self.serial:08x}{number:016x}"

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """QW-R1, QW-U1: thinking is inside completion_tokens."""
        details = {"text_tokens": script.output_tokens}
        if script.reasoning:
            details = {"reasoning_tokens": script.reasoning_tokens, **details}
        return {
            **super().usage(body, script),
            "completion_tokens_details": details,
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
        }

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message = {"content": script.text, "reasoning_content": script.reasoning, "role": "assistant"}
        calls = [
            {
                "function": {"arguments": arguments, "name": name},
                "id": self.call_id(n),
                "index": n,
                "type": "function",
            }
            for n, (name, arguments) in enumerate(script.calls)
        ]
        return {**message, "tool_calls": calls} if calls else message

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        if self.filtered_word and self.filtered_word in script.text:
            raise self.refuse(400, "Output data may contain inappropriate content.", code="data_inspection_failed")
        return super().completion(body, script)

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"delta": delta, "finish_reason": finish, "index": 0, "logprobs": None}

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        stack = {} if self.reasons(body) else {"system_fingerprint": None}
        return super().chunk(body, choices, **{"usage": None, **stack, **more})

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """QW-S2: thinking first. The text and the reasoning field are there in every delta of the thinking stack."""
        thinks = bool(script.reasoning)
        rest = {"reasoning_content": ""} if thinks else {}
        if script.text or thinks or not script.calls:
            yield {"content": "", "role": "assistant", **rest}
        for piece in self.cut(script.reasoning):
            yield {"content": "", "reasoning_content": piece}
        for piece in self.cut(script.text):
            yield {"content": piece, **rest}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        """QW-S3: later fragments repeat the type and carry an empty id, which must not overwrite the real one."""
        head = {"name": name, "arguments": ""}
        first = {"index": number, "id": self.call_id(number), "type": "function", "function": head}
        yield {"content": None, "tool_calls": [first], "role": "assistant"}
        for start in range(0, len(arguments), 12):
            piece = {"arguments": arguments[start : start + 12]}
            yield {"content": None, "tool_calls": [{"index": number, "id": "", "type": "function", "function": piece}]}

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """QW-S6: the finish with an empty text, then the usage in a chunk without choices."""
        yield self.chunk(body, [self.choice({"content": ""}, script.finish)])
        if (body.get("stream_options") or {}).get("include_usage"):
            yield self.chunk(body, [], usage=self.usage(body, script))

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        for delta in self.deltas(body, script):
            if self.filtered_word and self.filtered_word in (delta.get("content") or ""):  # QW-S8
                yield sse(self._filter_frame())
                return
            yield sse(self.chunk(body, [self.choice(delta)]))
        for chunk in self.finish_chunks(body, script):
            yield sse(chunk)
        yield b"data: [DONE]\n\n"

    def _filter_frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = self.error_body(
            400, "Output data may contain inappropriate content.", code="data_inspection_failed"
        )
        return {"error": frame["error"], "id": frame["id"]}


def _schema_in_words(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the JSON Schema that a system message spells out, as a model would read it there."""
    for message in body["messages"]:
        content = message.get("content")
        found = re.search(r"JSON Schema:\s*(\{.*)", content, re.S) if isinstance(content, str) else None
        if found and message["role"] == "system":
            schema, _ = json.JSONDecoder().raw_decode(found[1])
            return schema if isinstance(schema, dict) else None
    return None
