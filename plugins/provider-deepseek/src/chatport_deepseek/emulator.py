"""DeepSeek's server side in miniature: what it refuses, in its words, and what it streams, in its shapes."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs

from chatport.testing import EmulatedRequest, EmulatedResponse, Misfit, Refusal, Script, VendorEmulator
from chatport_responses.emulator import ResponsesEmulator

__all__ = ["DeepSeekEmulator"]

_ROLES = ("system", "user", "assistant", "tool", "latest_reminder")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_PATHS = re.compile(r"(/v1|/beta)?/(chat/completions|models)|(/v1)?/responses")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MOST_TOKENS = 393_216
_BACK_END = {"content-type": "application/octet-stream"}  # what the model servers refuse comes with this type


class DeepSeekEmulator(ResponsesEmulator, VendorEmulator):
    """DeepSeek's twin. It thinks unless told otherwise, and forgets nothing that the vendor is known to check.

    Settings: `keep_alives` (how many heartbeats come first), `never_begins` (after them the connection closes),
    `usage_form` ("merged" into the last chunk, or "separate"), `finish_reason` (end early, with this word),
    `cached_tokens` (so much of each prompt is in the cache), `blocked_words` (content that is refused), `models`
    (what it lists), `aliases` (further ids that it takes), `vision_models` (those that take images).
    """

    name = "deepseek"
    models: Sequence[str] = ("deepseek-flash", "deepseek-v4-pro")
    model_form = r"deepseek-(chat|reasoner|coder|flash|v\d(\.\d)?(-(flash|pro|chat|exp|terminus|speciale|vision))*)"
    retired: Mapping[str, str] = {"deepseek-chat": "2026-07-24", "deepseek-reasoner": "2026-07-24"}  # DS-0.1
    aliases: Sequence[str] = ("deepseek-v4-flash", "deepseek-v4-flash-vision-exp")  # DS-0.2
    vision_models: Sequence[str] = ("deepseek-flash", "deepseek-v4-flash-vision-exp")  # DS-M1
    types: Mapping[str, Any] = {
        "model": str,
        "messages": list,
        "tools": list,
        "thinking": dict,
        "response_format": dict,
        "stream_options": dict,
        "max_tokens": int,
        "temperature": int | float,
        "top_p": int | float,
        "top_logprobs": int,
    }
    ranges: Mapping[str, tuple[float, float]] = {  # DS-P4, DS-P5, DS-P6, DS-P9
        "max_tokens": (1, _MOST_TOKENS),
        "temperature": (0, 2),
        "top_p": (0, 1),
        "top_logprobs": (0, 20),
    }
    statuses: Mapping[int, Any] = {
        400: "Failed to deserialize the JSON body into the target type: missing field `model` at line 1 column 2",
        402: "Insufficient Balance",  # DS-E2
        403: "Forbidden",
        # DS-E5
        422: "Failed to deserialize the JSON body into the target type: missing field `model` at line 1 column 2",
        429: "Concurrency limit of the account reached.",  # DS-E7: the real words are not recorded
        500: "Server error, please retry later.",  # DS-E8
        503: "The server is overloaded, please retry later.",  # DS-E8
    }
    stores = False  # RS-V6, as the three lines below
    reasoning_as_text = True
    ignores_unknown = True
    least_output = 1
    context_tokens = 1_048_576
    keep_alives = 0
    never_begins = False
    usage_form = "merged"
    finish_reason = ""
    cached_tokens = 0
    blocked_words: Sequence[str] = ()

    # --- refusals

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse unknown paths (DS-N2) and wrong keys (DS-E1)."""
        if not _PATHS.fullmatch(_path(request)):
            raise self.no_such_path(request)
        sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if (self.needs_key and not sent) or (self.api_key is not None and sent != self.api_key):
            raise self.refuse(401, f"Authentication Fails, Your api key: ****{sent[-4:]} is invalid")

    def unreadable(self, request: EmulatedRequest) -> Refusal:
        """Return the answer to a body that is no JSON object (DS-E5)."""
        return self.malformed("expected struct ChatCompletionRequest")

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a value that does not fit the vendor's types (DS-E5)."""
        outer, _, word = found.place.rpartition(".")
        if found.is_missing:
            return self.malformed(f"{outer}: missing field `{word}`", body, word)
        return self.malformed(f"{found.place}: invalid type: {_shown(found.value)}", body, word)

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        """Return the answer to an unknown path, which has a shape of its own (DS-E9)."""
        return self.error_for(404)

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error: the code is the same for nearly all (DS-E)."""
        kind = {401: "authentication_error", 402: "unknown_error"}.get(status, "invalid_request_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": "invalid_request_error"}}

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error with this status."""
        if status == 401:
            return self.refuse(401, "Authentication Fails, Your api key: ****-key is invalid")
        if status == 404:
            return Refusal(404, {"error_msg": "Not Found. Please check the configuration."})
        return super().error_for(status)

    def malformed(self, problem: str, body: Mapping[str, Any] | None = None, word: str = "") -> Refusal:
        """Return the refusal of a body that does not fit the vendor's types; it names a place in the text."""
        column = json.dumps(body or {}, separators=(",", ":")).find(f'"{word}"') + len(word) + 2
        where = "Failed to deserialize the JSON body into the target type"
        return self.refuse(400, f"{where}: {problem} at line 1 column {max(column, 1)}")

    def back_end(self, message: str) -> Refusal:
        """Return a refusal of the servers behind the gate."""
        return Refusal(400, self.error_body(400, message), _BACK_END)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there: a 400 (DS-E6)."""
        names = " or ".join(self.models)
        return self.back_end(f"The supported API model names are {names}, but you passed {body.get('model')}.")

    # --- what is checked

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what DeepSeek refuses: first what does not fit its types, then ranges, then rules between fields."""
        self.check_types(body)
        self.check_directed(body)
        self.check_ranges(body)
        if body["model"] not in self.aliases:
            self.check_model(body)
        self.check_tool_turns(body["messages"])
        self.check_rules(body)

    def check_types(self, body: Mapping[str, Any]) -> None:
        """Refuse what the vendor's deserialiser does not know (DS-E5)."""
        for name in ("model", "messages"):
            if body.get(name) is None:
                raise self.malformed(f"missing field `{name}`")
        self.check_data(body, "types")
        if not body["messages"]:
            raise self.refuse(400, "Empty input messages")
        for number, message in enumerate(body["messages"]):
            self.check_message(number, message, body)
        for number, tool in enumerate(body.get("tools") or ()):
            self.check_tool(number, tool, body)
        effort, thinking = body.get("reasoning_effort"), body.get("thinking")
        if effort is not None:  # DS-P12
            self.check_variant("reasoning_effort", effort, _EFFORTS, body)
        if thinking is not None:  # DS-P11
            self.check_variant("thinking.type", thinking.get("type"), ("enabled", "disabled", "adaptive"), body)
        if (body.get("response_format") or {}).get("type") not in (None, "text", "json_object"):  # DS-J1
            raise self.refuse(400, f"response_format.type '{body['response_format']['type']}' is unavailable now")

    def check_tool(self, number: int, tool: Any, body: Mapping[str, Any]) -> None:
        """Refuse tools that are no functions (DS-T1), or have no name."""
        kind = tool.get("type") if isinstance(tool, dict) else None
        self.check_variant(f"tools[{number}].type", kind, ("function",), body)
        function = tool.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise self.malformed(f"tools[{number}]: missing field `name`")

    def check_message(self, number: int, message: Any, body: Mapping[str, Any]) -> None:
        """Refuse unknown roles (DS-P15), parts the model does not take (DS-M1), and results without an id (DS-T7)."""
        if not isinstance(message, dict):
            raise self.malformed(f"messages[{number}]: invalid type: {_shown(message)}")
        self.check_variant(f"messages[{number}].role", message.get("role"), _ROLES, body)
        if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
            raise self.malformed(f"messages[{number}]: missing field `tool_call_id`")
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list) or not all(map(_is_call, calls)):
            raise self.malformed(f"messages[{number}].tool_calls: missing field `id` or `function`")
        parts = message.get("content")
        known = ("text", "image_url", "file") if body["model"] in self.vision_models else ("text",)
        for part in parts if isinstance(parts, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            self.check_variant(f"messages[{number}]", kind, known, body)
            if part["type"] == "file" and "file_id" not in part:  # DS-M2
                raise self.malformed(f"messages[{number}]: missing field `file_id`")

    def check_variant(self, place: str, value: Any, known: Sequence[str], body: Mapping[str, Any]) -> None:
        """Refuse a word that is none of the known ones."""
        if value not in known:
            one = "one of " if len(known) > 1 else ""
            names = ", ".join(f"`{name}`" for name in known)
            raise self.malformed(f"{place}: unknown variant `{value}`, expected {one}{names}", body, str(value))

    def check_ranges(self, body: Mapping[str, Any]) -> None:
        """Refuse values out of range (DS-P4, DS-P5, DS-P6, DS-P8, DS-P9, DS-T2)."""
        self.check_data(body, "ranges")
        if body.get("top_p") == 0:  # the only range whose end is not in it
            raise self.out_of_range("top_p", 0, 0, 1)
        stop = body.get("stop")
        if isinstance(stop, list) and len(stop) > 16:
            raise self.refuse(400, "Invalid stop value, the number of stop sequences is at most 16")
        tools = body.get("tools") or ()
        if len(tools) > 128:
            raise self.refuse(400, "Invalid tools value, the number of tools is at most 128")
        names = [tool["function"]["name"] for tool in tools]
        if len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
            raise self.refuse(400, "Invalid tools value, a name is not unique or has other characters than allowed")

    def wrong_type(self, name: str, value: Any, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a value of the wrong type (DS-E5)."""
        return self.malformed(f"{name}: invalid type: {_shown(value)}", body, name)

    def out_of_range(self, name: str, value: Any, least: float, most: float) -> Refusal:
        """Return the answer to a number out of its range."""
        shown = "(0, 1.0]" if name == "top_p" else f"[{least}, {most}]"
        return self.refuse(400, f"Invalid {name} value, the valid range of {name} is {shown}")

    def check_tool_turns(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Refuse tool results without calls, and calls without results (DS-T7)."""
        waiting: set[str] = set()
        for message in messages:
            if message["role"] == "tool":
                if message["tool_call_id"] not in waiting:
                    raise self.back_end(
                        "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
                    )
                waiting.discard(message["tool_call_id"])
                continue
            self._check_answered(waiting)
            waiting = {call["id"] for call in message.get("tool_calls") or ()}
        self._check_answered(waiting)

    def _check_answered(self, waiting: set[str]) -> None:
        if waiting:
            raise self.back_end(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                "'tool_call_id'. (insufficient tool messages following tool_calls message)"
            )

    def check_rules(self, body: Mapping[str, Any]) -> None:
        """Refuse what fields forbid one another, and what the model servers find in the text."""
        if body.get("stream_options") and not body.get("stream"):  # DS-P10
            raise self.refuse(400, "stream_options should be set along with stream = true")
        if body.get("top_logprobs") is not None and not body.get("logprobs"):  # DS-P9
            raise self.refuse(400, "top_logprobs should be set along with logprobs = true")
        said = json.dumps([m.get("content") for m in body["messages"] if m["role"] in ("system", "user")]).lower()
        if _wants_json(body) and "json" not in said:  # DS-J2
            raise self.refuse(
                400, "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'."
            )
        if any(word.lower() in said for word in self.blocked_words):  # DS-E3
            raise self.refuse(400, "Content Exists Risk")
        self.check_prefix(body)
        self.check_thinking(body)
        self.check_context(body)

    def check_prefix(self, body: Mapping[str, Any]) -> None:
        """Refuse the beginning of an answer elsewhere than last, and on the plain API (DS-P18)."""
        begun = [message.get("prefix") is True for message in body["messages"]]
        if any(begun) and not _path(self.requests[-1]).startswith("/beta/"):
            words = 'prefix is only available when using beta api (set base_url="https://api.deepseek.com/beta")'
            raise self.refuse(400, words)
        if any(begun[:-1]) or (begun[-1] and body["messages"][-1]["role"] != "assistant"):  # the words are a guess
            raise self.refuse(400, "prefix is only available for the last message, with role assistant")

    def check_thinking(self, body: Mapping[str, Any]) -> None:
        """Refuse forced calls in thinking mode (DS-T3), and tool loops whose reasoning was lost (DS-R4, DS-R5)."""
        choice = body.get("tool_choice")
        if not self.reasons(body):
            return
        if choice == "required" or isinstance(choice, dict):
            raise self.back_end("Thinking mode does not support this tool_choice")
        answers = [message for message in body["messages"] if message["role"] == "assistant"]
        lost = answers and answers[-1].get("reasoning_content") is None
        if lost and body["messages"][-1]["role"] != "user":
            raise self.back_end("The `reasoning_content` in the thinking mode must be passed back to the API.")

    def check_context(self, body: Mapping[str, Any]) -> None:
        """Refuse what is longer than the window (DS-E4)."""
        prompt, answer = _prompt_tokens(body), body.get("max_tokens") or 0
        if prompt + answer > self.context_tokens:
            raise self.back_end(
                f"This model's maximum context length is {self.context_tokens} tokens. However, you requested "
                f"{prompt + answer} tokens ({prompt} in the messages, {answer} in the completion). Please reduce the "
                "length of the messages or completion."
            )

    # --- Responses (RS-V6)

    def check_model_of_items(self, body: Mapping[str, Any]) -> None:
        """Refuse a model that is not there."""
        if body["model"] not in self.aliases:
            self.check_model(body)

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        """Refuse what the model servers do, whichever protocol brought it."""
        self.check_rules(view)

    def check_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Refuse a call behind which the model goes on before there is a result."""
        super().check_items(items)
        due: set[Any] = set()
        for item in items:
            kind = item.get("type")
            if kind == "function_call":
                due.add(item.get("call_id"))
            elif kind == "function_call_output":
                due.discard(item.get("call_id"))
            elif due:
                words = f"No tool output found for tool call {sorted(map(str, due))[0]}."
                raise self.refuse(400, words)

    def response_id(self) -> str:
        return str(UUID(bytes=hashlib.md5(f"{self.serial}".encode()).digest(), version=4))

    def item_id(self, prefix: str, number: int) -> str:
        return str(UUID(bytes=hashlib.md5(f"{self.serial} {prefix} {number}".encode()).digest(), version=4))

    def output(self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the output items: thoughts have a status here, and messages a phase (RS-I8)."""
        for item in super().output(body, view, script):
            phase = {"phase": "commentary" if script.calls else "final_answer"} if item["type"] == "message" else {}
            yield {**item, "status": item.get("status", "completed"), **phase}

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """Thinking is on unless switched off (DS-0.3)."""
        switch = (body.get("thinking") or {}).get("type")
        if switch is None and body["model"] == "deepseek-chat":  # DS-0.5
            return False
        return switch != "disabled" and body.get("reasoning_effort") != "none"

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says: `max_completion_tokens` limits nothing (DS-P3), a refusal is text (DS-S13)."""
        seen = {name: value for name, value in body.items() if name != "max_completion_tokens"}
        schema = _schema_in(body)
        if schema is not None:  # the model does as the system text says
            seen["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        script = super().script(seen)
        text = _stopped(script.refusal or script.text, body.get("stop"))
        if _wants_json(body) and text and not _is_json(text) and script.finish == "stop":
            text = " " * len(text)  # DS-J3
        if body["messages"][-1].get("prefix"):  # DS-P18: what is given is not repeated
            text = text.removeprefix(body["messages"][-1]["content"])
        limit = body.get("max_tokens")
        reasoning = " ".join(script.reasoning.split()[:limit]) if script.finish == "length" else script.reasoning
        script = attrs.evolve(
            script,
            text=text,
            refusal="",
            reasoning=reasoning,
            cached_tokens=min(self.cached_tokens, script.input_tokens),
        )
        return self._ended(script) if self.finish_reason else script

    def _ended(self, script: Script) -> Script:
        """Cut the answer half-way, as a lack of capacity does (DS-S10)."""
        if script.calls:
            *whole, (name, arguments) = script.calls
            calls = (*whole, (name, arguments[: len(arguments) // 2]))
            return attrs.evolve(script, calls=calls, finish=self.finish_reason)
        return attrs.evolve(script, text=script.text[: len(script.text) // 2], finish=self.finish_reason)

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: a trace id, and no request id (DS-L4); no rate limits (DS-L3)."""
        charset = "; charset=utf-8" if content_type == "text/event-stream" else ""  # DS-S1
        trace = hashlib.md5(f"trace {self.serial}".encode()).hexdigest()
        return {"content-type": content_type + charset, "server": "elb", "x-ds-trace-id": trace}

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        """Return the answer; while a plain call waits, blank lines come before its body (DS-S2)."""
        response = super().chat(body)
        if body.get("stream") or not (self.keep_alives or self.never_begins):
            return response
        pieces = [b"\n"] * self.keep_alives + ([] if self.never_begins else list(response.pieces))
        return attrs.evolve(response, pieces=pieces or [b""])

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the event stream: heartbeats as comments (DS-S2), then compact JSON."""
        yield from [b": keep-alive\n\n"] * self.keep_alives
        if self.never_begins:  # DS-E10
            return
        chunks = [self.chunk(body, [self.choice_of(body, delta)]) for delta in self.deltas(body, script)]
        for chunk in (*chunks, *self.finish_chunks(body, script)):
            yield f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
        yield b"data: [DONE]\n\n"

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """Return a chunk. `usage` is null until the end, if it was asked for (DS-S8)."""
        asked = {"usage": None} if (body.get("stream_options") or {}).get("include_usage") else {}
        return {**self.envelope(body, "chat.completion.chunk"), "choices": choices, **asked, **more}

    def envelope(self, body: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """Return what surrounds the choices. The id is made from the request, so that it is the same in all chunks."""
        return {
            "id": str(UUID(bytes=_digest(body), version=4)),
            "object": kind,
            "created": 1_790_000_000,
            "model": body.get("model"),
            "system_fingerprint": "fp_emulated_prod0820_fp8_kvcache",
        }

    def choice_of(self, body: Mapping[str, Any], delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the only choice of a chunk."""
        pieces = {name: delta.get(name) for name in ("content", "reasoning_content")} if not finish else {}
        return {"index": 0, "delta": delta, "logprobs": _logprobs(body, pieces), "finish_reason": finish}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give reasoning, then text, then tool calls one after another (DS-S3 to DS-S6)."""
        thinks = self.reasons(body)
        rest = {"reasoning_content": None} if thinks else {}
        yield (
            {"role": "assistant", "content": None, "reasoning_content": ""}
            if thinks
            else {
                "role": "assistant",
                "content": "",
            }
        )
        for piece in self.cut(script.reasoning):
            yield {"content": None, "reasoning_content": piece}
        for piece in self.cut(script.text):
            yield {"content": piece, **rest}
        for number, (name, arguments) in enumerate(script.calls):
            yield {"tool_calls": [{**_wire_call(body, number, name), "function": {"name": name, "arguments": ""}}]}
            for piece in re.findall(r"\w+|\W", arguments) if arguments != "{}" else ["{}"]:
                yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the end: usage rides on the chunk with the finish reason, or follows it (DS-S8, DS-S9)."""
        delta = {"content": "", "reasoning_content": None} if self.reasons(body) else {"content": ""}
        last = [self.choice_of(body, delta, script.finish)]
        usage = {"usage": self.usage(body, script)}
        if self.usage_form == "separate":
            yield self.chunk(body, last)
            yield self.chunk(body, [], **usage)
        else:
            yield self.chunk(body, last, **usage)

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply."""
        message = self.message(body, script)
        choice = {"index": 0, "message": message, "logprobs": _logprobs(body, message), "finish_reason": script.finish}
        return {
            **self.envelope(body, "chat.completion"),
            "choices": [choice],
            "usage": self.usage(body, script),
        }

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply: content is a text even when there is none (DS-R8)."""
        message: dict[str, Any] = {"role": "assistant", "content": script.text}
        if self.reasons(body):
            message["reasoning_content"] = script.reasoning  # DS-R1
        if script.calls:
            message["tool_calls"] = [
                {**_wire_call(body, number, name), "function": {"name": name, "arguments": arguments}}
                for number, (name, arguments) in enumerate(script.calls)
            ]
        return message

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the token counts; details of the answer are there only if it was thought about (DS-R2, DS-U1)."""
        details = {"completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens}}
        return {
            **super().usage(body, script),
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
            **(details if self.reasons(body) else {}),
            "prompt_cache_hit_tokens": script.cached_tokens,
            "prompt_cache_miss_tokens": script.input_tokens - script.cached_tokens,
        }

    def models_body(self) -> Any:
        """Return the model list (DS-N1)."""
        return {
            "object": "list",
            "data": [{"id": name, "object": "model", "owned_by": "deepseek"} for name in self.models],
        }


def _path(request: EmulatedRequest) -> str:
    """Return the path that a request leads to, "/v1/../beta" being "/beta"."""
    return posixpath.normpath(request.path.split("?")[0])


def _shown(value: Any) -> str:
    """Name a JSON type as the vendor's deserialiser does."""
    names = {str: "string", bool: "boolean", int: "integer", float: "floating point", dict: "map", list: "sequence"}
    return names.get(type(value), "null")


def _digest(body: Mapping[str, Any]) -> bytes:
    return hashlib.md5(json.dumps(body, sort_keys=True).encode()).digest()


def _wire_call(body: Mapping[str, Any], number: int, name: str) -> dict[str, Any]:
    """Return index, id (DS-S7) and type of a call."""
    unique = hashlib.sha256(_digest(body) + name.encode()).hexdigest()[:24]
    return {"index": number, "id": f"call_{number:02d}_{unique}", "type": "function"}


def _is_call(call: Any) -> bool:
    return isinstance(call, dict) and isinstance(call.get("id"), str) and isinstance(call.get("function"), dict)


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    return len(json.dumps(body["messages"], ensure_ascii=False)) // 4


def _wants_json(body: Mapping[str, Any]) -> bool:
    return (body.get("response_format") or {}).get("type") == "json_object"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _schema_in(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the JSON Schema that a system text ends with, None if there is none."""
    texts = [message.get("content") for message in body["messages"] if message["role"] == "system"]
    for text in texts if _wants_json(body) else ():
        start = text.find("{") if isinstance(text, str) else -1
        if start >= 0 and _is_json(text[start:]):
            schema: dict[str, Any] = json.loads(text[start:])
            return schema
    return None


def _stopped(text: str, stop: Any) -> str:
    """Cut a text before its first stop string (DS-P8)."""
    words = [stop] if isinstance(stop, str) else stop or ()
    return text[: min((text.find(word) for word in words if word in text), default=len(text))]


def _logprobs(body: Mapping[str, Any], pieces: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the probabilities, the reasoning's in a list of its own (DS-P9)."""
    if not body.get("logprobs"):
        return None
    lists = {
        name: [_probability(word, body.get("top_logprobs") or 0) for word in re.findall(r"\s+\S*|\S+", text.rstrip())]
        for name, text in pieces.items()
        if name in ("content", "reasoning_content") and text
    }
    return lists or None


def _probability(word: str, alternatives: int) -> dict[str, Any]:
    entry = {"token": word, "logprob": -0.5, "bytes": list(word.encode())}
    return {**entry, "top_logprobs": [entry] * min(alternatives, 1)}
