"""Together AI's server side in miniature: what it refuses, in its words, and what it streams, in its shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import EmulatedRequest, EmulatedResponse, Misfit, Refusal, Script, VendorEmulator, sse

from .batch_emulator import TogetherBatches

__all__ = ["TogetherEmulator"]

_BIG_SEED = 12_658_879_820_317_954_000  # TG-S1, TG-I5
_EFFORTS = ("low", "medium", "high")
_INVALID = "Input validation error"


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "messages": (lambda value: isinstance(value, list) and bool(value), "an array with an entry"),
    "stop": (lambda value: isinstance(value, list), "an array"),  # TG-P2
    "logprobs": (lambda value: type(value) is int and 0 <= value <= 20, "an integer from 0 to 20"),  # TG-P2
    "max_tokens": (lambda value: type(value) is int and value > 0, "a positive integer"),
    "temperature": (_between(0, 2), "a number from 0 to 2"),  # TG-P3
    "top_p": (_between(0, 1), "a number from 0 to 1"),
    "presence_penalty": (_between(-2, 2), "a number from -2 to 2"),
    "frequency_penalty": (_between(-2, 2), "a number from -2 to 2"),
    "n": (_between(1, 128), "an integer from 1 to 128"),
}
_ERRORS: Mapping[int, tuple[str, str, str | None]] = {
    400: (_INVALID, "invalid_request_error", None),  # TG-X10
    401: (
        "Invalid API key provided. You can find your API key at https://api.together.ai/settings/api-keys.",
        "invalid_request_error",
        "invalid_api_key",
    ),  # TG-X12
    402: ("Credit limit exceeded, please visit https://api.together.ai/settings/billing.", "credit_limit", None),
    403: ("You are not allowed to use this resource.", "invalid_request_error", None),  # TG-X15: the other kind
    404: ("Not found", "invalid_request_error", None),  # TG-X16
    413: ("Request entity too large", "invalid_request_error", None),  # TG-X17
    422: (f"{_INVALID}: `top_p` must be a number from 0 to 1", "invalid_request_error", None),  # TG-X19
    429: ("You have reached the rate limit of this model.", "dynamic_request_limited", None),  # TG-X20
    500: ("Internal server error", "server_error", None),  # TG-X22
    503: ("The server is overloaded or not ready yet.", "server_error", None),  # TG-X21
}


class TogetherEmulator(TogetherBatches, VendorEmulator):
    """Together's twin. Model families reason in their three ways (TG-P6); what a model cannot read is ignored (TG-M1).

    Settings: `older` (the shapes of 2025), `usage_unasked` (False: only for those who ask), `stop_word`,
    `repeat_finish` (tell it again behind), `fails_after` (so many chunks, then an error), `spec_logprobs` (the
    specification's shape in place of the recorded one), `cached_tokens`, `context_tokens`, `overflow_status`,
    `refuses_text_format`, `limits` (rate-limit headers), `models`, `listed_only` (not callable).
    """

    name = "together"
    models: Sequence[str] = (
        "openai/gpt-oss-120b",
        "deepseek-ai/DeepSeek-V4-Pro",
        "MiniMaxAI/MiniMax-M2.5",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    )
    listed_only: Sequence[str] = ("meta-llama/Llama-4-Dedicated",)
    context_tokens = 131_072
    overflow_status = 403
    older = False
    usage_unasked = True
    stop_word = "stop"
    repeat_finish = False
    fails_after: int | None = None
    spec_logprobs = False
    cached_tokens = 0
    refuses_text_format = False
    limits: Mapping[str, str] = {
        "x-ratelimit-limit": "600",
        "x-ratelimit-remaining": "599",
        "x-ratelimit-reset": "2",
        "x-tokenlimit-limit": "180000",
        "x-tokenlimit-remaining": "179000",
    }

    # --- refusals

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse a missing or wrong key (TG-X12)."""
        sent = request.headers.get("authorization", "")
        if (self.needs_key and not sent) or (self.api_key is not None and sent != f"Bearer {self.api_key}"):
            raise self.error_for(401)

    def error_body(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
    ) -> Any:
        """Return an error beside the reply's id (TG-X1)."""
        kind = type or ("invalid_request_error" if status < 500 else "server_error")
        return {
            "id": self.reply_id(),
            "error": {"message": message, "type": kind, "param": param, "code": code},
        }

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error with this status."""
        if status in (502, 504, 524):  # TG-X23
            return Refusal(status, f"<html><head><title>Oops</title></head><body>error code: {status}</body></html>")
        message, kind, code = _ERRORS.get(status, (f"An emulated error with status {status}.", "server_error", None))
        return self.refuse(status, message, type=kind, code=code)

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a value that cannot be read (TG-X19)."""
        return self.refuse(422, f"{_INVALID}: `{found.place}` {found.problem}")

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        """Return the answer to an unknown path (TG-E2)."""
        return self.error_for(404)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there (TG-X16), or not for all (TG-X13)."""
        model = body.get("model")
        if model in self.listed_only:
            words = f"Unable to access non-serverless model {model}. Please visit https://api.together.ai/models to "
            return self.refuse(400, words + "create a dedicated endpoint.", code="model_not_available")
        words = f"Unable to access model {model}. Please visit https://api.together.ai/models to view the list of "
        return self.refuse(404, words + "supported models.", code="model_not_available")

    def overflow(self, asked: int, answer: int) -> Refusal:
        """Return one of the three refusals of what is too long (TG-X15, TG-X18, TG-X11)."""
        most = self.context_tokens
        words = {
            403: f"The number of input tokens and max_tokens exceeds the model's context length of {most}.",
            422: f"{_INVALID}: `inputs` tokens + `max_new_tokens` must be <= {most}. Given: {asked} `inputs` tokens "
            f"and {answer} `max_new_tokens`",
            400: f"This model's maximum context length is {most} tokens, and {asked + answer} were requested.",
        }
        return self.refuse(self.overflow_status, words[self.overflow_status])

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what does not fit the schema, then unknown models, then what is too long."""
        for field, (fits, shown) in _RULES.items():
            if body.get(field) is not None and not fits(body[field]):
                raise self.refuse(422, f"{_INVALID}: `{field}` must be {shown}")
        super().check(body)
        effort, wanted = body.get("reasoning_effort"), body.get("response_format") or {}
        if "gpt-oss" in body["model"] and effort not in (None, *_EFFORTS):  # TG-P6
            raise self.refuse(422, f"{_INVALID}: `reasoning_effort` must be one of {', '.join(_EFFORTS)}")
        kinds = ("json_schema", "json_object", "regex", *(() if self.refuses_text_format else ("text",)))  # TG-P9
        if wanted.get("type") not in (None, *kinds):
            raise self.refuse(400, f"{_INVALID}: `response_format.type` must be one of {', '.join(kinds)}")
        asked, answer = len(json.dumps(body["messages"], ensure_ascii=False)) // 4, body.get("max_tokens") or 0
        if asked + answer > self.context_tokens and body.get("context_length_exceeded_behavior") != "truncate":  # TG-P5
            raise self.overflow(asked, answer)

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """Whether the model reasons: always, never, or by its switch, which is on (TG-P6)."""
        model = str(body.get("model"))
        if "gpt-oss" in model or "MiniMax" in model or "R1" in model:
            return True
        template = (body.get("chat_template_kwargs") or {}).get("thinking", True)
        return "Llama" not in model and bool((body.get("reasoning") or {}).get("enabled", template))

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says. Fields outside the schema do nothing (TG-P3); tools displace a format (TG-T5)."""
        seen = {name: value for name, value in body.items() if name not in ("max_completion_tokens", "response_format")}
        wanted = body.get("response_format") or {}
        schema = (wanted.get("json_schema") or wanted).get("schema")  # TG-J1
        if body.get("tools"):
            schema, wanted = None, {}
        schema = schema or _schema_in(body)  # a model does as it is told
        if schema is not None:
            seen["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        elif wanted.get("type") == "json_object":
            seen["response_format"] = wanted
        script = super().script(seen)
        text = script.refusal or script.text
        ends = [text.find(word) for word in body.get("stop") or () if word in text]
        return attrs.evolve(
            script,
            text=text[: min(ends, default=len(text))],
            refusal="",
            finish=self.stop_word if script.finish == "stop" else script.finish,
            cached_tokens=min(self.cached_tokens, script.input_tokens),
        )

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers, with the limits under Together's names (TG-H1) and the request id (TG-H3)."""
        space = "" if content_type == "text/event-stream" else " "
        return {
            "content-type": f"{content_type};{space}charset=utf-8",
            "x-inference-version": "v2",
            "x-request-id": self.reply_id(),
            **self.limits,
        }

    def reply(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> EmulatedResponse:
        """Return a JSON response, or a page of text as it is (TG-X1)."""
        if isinstance(body, str):
            return EmulatedResponse(status, self.headers("text/html"), [body.encode()])
        return super().reply(status, body, headers)

    def reply_id(self) -> str:
        """Return the id, which is the request's too (TG-H3)."""
        return f"emTk{self.serial:03d}-2dTqGa-{self.serial:016x}"

    def call_id(self, number: int) -> str:
        """Return the id of a call."""
        return f"call_{self.serial:016x}{number:08x}"

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply; calls have an index here too (TG-T6)."""
        calls = [
            {
                "id": self.call_id(number),
                "index": number,
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for number, (name, arguments) in enumerate(script.calls)
        ]
        message = {"role": "assistant", "content": script.text, "tool_calls": calls}
        return {**message, "reasoning": script.reasoning} if self.reasons(body) and not self.older else message

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply, with the prompt's empty list and a seed (TG-U1)."""
        reply = super().completion(body, script)
        choice = {
            **reply["choices"][0],
            "logprobs": _logprobs(body, script.text, self.spec_logprobs),
            "seed": _BIG_SEED if self.older else None,
        }
        more = {} if self.older else {"metadata": {"weight_version": "default"}}
        return {**reply, **more, "prompt": [], "choices": [choice]}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the counts; the cache's are flat or nested, and told if there are any (TG-R2)."""
        if self.older:
            return {**super().usage(body, script), "cached_tokens": script.cached_tokens}
        nested = {"prompt_tokens_details": {"cached_tokens": script.cached_tokens}} if script.cached_tokens else {}
        return {**super().usage(body, script), **nested, "reasoning_tokens": script.reasoning_tokens}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give what is new in each delta: reasoning (TG-S2), text, calls (TG-S8)."""
        if not self.older:
            yield {}
        for piece in self.cut("" if self.older else script.reasoning):
            yield {"reasoning": piece}
        for piece in self.cut(script.text):
            yield {"content": piece}
        for number, (name, arguments) in enumerate(script.calls):
            yield {"tool_calls": [_fragment(number, self.call_id(number), name, "")]}
            for start in range(0, len(arguments), 6):
                yield {"tool_calls": [_fragment(number, None, None, arguments[start : start + 6])]}

    def choice_of(self, body: Mapping[str, Any], news: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the only choice of a chunk: the role in each, the text twice (TG-S1)."""
        text = news.get("content", "")
        delta = {"token_id": None, "role": "assistant", "content": text, **news}
        choice: dict[str, Any] = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish, "delta": delta}
        if self.older:
            delta.update(token_id=9906, tool_calls=news.get("tool_calls"))
            choice["seed"] = _BIG_SEED if finish else None
        elif self.reasons(body):
            delta.setdefault("reasoning", None)
        else:  # recorded once, with an answer that came without reasoning
            choice["matched_stop"] = 200_002 if finish else None
        if body.get("logprobs") and text:  # TG-S9
            arrays = _arrays(text)
            plain = {"logprobs": arrays["token_logprobs"][0], "top_logprobs": arrays["top_logprobs"][0]}
            choice.update(plain if self.spec_logprobs else {"logprobs": arrays})
        return choice

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the event stream: usage rides on the last chunk, or follows it (TG-S5)."""
        asked = self.usage_unasked or (body.get("stream_options") or {}).get("include_usage")
        usage = self.usage(body, script) if asked else None
        for number, news in enumerate(self.deltas(body, script)):
            if number == self.fails_after:  # TG-S7
                yield sse({"error": {"message": "Error occurred while streaming", "type": "server_error"}})
                return
            null = {"usage": None} if number or self.older else {}
            yield sse(self.chunk(body, [self.choice_of(body, news)], **null))
        if self.repeat_finish:  # TG-S4
            yield sse(self.chunk(body, [self.choice_of(body, {}, script.finish)], usage=None))
        last = [self.choice_of(body, {}, script.finish)]
        yield sse(self.chunk(body, last, usage=usage if self.older or self.repeat_finish else None))
        if usage is not None and not (self.older or self.repeat_finish):
            yield sse(self.chunk(body, [], usage=usage))
        yield b"data: [DONE]\n\n"

    def models_body(self) -> Any:
        """Return the model list: a bare array (TG-E3, TG-E4)."""
        return [
            {
                "id": name,
                "object": "model",
                "created": 1_790_000_000,
                "type": "chat",
                "display_name": name.partition("/")[2],
                "organization": name.partition("/")[0],
                "context_length": self.context_tokens,
                "pricing": {"hourly": 0, "input": 0.15, "output": 0.6, "base": 0, "finetune": 0},
            }
            for name in (*self.models, *self.listed_only)
        ]


def _fragment(number: int, call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {
        "id": call_id,
        "index": number,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _schema_in(body: Mapping[str, Any]) -> Any:
    """Return the JSON Schema that a system text ends with, None if there is none."""
    for message in body["messages"]:
        start = str(message.get("content")).find("{") if message["role"] == "system" else -1
        if start >= 0:
            try:
                return json.loads(message["content"][start:])
            except ValueError:
                continue
    return None


def _arrays(text: str) -> dict[str, Any]:
    words = re.findall(r"\s+\S*|\S+", text.rstrip())
    return {
        "tokens": words,
        "token_logprobs": [-0.5] * len(words),
        "token_ids": [None] * len(words),
        "top_logprobs": [[{"token": word, "logprob": -0.5}] for word in words],
    }


def _logprobs(body: Mapping[str, Any], text: str, spec: bool) -> dict[str, Any] | None:
    """Return the probabilities of a plain reply: OpenAI's shape as recorded, or the specification's (TG-S9)."""
    if not body.get("logprobs"):
        return None
    if spec:
        return _arrays(text)
    words = re.findall(r"\s+\S*|\S+", text.rstrip())
    entries = [{"token": word, "bytes": list(word.encode()), "logprob": -0.5} for word in words]
    return {"content": [{**entry, "top_logprobs": [entry]} for entry in entries]}
