"""MiniMax's server side in miniature: what it refuses, what it ignores, and what it streams, in its shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import EmulatedResponse, Refusal, Script, VendorEmulator, list_of, sse, table_of

__all__ = ["MiniMaxEmulator"]

_IGNORED = ("response_format", "tool_choice", "stop")  # MM-P4
_SENSITIVE = {"input_sensitive": False, "output_sensitive": False}
_SENSITIVE_TYPES = {"input_sensitive_type": 0, "output_sensitive_type": 0, "output_sensitive_int": 0}
_PLACEHOLDER = {"total_tokens": 0, "total_characters": 0}  # MM-S2
_TYPES = {401: "authorized_error", 429: "rate_limit_error"}
_CODES: Mapping[int, tuple[int, str]] = {  # MM-X10 to MM-X20: the status with which a code comes, and its words
    1000: (500, "unknown error"),
    1001: (500, "request timeout"),
    1002: (429, "rate limit"),
    1004: (401, "login fail: Please carry the API secret key in the 'Authorization' field of the request header"),
    1008: (429, "insufficient balance"),
    1013: (500, "internal error"),
    1024: (500, "internal error"),
    1026: (400, "input new_sensitive"),
    1027: (400, "output new_sensitive"),
    1033: (500, "downstream service error"),
    1039: (400, "token limit"),
    1041: (429, "conn limit"),
    1042: (400, "invisible character ratio limit"),
    2013: (400, "invalid params"),
    2045: (429, "rate growth limit"),
    2049: (401, "invalid api key"),
    2056: (429, "usage limit exceeded"),
    2061: (200, "your current token plan not support model"),
}
_BY_STATUS = {400: 2013, 401: 1004, 402: 1008, 403: 2061, 429: 1002}


class MiniMaxEmulator(VendorEmulator):
    """MiniMax's twin.

    `error: CODE` with a code of the vendor's gives its error inside a 200, `error: STATUS` as an HTTP error. Settings:
    `usage_in_streams` (False, as a probe of the M2 models saw: null always), `details` ("pieces", "whole": each with
    all the text so far, "alone": pieces with no plain field beside them, "whole alone"), `whole_calls` (a call in one
    piece, without an index), `repeats_message` (the last chunk has the whole message), `echoes_pseudo_calls` (calls
    are written as text), `window_tokens`, `cached_tokens`, `models`.
    """

    name = "minimax"
    models: Sequence[str] = (
        *("MiniMax-M3", "MiniMax-M2.7", "MiniMax-M2.7-highspeed", "MiniMax-M2.5", "MiniMax-M2.5-highspeed"),
        *("MiniMax-M2.1", "MiniMax-M2.1-highspeed", "MiniMax-M2"),
    )
    roles: Sequence[str] = ("system", "user", "assistant", "tool")  # MM-P10
    ranges: Mapping[str, tuple[float, float]] = {"temperature": (0, 2), "top_p": (0, 1)}
    usage_in_streams = True
    details = "pieces"
    whole_calls = False
    repeats_message = False
    echoes_pseudo_calls = False
    window_tokens = 1_000_000
    cached_tokens = 0

    # --- refusals

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an HTTP error: the vendor's code stands at the end of its message (MM-X1)."""
        code = details.get("code") or _code_of(status)
        kind = _TYPES.get(status, "bad_request_error" if status < 500 else "api_error")
        error = {"type": kind, "message": f"{message} ({code})", "http_code": str(status)}
        return {"type": "error", "error": error, "request_id": self.reply_id()}

    def refuse(self, status: int, message: str, **details: Any) -> Refusal:
        """Return a refusal; wrong parameters have their word in front (MM-X11)."""
        is_params = status == 400 and details.get("code") is None
        return super().refuse(status, f"invalid params, {message}" if is_params else message, **details)

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error by status."""
        code = _code_of(status)
        return self.refuse(status, _CODES[code][1], code=code)

    def check_directed(self, body: Mapping[str, Any]) -> None:
        """Raise what `error:` asks for: by a code of the vendor's inside a 200 (MM-X2)."""
        wanted = self.commands(body).get("error", [""])[0]
        code = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) == 4 else 0
        if code in _CODES:
            raise Refusal(200, self.failed(body, code))
        super().check_directed(body)

    def failed(self, body: Mapping[str, Any], code: int) -> dict[str, Any]:
        """Return an error inside a 200: no choices, and a code beside them."""
        told = {"status_code": code, "status_msg": f"{_CODES[code][1]}, {body.get('model')}"}
        kind = "chat.completion.chunk" if body.get("stream") else "chat.completion"
        return {**self.outer(body, kind), "choices": None, "usage": _PLACEHOLDER, "base_resp": told}

    def check_key(self, request: Any) -> None:
        """Refuse a missing key, and a wrong one (MM-X10)."""
        sent = request.headers.get("authorization", "")
        if self.needs_key and not sent:
            raise self.refuse(401, _CODES[1004][1], code=1004)
        if self.api_key is not None and sent != f"Bearer {self.api_key}":
            raise self.refuse(401, _CODES[2049][1], code=2049)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there: a 400 (MM-X12); capitals count (MM-P1)."""
        return self.refuse(400, f"unknown model '{body.get('model')}'")

    def check_tool_turns(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Refuse a result without its call (MM-T5)."""
        called: set[Any] = set()
        for message in messages:
            called.update(call.get("id") for call in message.get("tool_calls") or ())
            given = message.get("tool_call_id")
            if message["role"] == "tool" and given not in called:
                raise self.refuse(400, f"tool result's tool id({given}) not found")

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what MiniMax refuses."""
        super().check(body)
        if body.get("tools") == []:
            raise self.refuse(400, "Failed to fetch tools: Not yet implemented")  # MM-T6
        for number, message in enumerate(body["messages"]):
            kinds = {part.get("type") for part in list_of(message.get("content")) if isinstance(part, Mapping)}
            seen = {"text", "image_url", "video_url"} if body["model"].startswith("MiniMax-M3") else {"text"}
            if kinds - seen:
                raise self.refuse(400, f"messages[{number}].content has a part of an unknown type")  # MM-M1, MM-M2
        if super().script(body).input_tokens > self.window_tokens:
            raise self.refuse(400, "context window exceeds limit")  # MM-X13

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """M3 reasons unless it is told not to, and M2 always (MM-P7)."""
        is_off = table_of(body.get("thinking")).get("type") == "disabled"
        return not is_off or body["model"].startswith("MiniMax-M2")

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says; what it does not know has no effect (MM-P4)."""
        script = super().script({name: value for name, value in body.items() if name not in _IGNORED})
        script = attrs.evolve(script, cached_tokens=self.cached_tokens)
        if self.echoes_pseudo_calls and script.calls:
            text = "".join(f'<minimax:tool_call>\n<invoke name="{name}">{a}</invoke>' for name, a in script.calls)
            script = attrs.evolve(script, text=f"{script.text}{text}", calls=(), finish="stop")
        if script.refusal:
            script = attrs.evolve(script, text=script.refusal, refusal="")
        if script.reasoning and not body.get("reasoning_split"):  # MM-R1
            text = f"<think>\n{script.reasoning}\n</think>\n\n{script.text}"
            script = attrs.evolve(script, text=text, reasoning="")
        return script

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: no limits, and no wait (MM-H1)."""
        ids = dict.fromkeys(("trace-id", "x-session-id", "x-mm-request-id", "minimax-request-id"), self.reply_id())
        return {"content-type": content_type, **ids}

    def reply_id(self) -> str:
        """Return the id that body and header share."""
        return f"{self.serial:032x}"

    def call_id(self, number: int) -> str:
        """Return the id of a call (MM-T1)."""
        return f"call_function_{self.serial:012d}_{number + 1}"

    def outer(self, body: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """Return what stands around the choices."""
        outer = {"id": self.reply_id(), "created": 1_790_000_000, "model": body.get("model"), "object": kind}
        return {**outer, **_SENSITIVE, **_SENSITIVE_TYPES}

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """Return a chunk, with a usage that says nothing (MM-S2)."""
        return {**self.outer(body, "chat.completion.chunk"), "choices": choices, "usage": _PLACEHOLDER, **more}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the only choice of a chunk; the role is in each (MM-S1)."""
        named = {"role": "assistant", "name": "MiniMax AI", "audio_content": "", **delta}
        return {"index": 0, "delta": named, **({"finish_reason": finish} if finish else {})}

    def reasoning_fields(self, piece: str, so_far: str) -> dict[str, Any]:
        """Return a piece of reasoning in its two places, or as `details` says (MM-R2, MM-S5, MM-S6)."""
        shown = so_far if "whole" in self.details else piece
        detail = {
            "type": "reasoning.text", "id": "reasoning-text-1", "format": "MiniMax-response-v1", "index": 0,
            "text": shown,
        }  # fmt: skip
        plain = {} if "alone" in self.details else {"reasoning_content": piece}
        return {**plain, "reasoning_details": [detail]}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give reasoning, text and calls; the first delta says nothing (MM-S1)."""
        yield {"role": "", "reasoning_content": ""}
        so_far = ""
        for piece in self.cut(script.reasoning):
            so_far += piece
            yield self.reasoning_fields(piece, so_far)
        for piece in self.cut(script.text):
            yield {"content": piece}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        """Give a call in pieces by index, or whole without one (MM-T2)."""
        if self.whole_calls:
            function = {"name": name, "arguments": arguments}
            yield {"tool_calls": [{"id": self.call_id(number), "type": "function", "function": function}]}
            return
        yield from super().call_deltas(number, name, arguments)

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the event stream: the last piece has the finish (MM-S3)."""
        deltas = list(self.deltas(body, script))
        for number, delta in enumerate(deltas, 1):
            is_last = number == len(deltas)
            yield sse(self.chunk(body, [self.choice(delta, script.finish if is_last else None)]))
        if self.repeats_message:  # MM-S7
            whole = {"index": 0, "message": self.message(body, script), "finish_reason": script.finish}
            yield sse({**self.chunk(body, [whole]), "object": "chat.completion"})
        if self.usage_in_streams and table_of(body.get("stream_options")).get("include_usage"):
            yield sse(self.chunk(body, [], usage=self.usage(body, script)))
        yield b"data: [DONE]\n\n"

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply."""
        message = {"content": script.text, "role": "assistant", "name": "MiniMax AI", "audio_content": ""}
        if script.reasoning:
            message |= self.reasoning_fields(script.reasoning, script.reasoning)
        return {**message, **{k: v for k, v in super().message(body, script).items() if k == "tool_calls"}}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply, with a `base_resp` that tells of no error (MM-X3)."""
        choice = {"finish_reason": script.finish, "index": 0, "message": self.message(body, script)}
        outer = {**self.outer(body, "chat.completion"), "choices": [choice], "usage": self.usage(body, script)}
        return {**outer, "base_resp": {"status_code": 0, "status_msg": ""}}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the usage: reasoning is inside the completion (MM-U1)."""
        cached = {"prompt_tokens_details": {"cached_tokens": script.cached_tokens}} if script.cached_tokens else {}
        thought = {"completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens}}
        return {
            "total_tokens": script.input_tokens + script.output_tokens,
            "total_characters": 0,
            "prompt_tokens": script.input_tokens,
            "completion_tokens": script.output_tokens,
            **cached,
            **(thought if script.reasoning_tokens else {}),
        }

    def _respond(self, request: Any) -> EmulatedResponse:
        """Return the answer; an error inside a 200 comes as an event where a stream was asked for (MM-X2)."""
        answer = super()._respond(request)
        is_failed = answer.status == 200 and b'"base_resp": {"status_code": ' in answer.body
        if is_failed and b'"object": "chat.completion.chunk"' in answer.body:
            pieces = [b"data: " + answer.body + b"\n\n"]
            return EmulatedResponse(200, self.headers("text/event-stream"), pieces)
        return answer


def _code_of(status: int) -> int:
    return _BY_STATUS.get(status, 2013 if status < 500 else 1000)
