"""OpenAI's twin: refuses, answers and streams as the Chat Completions endpoint does.

Its rules are written from the same numbered facts as the hooks, and share no code or data with them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import (
    BatchesEmulator,
    EmulatedRequest,
    EmulatedResponse,
    Misfit,
    Refusal,
    Script,
    VendorEmulator,
    functions_of,
    list_of,
    parts_of,
    sse,
    table_of,
)
from chatport_responses.emulator import ResponsesEmulator

__all__ = ["OpenAIEmulator"]


@attrs.frozen
class _Rules:
    """What a model takes; `default` is the effort without the field, `sampling`: it may be set at effort none."""

    efforts: str = ""
    default: str = "none"
    sampling: bool = True
    tools_need_none: bool = False
    refuses: tuple[str, ...] = ()


_TO_XHIGH = "none low medium high xhigh"
_NEVER_NONE = _Rules("low medium high xhigh", "medium", sampling=False, tools_need_none=True)
_RULES: Mapping[str, _Rules] = {  # OA-K2: the longest prefix holds
    "gpt-4": _Rules(),
    "gpt-4o-search-preview": _Rules(refuses=("temperature",)),  # OA-R9
    "o1-mini": _Rules("low medium high", "medium", sampling=False),
    "o3": _Rules("low medium high", "medium", sampling=False, refuses=("stop",)),  # OA-R10
    "o3-mini": _Rules("low medium high", "medium", sampling=False),  # recorded: it takes `stop`
    "o4-mini": _Rules("low medium high", "medium", sampling=False, refuses=("stop",)),  # OA-R10
    "gpt-5": _Rules("minimal low medium high", "medium", sampling=False, refuses=("stop",)),
    "gpt-5.1": _Rules("none low medium high"),
    "gpt-5.2": _Rules(_TO_XHIGH, tools_need_none=True),
    "gpt-5.4": _Rules(_TO_XHIGH, tools_need_none=True),
    "gpt-5.5": _Rules(_TO_XHIGH, "medium", tools_need_none=True),
    "gpt-5.6": _Rules(_TO_XHIGH, "medium", tools_need_none=True),
    "gpt-6-sol": _Rules(f"{_TO_XHIGH} max", "medium", tools_need_none=True),
    "gpt-6-luna": _Rules(f"{_TO_XHIGH} max", "medium", tools_need_none=True),
    "gpt-6.1-terra": _Rules(f"{_TO_XHIGH} max", "medium", tools_need_none=True),
    "gpt-6-astra": attrs.evolve(_NEVER_NONE, refuses=("stop",)),
    "gpt-6.1-sol": _NEVER_NONE,
    "gpt-6.2": _NEVER_NONE,
}
_SAMPLING = ("top_p", "logprobs", "presence_penalty", "frequency_penalty", "logit_bias", "top_logprobs")
_WORDS = """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier
    stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
