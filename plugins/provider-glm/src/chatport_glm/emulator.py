"""The vendor's twin: what it refuses, what it overlooks without a word, and its shapes, which are the recorded ones.

What each model takes stands here a second time, apart from the facts file that the hooks read. Where the vendor's words
are not known they are this file's own; the codes are the vendor's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from chatport.testing import EmulatedRequest, Misfit, Refusal, Script, VendorEmulator, example_of

__all__ = ["GlmEmulator"]

# code -> HTTP status and words: the table GL-E1 to GL-E17, bodies as in GL-E18
_ERRORS: Mapping[int, tuple[int, str]] = {
    1000: (401, "Authentication Failed"),
    1001: (401, "Header 中未收到 Authentication 参数"),
    1210: (400, "API 调用参数有误"),
    1211: (400, "模型不存在"),
    1213: (400, "未正常接收到参数"),
    1214: (400, "参数非法"),
    1220: (403, "No permission to access this API"),
    1113: (429, "余额不足或无可用资源包,请充值。"),
    1261: (400, "Prompt exceeds max length"),
    1301: (400, "The content may be unsafe or sensitive."),
    1302: (429, "Rate limit reached for requests"),
    1305: (429, "The model is overloaded."),
    1308: (429, "Usage limit reached."),
    1311: (429, "Your plan does not include this model."),
    1313: (429, "Fair use limit."),
    1234: (500, "Network error"),
}
_OF_STATUS = {400: 1210, 401: 1000, 403: 1220, 404: 1211, 429: 1302, 500: 1234}

# GL-P6, GL-P10, GL-P11, GL-M1: most output tokens, and whether thinking is never, a switch, or always there
_MODELS: Mapping[str, tuple[int, str]] = {
    "glm-5.3": (131_072, "always"),
    "glm-5.2": (131_072, "switch"),
    "glm-5.1": (131_072, "switch"),
    "glm-5": (131_072, "switch"),
    "glm-4.7": (131_072, "switch"),
    "glm-4.7-flash": (131_072, "switch"),
    "glm-4.6": (131_072, "switch"),
    "glm-4.6v": (32_768, "switch"),
    "glm-4.5-air": (98_304, "switch"),
    "glm-4-plus": (4_096, "never"),
    "glm-4v-plus": (4_096, "never"),
}


class GlmEmulator(VendorEmulator):
    """Zhipu and Z.ai. `error: N` takes a business code too. `plan_key`: the key is one of the coding plan.

    `finish_reason` ends each answer with this word; `context_characters` is the longest prompt; `overflow` its wording.
    """

    name = "glm"
    models = tuple(_MODELS)
    shapes: Mapping[str, Any] = {
        **VendorEmulator.shapes,
        "thinking": {"type": "object"},
        "request_id": {"type": "string"},
        "user_id": {"type": "string"},
    }
    plan_key = False
    finish_reason: str | None = None
    context_characters = 1_000_000
    overflow = "Prompt exceeds max length"

    # --- refusals

    def error_body(self, status: int, message: str, *, code: str | None = None, **_: Any) -> Any:
        return {"error": {"code": code or "1214", "message": message}}

    def headers(self, content_type: str) -> dict[str, str]:
        """GL-L2, GL-L3: no limits, no request id. GL-S1: the media types as recorded."""
        return {"content-type": {"text/event-stream": "text/event-stream;charset=UTF-8"}.get(content_type, _JSON)}

    def error_for(self, status: int) -> Refusal:
        code = status if status in _ERRORS else _OF_STATUS.get(status, 1234)
        return self.refuse(_ERRORS[code][0], _ERRORS[code][1], code=str(code))

    def bad(self, detail: str, code: int = 1214) -> Refusal:
        """Return a refusal by code; the words say what this twin did not like."""
        return self.refuse(_ERRORS[code][0], f"{_ERRORS[code][1]}: {detail}", code=str(code))

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        return self.bad(str(body.get("model")), 1211)  # GL-E5, GL-X6

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        return self.bad(found.place, 1210)

    def check_key(self, request: EmulatedRequest) -> None:
        sent = request.headers.get("authorization", "")
        if not sent:
            raise self.error_for(1001)
        if self.api_key is not None and sent != f"Bearer {self.api_key}":
            raise self.error_for(1000)
        if self.plan_key and "/coding/" not in request.path:
            raise self.error_for(1113)  # GL-0.2

    def check(self, body: Mapping[str, Any]) -> None:
        for field in ("model", "messages"):
            if not body.get(field):
                raise self.bad(field, 1213)
        super().check(body)
        if len(json.dumps(body["messages"])) > self.context_characters:
            raise self.refuse(400, self.overflow, code="1261")  # GL-E8
        if not any(message.get("role") == "user" for message in body["messages"]):
            raise self.bad("messages")  # GL-P13
        self._check_ranges(body)
        self._check_thinking(body)
        if body.get("response_format", {}).get("type", "text") not in ("text", "json_object"):
            raise self.bad("response_format", 1210)  # GL-J1; the code is a guess

    def _check_ranges(self, body: Mapping[str, Any]) -> None:
        most = {"temperature": (0, 1), "top_p": (0.01, 1), "max_tokens": (1, _MODELS[body["model"]][0])}
        for field, (low, high) in most.items():  # GL-P3, GL-P4, GL-P6
            if not low <= body.get(field, high) <= high:
                raise self.bad(f"{field} goes from {low} to {high}")
        for field, limit in (("stop", 4), ("tools", 128)):  # GL-P7, GL-T1
            if len(body.get(field, ())) > limit:
                raise self.bad(f"{field} has more than {limit} items")
        for tool in body.get("tools", ()):
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.get("function", {"name": "x"})["name"]):
                raise self.bad("tools.function.name")
        for field, low in (("request_id", 6), ("user_id", 6)):  # GL-P12
            if not low <= len(body.get(field, "unsaid")) <= {"request_id": 64}.get(field, 128):
                raise self.bad(field)

    def _check_thinking(self, body: Mapping[str, Any]) -> None:
        style, switch = _MODELS[body["model"]][1], (body.get("thinking") or {}).get("type", "enabled")
        if switch not in ("enabled", "disabled"):  # GL-P9
            raise self.bad("thinking.type", 1210)
        if style == "always" and (switch == "disabled" or body.get("reasoning_effort", "max") not in _TIERS):
            raise self.bad("thinking is always on", 1210)  # GL-0.4, GL-P11; the code is a guess

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        style = _MODELS[body["model"]][1]
        off = (body.get("thinking") or {}).get("type") == "disabled"
        if body["model"] == "glm-5.2":
            off = off or body.get("reasoning_effort") == "none"
        return style == "always" or (style == "switch" and not off)

    def script(self, body: Mapping[str, Any]) -> Script:
        body = _as_read(body)
        script = super().script(body)
        schema = _schema_in_words(body)
        if schema is not None and script.text and not script.calls and "say" not in self.commands(body):
            script = attrs.evolve(script, text=json.dumps(example_of(schema), ensure_ascii=False))
        return attrs.evolve(script, finish=self.finish_reason or script.finish)

    # --- shapes

    def reply_id(self) -> str:
        return f"20261122120000{self.serial:016x}"

    def call_id(self, number: int) -> str:
        return f"call_{self.serial:08x}{number:016x}"

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {  # GL-U1, GL-R1: the reasoning is inside completion_tokens
            **super().usage(body, script),
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
        }

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message = {**super().message(body, script), "content": script.text or script.refusal}
        message.pop("refusal", None)
        for number, call in enumerate(message.get("tool_calls", ())):
            call["index"] = number
        return {**message, **({"reasoning_content": script.reasoning} if script.reasoning else {})}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().completion(body, script), "request_id": self.reply_id()}  # GL-L3

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """GL-S2, GL-X4: no finish_reason before the end, and the role in every delta but those of tool calls."""
        return {"index": 0, **({"finish_reason": finish} if finish else {}), "delta": delta}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        spoken = {"reasoning_content": script.reasoning, "content": script.text or script.refusal}  # GL-S3
        for field, text in spoken.items():
            for piece in self.cut(text):
                yield {"role": "assistant", field: piece}
        for number, (name, arguments) in enumerate(script.calls):
            size = 6 if body.get("tool_stream") else max(len(arguments), 1)  # GL-S5
            for start in range(0, max(len(arguments), 1), size):
                said = {"arguments": arguments[start : start + size]}
                call: dict[str, Any] = {"index": number, "function": said}
                if start == 0:
                    call |= {"id": self.call_id(number), "type": "function", "function": {"name": name, **said}}
                yield {"tool_calls": [call]}

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """GL-S4: finish, an empty text and the usage, asked for or not, in one chunk."""
        last = self.choice({"role": "assistant", "content": ""}, script.finish)
        yield self.chunk(body, [last], usage=self.usage(body, script))


_JSON = "application/json; charset=UTF-8"
_TIERS = ("low", "high", "max")


def _as_read(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the vendor overlooks: parts in answers and results (GL-P15), every choice but `auto` (GL-T2)."""
    messages = [
        {**m, "content": ""} if m["role"] in ("assistant", "tool") and not isinstance(m.get("content"), str) else m
        for m in body["messages"]
    ]
    return {**{k: v for k, v in body.items() if k != "tool_choice"}, "messages": messages}


def _schema_in_words(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the JSON Schema that a system message spells out, as a model would read it there."""
    for message in body["messages"]:
        content = message.get("content")
        found = re.search(r"JSON Schema:\s*(\{.*)", content, re.S) if isinstance(content, str) else None
        if found and message["role"] == "system":
            schema, _ = json.JSONDecoder().raw_decode(found[1])
            return schema if isinstance(schema, dict) else None
    return None