"""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FIELDS = frozenset(_WORDS.split())  # OA-R26: any other key is refused
_PARAMETERS = (  # RS-R1 to RS-R16
    "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
    "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id",
    "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning",
    "safety_identifier", "service_tier", "store", "stream", "stream_options", "temperature", "text",
    "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
)  # fmt: skip
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_ERRORS: Mapping[int, tuple[str, Mapping[str, Any]]] = {
    400: (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens.",
        {"param": "messages", "code": "context_length_exceeded"},
    ),
    402: (_QUOTA, {"type": "insufficient_quota", "code": "insufficient_quota"}),
    403: ("You have insufficient permissions for this operation. Missing scopes: model.request.", {}),
    408: ("The request took too long.", {"type": "server_error"}),
    409: ("The resource is locked. Please try again.", {}),
    422: ("The request could not be processed.", {}),
    429: (
        "Rate limit reached for the model on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 20ms.",
        {"type": "requests", "code": "rate_limit_exceeded"},
    ),
    500: ("The server had an error while processing your request. Sorry about that!", {"type": "server_error"}),
    503: (
        "The server is overloaded. Please try again later.",
        {"type": "service_unavailable_error", "code": "server_is_overloaded"},
    ),
}


class OpenAIEmulator(BatchesEmulator, ResponsesEmulator, VendorEmulator):
    """The chat completions, responses and embeddings of api.openai.com.

    Settings: `verified` False refuses streams of o3 and gpt-5 (OA-X7); `has_quota` False answers every call as an
    empty account does (OA-X11); `stream_error_after` breaks a stream after so many deltas (OA-S9).
    """

    name = "openai"
    endpoints: Sequence[str] = ("/v1/chat/completions", "/v1/responses")  # OA-E2
    models: Sequence[str] = (
        *("gpt-6.2-astra", "gpt-6.2-sol", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-astra", "gpt-6-sol", "gpt-6-luna"),
        *(
            "gpt-5.6-sol",
            "gpt-5.6-terra",
            "gpt-5.6-luna",
            "gpt-5.5",
            "gpt-5.5-pro",
            "gpt-5.4",
            "gpt-5.4-mini",
            "gpt-5.4-nano",
        ),
        *("gpt-5.2", "gpt-5.1", "gpt-5", "gpt-5-mini", "gpt-5-nano", "o3", "o1-mini", "gpt-4.1", "gpt-4.1-mini"),
        *("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini", "gpt-4o-search-preview"),
        *("text-embedding-3-small", "text-embedding-3-large"),
    )
    model_form = r"(ft:)?(gpt|chatgpt|codex|text|computer|davinci|babbage|o\d)\b\S*"  # OA-K2, OA-U4, OA-U5
    retired: Mapping[str, str] = {
        **dict.fromkeys(  # OA-U4
            (
                *("gpt-3.5-turbo*", "gpt-4", "gpt-4-*", "gpt-4o-2024-05-13", "gpt-4.1-nano*", "o1", "o1-2*", "o1-pro*"),
                *("o3-mini*", "o4-mini*"),
            ),
            "2026-10-23",
        ),
        **dict.fromkeys(("gpt-5", "gpt-5-*", "o3", "o3-2*", "o3-pro*"), "2026-12-11"),  # OA-U5
        **dict.fromkeys(("gpt-4o", "gpt-4o-2024*", "gpt-4o-mini", "gpt-4o-mini-2*", "gpt-4.1*"), "2027-01-14"),
        **dict.fromkeys(("gpt-5.1", "gpt-5.1-2*", "gpt-5.4-nano*", "gpt-5.3-codex"), "2027-04-01"),
    }
    roles = ("developer", "system", "user", "assistant", "tool", "function")  # OA-R2
    ranges: Mapping[str, tuple[float, float]] = {  # OA-R8, OA-R11; the temperature has words of its own
        "top_p": (0, 1),
        "presence_penalty": (-2, 2),
        "frequency_penalty": (-2, 2),
        "top_logprobs": (0, 20),
        "n": (1, 128),
    }
    words: Mapping[str, Sequence[Any]] = {"verbosity": ("low", "medium", "high")}  # OA-R16
    most_stops = 4  # OA-R10
    known_parameters = _PARAMETERS
    verified: bool = True
    has_quota: bool = True
    stream_error_after: int | None = None

    # --- requests

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        if request.method != "POST" or not request.path.split("?")[0].endswith("/embeddings"):
            return super()._respond(request)
        try:
            self.check_key(request)
            return self.reply(200, self._embeddings(self.read(request)))
        except Refusal as refusal:
            return self.reply(refusal.status, refusal.body)

    def check_key(self, request: EmulatedRequest) -> None:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not sent:
            raise self.refuse(401, "You didn't provide an API key.")
        if self.api_key is not None and sent != self.api_key:
            raise self.refuse(401, *_wrong_key(sent), code="invalid_api_key")  # OA-X1

    def check(self, body: Mapping[str, Any]) -> None:
        if not self.has_quota:
            raise self.refuse(429, _QUOTA, type="insufficient_quota", code="insufficient_quota")
        if not body.get("model"):
            raise self.refuse(400, "you must provide a model parameter")
        for field in body.keys() - _FIELDS:
            raise self.refuse(400, f"Unrecognized request argument supplied: {field}")  # OA-R26
        super().check(body)
        if str(body["model"]).endswith("-pro"):  # RS-A3
            text = "This model is only supported in v1/responses and not in v1/chat/completions."
            raise self.refuse(404, text, param="model")
        rules = self._rules(body)
        self._check_effort(body, rules)
        self._check_sampling(body, rules)
        self._check_tools(body, rules)
        self._check_messages(body)
        self._check_schemas(body)
        self._check_stream(body)

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        if not self.has_quota:
            raise self.refuse(429, _QUOTA, type="insufficient_quota", code="insufficient_quota")
        rules = self._rules(body)
        self._check_effort(view, rules)
        if rules.efforts and not (rules.sampling and not self.reasons(view)):
            for field in ("temperature", "top_p"):
                if body.get(field, 1) != 1:  # RS-R6
                    raise self._unsupported(field)
        self._check_schemas(view)

    def _rules(self, body: Mapping[str, Any]) -> _Rules:
        prefixes = [prefix for prefix in _RULES if str(body.get("model")).startswith(prefix)]
        return _RULES[max(prefixes, key=len)] if prefixes else _Rules()

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """It does, and never shows it: only the count of the tokens tells (OA-K1)."""
        return bool(body.get("reasoning_effort", self._rules(body).default) != "none")

    def _check_effort(self, body: Mapping[str, Any], rules: _Rules) -> None:
        effort = body.get("reasoning_effort")
        if effort is None:
            return
        if not rules.efforts:  # OA-R15
            raise self.refuse(400, "Unrecognized request argument supplied: reasoning_effort")
        if effort not in rules.efforts.split():  # OA-K3
            known = ", ".join(f"'{word}'" for word in rules.efforts.split())
            raise self._unsupported_value("reasoning_effort", f"'{effort}'", f"Supported values are: {known}.")

    def _check_sampling(self, body: Mapping[str, Any], rules: _Rules) -> None:
        if body.get("temperature", 1) > 2:
            text = f"Expected a value <= 2, but got {body['temperature']} instead."
            text = f"Invalid 'temperature': decimal above maximum value. {text}"
            raise self.refuse(400, text, param="temperature", code="decimal_above_max_value")
        reasoning_model = bool(rules.efforts)
        if reasoning_model and "max_tokens" in body:  # OA-R5
            raise self._unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
        for field in rules.refuses:
            if field in body:
                raise self._unsupported(field)
        if not reasoning_model or (rules.sampling and not self.reasons(body)):
            return
        if body.get("temperature", 1) != 1:  # OA-R7
            text = "Only the default (1) value is supported."
            raise self._unsupported_value("temperature", str(body["temperature"]), text)
        for field in _SAMPLING:
            if field in body:  # OA-R8
                raise self._unsupported(field)
        if body.get("max_completion_tokens") == 1:  # OA-R6
            text = "Could not finish the message because max_tokens or model output limit was reached. "
            raise self.refuse(400, text + "Please try again with higher max_tokens.")

    def _check_tools(self, body: Mapping[str, Any], rules: _Rules) -> None:
        tools = body.get("tools")
        if not tools:
            for field in ("tools", "tool_choice", "parallel_tool_calls"):
                if field in body:  # OA-R13, OA-R14
                    text = f"Invalid value for '{field}': '{field}' is only allowed when 'tools' are specified."
                    raise self.refuse(400, text, param=field)
            return
        if len(tools) > 128:  # OA-T3
            text = f"Expected an array with maximum length 128, but got an array with length {len(tools)} instead."
            text = f"Invalid 'tools': array too long. {text}"
            raise self.refuse(400, text, param="tools", code="array_above_max_length")
        for number, function in enumerate(functions_of(body)):
            if not _NAME.fullmatch(function["name"]):  # OA-T2
                raise self._bad_name(f"tools[{number}].function.name")
        if rules.tools_need_none and self.reasons(body):  # OA-T14
            text = (
                f"Function tools with reasoning_effort are not supported for {body['model']} in /v1/chat/completions."
            )
            text += " To use function tools, use /v1/responses or set reasoning_effort to 'none'."
            raise self.refuse(400, text, param="reasoning_effort")

    def _check_messages(self, body: Mapping[str, Any]) -> None:
        if "web_search_options" in body and "search-preview" not in body["model"]:  # OA-R25
            raise self.refuse(400, "Web search options not supported with this model.", param="web_search_options")
        for number, message in enumerate(body["messages"]):
            where, role = f"messages[{number}]", message.get("role")
            if body["model"] == "o1-mini" and role in ("system", "developer"):  # OA-R3
                raise self._unsupported_value(f"{where}.role", f"'{role}'")
            kinds = {part["type"] for part in parts_of(message)}
            hears = {"input_audio"} if "audio" in body["model"] else set()  # OA-M2
            taken = {"text"} if role == "tool" else {"text", "image_url", "file", "refusal", *hears}  # OA-T6
            if not kinds <= taken:
                text = f"Invalid '{where}'. Content blocks are expected to be either text or image_url type."
                raise self.refuse(400, text, param=where, code="invalid_value")
            self._check_ids(where, message)

    def _check_ids(self, where: str, message: Mapping[str, Any]) -> None:
        """Refuse ids of calls that are too long (OA-T17)."""
        ids = {f"{where}.tool_calls[{n}].id": call["id"] for n, call in enumerate(message.get("tool_calls") or ())}
        if message.get("role") == "tool":
            ids[f"{where}.tool_call_id"] = message["tool_call_id"]
        for place, call_id in ids.items():
            if len(call_id) > 40:
                text = f"Expected a string with maximum length 40, but got a string with length {len(call_id)} instead."
                text = f"Invalid '{place}': string too long. {text}"
                raise self.refuse(400, text, param=place, code="string_above_max_length")

    def check_tool_turns(self, messages: Sequence[Mapping[str, Any]]) -> None:
        due: list[str] = []
        for number, message in enumerate(messages):
            if message.get("role") == "tool" and message.get("tool_call_id") in due:
                due.remove(message["tool_call_id"])
                continue
            if due or message.get("role") == "tool":  # OA-T7
                text = "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                if due:
                    text = (
                        "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                    )
                    text += f"'tool_call_id'. The following tool_call_ids did not have response messages: {due[0]}"
                raise self.refuse(400, text, param=f"messages.[{number}].role")
            due = [str(call.get("id")) for call in message.get("tool_calls") or ()]

    def _check_schemas(self, body: Mapping[str, Any]) -> None:
        for number, tool in enumerate(body.get("tools") or ()):
            function = tool.get("function") or {}
            parameters = function.get("parameters") or {"type": "object"}
            problem = _problem(parameters) if function.get("strict") else None
            problem = problem or _problem_of_root(parameters)
            if problem:  # OA-T12
                text = f"Invalid schema for function '{function['name']}': {problem}"
                param = f"tools[{number}].parameters"
                raise self.refuse(400, text, param=param, code="invalid_function_parameters")
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_object" and "json" not in str(body["messages"]).lower():  # OA-O2
            text = (
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            )
            raise self.refuse(400, text, param="messages")
        if wanted.get("type") == "json_schema":
            self._check_output_schema(wanted.get("json_schema"))

    def _check_output_schema(self, spec: Mapping[str, Any] | None) -> None:
        for name in ("json_schema", "json_schema.name"):
            if (spec if name == "json_schema" or spec is None else spec.get("name")) is None:
                text = f"Missing required parameter: 'response_format.{name}'."
                raise self.refuse(400, text, param=f"response_format.{name}", code="missing_required_parameter")
        schema, spec = (spec or {}).get("schema") or {"type": "object"}, spec or {}
        if not _NAME.fullmatch(spec["name"]):  # OA-T2
            raise self._bad_name("response_format.json_schema.name")
        if schema.get("type") != "object":  # OA-O5
            problem: str | None = f"schema must be a JSON Schema of 'type: \"object\"', got {schema.get('type')!r}."
        else:
            problem = _problem(schema) if spec.get("strict") else None
        if problem:  # OA-O6
            text = f"Invalid schema for response_format '{spec['name']}': {problem}"
            raise self.refuse(400, text, param="response_format")

    def _check_stream(self, body: Mapping[str, Any]) -> None:
        if "stream_options" in body and not body.get("stream"):  # OA-R18
            text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise self.refuse(400, text, param="stream_options")
        if body.get("stream") and not self.verified and body["model"].startswith(("o3", "gpt-5")):  # OA-X7
            text = "Your organization must be verified to stream this model."
            raise self.refuse(400, text, param="stream", code="unsupported_value")

    # --- errors

    def error_body(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
    ) -> Any:
        kind = type or ("invalid_request_error" if status < 500 else "server_error")
        return {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        if found.is_missing:
            text = f"Missing required parameter: '{found.place}'."
            return self.refuse(400, text, param=found.place, code="missing_required_parameter")
        return self.refuse(400, f"Invalid type for '{found.place}': it {found.problem}.", param=found.place)

    def error_for(self, status: int) -> Refusal:
        if status == 401:
            return self.refuse(401, *_wrong_key("sk-emulated"), code="invalid_api_key")
        if status == 404:
            return self.unknown_model({"model": "gpt-emulated"})
        if status in _ERRORS:
            text, details = _ERRORS[status]
            refusal = self.refuse(429 if status == 402 else status, text, **details)  # there is no 402 here: OA-X11
            if status == 429:  # OA-H2
                refusal.headers |= {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20s"}
            return refusal
        return Refusal(status, f"<html><body><h1>{status} Bad Gateway</h1></body></html>")  # OA-X16

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        text = f"The model `{body.get('model')}` does not exist or you do not have access to it."  # OA-X4
        return self.refuse(404, text, code="model_not_found")

    def _unsupported(self, field: str, more: str = "") -> Refusal:
        text = f"Unsupported parameter: '{field}' is not supported with this model.{more}"
        return self.refuse(400, text, param=field, code="unsupported_parameter")

    def _unsupported_value(self, field: str, value: str, more: str = "") -> Refusal:
        text = f"Unsupported value: '{field}' does not support {value} with this model. {more}".strip()
        return self.refuse(400, text, param=field, code="unsupported_value")

    def _bad_name(self, place: str) -> Refusal:
        text = f"Invalid '{place}': string does not match pattern. Expected a string that matches the pattern"
        return self.refuse(400, f"{text} '^[a-zA-Z0-9_-]+$'.", param=place, code="invalid_value")

    def reply(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> EmulatedResponse:
        if isinstance(body, str):
            return EmulatedResponse(status, {**self.headers("text/html"), **(headers or {})}, [body.encode()])
        return super().reply(status, body, headers)

    # --- answers

    def headers(self, content_type: str) -> dict[str, str]:
        return {
            "content-type": content_type + ("; charset=utf-8" if "stream" in content_type else ""),
            "x-request-id": f"req_{self._digits('request', 32)}",  # OA-H1
            "openai-version": "2020-10-01",
            "openai-processing-ms": "42",
            "x-ratelimit-limit-requests": "15000",  # OA-H2
            "x-ratelimit-limit-tokens": "40000000",
            "x-ratelimit-remaining-requests": "14999",
            "x-ratelimit-remaining-tokens": "39999970",
            "x-ratelimit-reset-requests": "4ms",
            "x-ratelimit-reset-tokens": "6m0s",
        }

    def script(self, body: Mapping[str, Any]) -> Script:
        script = super().script(body)
        named = isinstance(body.get("tool_choice"), dict)
        if named and script.finish == "tool_calls" and body["model"].startswith("gpt-4"):
            return attrs.evolve(script, finish="stop")  # OA-S6
        return script

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """OA-U1, OA-U2: the details are parts of the counts above them."""
        details = {"audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        return {
            **super().usage(body, script),
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens, **details},
        }

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        message = {"refusal": None, "annotations": [], **super().message(body, script)}
        if self.reasons(body) and script.finish == "length" and not script.text and not script.calls:
            message["content"] = ""  # the budget went into thoughts
        return message

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        whole = super().completion(body, script)
        choices = [{**whole["choices"][0], "index": index} for index in range(body.get("n") or 1)]
        return {**whole, "choices": choices, "service_tier": "default", "system_fingerprint": None}

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        options = body.get("stream_options") or {}
        if options.get("include_usage"):
            more = {"usage": None, **more}  # OA-S2
        if options.get("include_obfuscation", True):
            more = {**more, "obfuscation": self._digits(str(choices), 9)}  # OA-S4
        return super().chunk(body, choices, service_tier="default", system_fingerprint=None, **more)

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """OA-S3, OA-S5, OA-S8: the role chunk differs with what follows it."""
        first = {"content": None if script.calls and not script.text else "", "refusal": None}
        if script.refusal:
            first = {"content": None, "refusal": ""}
        pieces = [delta for delta in super().deltas(body, script) if "role" not in delta]
        if len(script.calls) == 1 and not script.text:
            first = {**first, **pieces.pop(0)}
        yield {"role": "assistant", **first}
        yield from pieces

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        choices = range(body.get("n") or 1)
        for number, delta in enumerate(self.deltas(body, script)):
            if number == self.stream_error_after:  # OA-S9: and no end mark after it
                text = "The server had an error processing your request."
                yield sse(self.error_body(500, text))
                return
            for index in choices:  # OA-S7
                yield sse(self.chunk(body, [{**self.choice(delta), "index": index}]))
        for index in choices:
            yield sse(self.chunk(body, [{**self.choice({}, script.finish), "index": index}]))
        if (body.get("stream_options") or {}).get("include_usage"):
            yield sse(self.chunk(body, [], usage=self.usage(body, script)))
        yield b"data: [DONE]\n\n"

    def models_body(self) -> Any:
        body = super().models_body()
        return {**body, "data": [{**entry, "shutdown_date": None} for entry in body["data"]]}  # OA-E3

    def _embeddings(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """OA-E4."""
        texts = [body["input"]] if isinstance(body.get("input"), str) else list_of(body.get("input")) or [""]
        if body.get("model") not in self.models:
            raise self.unknown_model(body)
        if not all(isinstance(text, str | list) and text for text in texts):
            raise self.refuse(400, "'$.input' is invalid. Please check the API reference.", param="input")
        if len(texts) > 2048:
            raise self.refuse(400, "Invalid 'input': at most 2048 texts are taken in one call.", param="input")
        size = body.get("dimensions", 8)
        if type(size) is not int or not 1 <= size <= 3072:
            raise self.refuse(400, f"Invalid 'dimensions': {size!r} is not from 1 to 3072.", param="dimensions")
        vectors = [[round((len(text) + place) / 100, 2) for place in range(size)] for text in texts]
        tokens = sum(max(len(text) // 4, 1) for text in texts)
        return {
            "object": "list",
            "data": [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)],
            "model": body["model"],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def reply_id(self) -> str:
        return f"chatcmpl-{self._digits('reply', 29)}"

    def call_id(self, number: int) -> str:
        return f"call_{self._digits(f'call {number}', 24)}"

    def _digits(self, what: str, length: int) -> str:
        return hashlib.sha256(f"{self.serial} {what}".encode()).hexdigest()[:length]


def _problem_of_root(schema: Mapping[str, Any]) -> str | None:
    """Return what keeps a schema from being a tool's arguments (OA-T18)."""
    if schema.get("type") != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    if schema.keys() & {"oneOf", "anyOf", "allOf", "enum", "not"}:
        return "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
    return None


def _wrong_key(key: str) -> tuple[str]:
    shown = f"{key[:8]}*****{key[-4:]}"
    where = "https://platform.openai.com/account/api-keys"
    return (f"Incorrect API key provided: {shown}. You can find your API key at {where}.",)


_BARRED = ("allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "oneOf", "prefixItems")
_BARRED_TOO = ("minLength", "maxLength", "patternProperties", "uniqueItems", "minProperties", "contains")


def _problem(schema: Any, path: tuple[str, ...] = ()) -> str | None:
    """Return what strict mode would refuse in a schema, None if nothing (OA-T9 to OA-T11, OA-O5)."""
    where = f"In context={path!r}, "
    if not isinstance(schema, dict):
        return f"{where}schema must be an object."
    for word in (*_BARRED, *_BARRED_TOO):
        if word in schema:
            return f"{where}'{word}' is not permitted."
    if "$ref" in schema:
        return None if len(schema) == 1 else f"{where}$ref cannot have keywords {sorted(schema.keys() - {'$ref'})}."
    if "type" not in schema and "anyOf" not in schema:
        return f"{where}schema must have a 'type' key."
    properties, required = table_of(schema.get("properties")), list_of(schema.get("required"))
    if "properties" in schema or schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return f"{where}'additionalProperties' is required to be supplied and to be false."
        missing = sorted(name for name in properties if name not in required)
        if missing:
            return f"{where}'required' must include every key in properties. Missing '{missing[0]}'."
    if schema.get("type") == "array" and "items" not in schema:
        return f"{where}array schema missing items."
    parts: list[tuple[tuple[str, ...], Any]] = [(("properties", name), part) for name, part in properties.items()]
    parts += [(("$defs", name), part) for name, part in table_of(schema.get("$defs")).items()]
    parts += [(("anyOf", str(n)), part) for n, part in enumerate(list_of(schema.get("anyOf")))]
    parts += [(("items",), schema["items"])] if "items" in schema else []
    return next((problem for step, part in parts if (problem := _problem(part, (*path, *step)))), None)
