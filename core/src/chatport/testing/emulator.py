"""A vendor's server side in miniature: the base that each provider's emulator builds on, and its loopback server.

An emulator is a pure function of the request: `respond(request) -> EmulatedResponse`. It refuses what the vendor
refuses, with the vendor's own bodies, and streams in its shapes. It is run in process (as a transport) or on
a loopback port.

What it answers is decided by the last user message, so that one program can be run against all vendors:

    `say: TEXT`           the answer's text (default: a sentence that names the model)
    `think: TEXT`         the reasoning, where the vendor shows any
    `call: NAME {JSON}`   a tool call; several lines make parallel calls
    `refuse: TEXT`        a refusal
    `error: STATUS`       the vendor's own error with this status

Without such words: if tools are given and no result is there yet, the first tool is called with arguments made from its
schema; with a tool result last, the result is told in words; with a JSON schema, a value that fits it is written.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from ..schemas.references import resolved
from .refusals import CHECKS

__all__ = ["EmulatedRequest", "EmulatedResponse", "Refusal", "Script", "VendorEmulator", "example_of", "sse"]


@attrs.frozen
class EmulatedRequest:
    """A request as it reached the emulator; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Return the body's JSON. Raises ValueError if it is none."""
        return json.loads(self.content)


@attrs.frozen
class EmulatedResponse:
    """What the vendor answers: `pieces` are the body, each written and flushed by itself."""

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[bytes]

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)


class Refusal(Exception):
    """Raised while checking a request: the vendor's answer to it is this status with this JSON body."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@attrs.frozen
class Script:
    """What the model shall say: made by `VendorEmulator.script` from the request."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    refusal: str = ""
    finish: str = "stop"
    input_tokens: int = 10
    cached_tokens: int = 0

    @property
    def reasoning_tokens(self) -> int:
        """A plausible count, one for each word."""
        return len(self.reasoning.split())

    @property
    def output_tokens(self) -> int:
        """A plausible count that includes the reasoning."""
        written = " ".join((self.text, self.refusal, *(arguments for _, arguments in self.calls)))
        return max(len(re.findall(r"\w+|[^\w\s]", written)), 1) + self.reasoning_tokens


class VendorEmulator:
    """Base of all emulators: an OpenAI-shaped server. A vendor's own overrides what its fact sheet says.

    What many vendors refuse is said as data: `types`, `ranges`, `words`, `roles`, `known_fields`, `refused_fields`,
    `most_stops`, `most_tools`, `call_id_form`, `statuses`. For the rest override in the order of need: `models`,
    `check` (raise `Refusal`), `reasons`, `message`, `deltas`, `finish_chunks`, `usage`, `error_body`, `headers`.
    Another protocol altogether overrides `respond`.

    `requests` lists every request that came, for assertions.
    """

    name = "compatible"
    chat_path = "/chat/completions"
    models: Sequence[str] = ("emulated-model",)
    api_key: str | None = None
    """The only key that is accepted; None accepts any."""
    needs_key = True
    piece_words = 1
    """How many words one text delta carries."""

    # What is refused, as data that `check_data` acts on.
    types: Mapping[str, Any] = {}
    """The type of each field that has one, as `isinstance` takes it; null is always fine."""
    ranges: Mapping[str, tuple[float, float]] = {}
    """The least and the most of a number."""
    words: Mapping[str, Sequence[Any]] = {}
    """All values that a field may have."""
    roles: Sequence[str] = ()
    """The roles that messages may have, empty: any."""
    known_fields: Sequence[str] = ()
    """All fields that a request may have, empty: any."""
    refused_fields: Mapping[str, str] = {}
    """Fields that are not taken, with the vendor's words for that."""
    most_stops: int | None = None
    most_tools: int | None = None
    call_id_form: str | None = None
    """A pattern for the whole id of a tool call that comes back, None: any."""
    statuses: Mapping[int, Any] = {}
    """The vendor's errors by status, for `error: STATUS`: its words, or a whole body."""

    def __init__(self, **settings: Any) -> None:
        self._lock = threading.RLock()
        self.requests: list[EmulatedRequest] = []
        self.serial = 0
        for name, value in settings.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no setting {name!r}")
            setattr(self, name, value)

    # --- routing

    def respond(self, request: EmulatedRequest) -> EmulatedResponse:
        """Return the vendor's answer."""
        with self._lock:  # the whole answer is made in one go, so that its ids stay those of one reply
            self.requests.append(request)
            self.serial += 1
            return self._respond(request)

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        try:
            self.check_key(request)
            path = request.path.split("?")[0]
            answer = next((answer for end, answer in self.routes().items() if path.endswith(end)), None)
            if request.method == "POST" and answer is not None:
                return answer(self._body(request))
            if request.method == "GET" and path.endswith("/models"):
                return self.reply(200, self.models_body())
            raise self.no_such_path(request)
        except Refusal as refusal:
            return self.reply(refusal.status, refusal.body, refusal.headers)

    def routes(self) -> Mapping[str, Callable[[Mapping[str, Any]], EmulatedResponse]]:
        """Return what answers a POST, by the end of its path. A vendor with further protocols adds to it."""
        return {self.chat_path: self.chat}

    def _body(self, request: EmulatedRequest) -> Mapping[str, Any]:
        try:
            body = request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise self.refuse(400, "We could not parse the JSON body of your request.")
        return body

    def check_key(self, request: EmulatedRequest) -> None:
        """Raise the vendor's 401 for a missing or wrong key."""
        sent = request.headers.get("authorization", "")
        if (self.needs_key and not sent) or (self.api_key is not None and sent != f"Bearer {self.api_key}"):
            raise self.refuse(401, "Incorrect API key provided.", code="invalid_api_key")

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        """Return the vendor's answer to an unknown path."""
        return self.refuse(404, f"Invalid URL ({request.method} {request.path})")

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        """Return the answer to a chat request."""
        self.check(body)
        script = self.script(body)
        if body.get("stream"):
            return EmulatedResponse(200, self.headers("text/event-stream"), list(self.stream(body, script)))
        return self.reply(200, self.completion(body, script))

    # --- what a vendor overrides

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers of every response."""
        return {"content-type": content_type, "x-request-id": f"req-{self.serial:08d}"}

    def error_body(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
    ) -> Any:
        """Return an error in the vendor's shape."""
        kind = type or {401: "authentication_error", 429: "rate_limit_error"}.get(
            status, "invalid_request_error" if status < 500 else "server_error"
        )
        return {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def check(self, body: Mapping[str, Any]) -> None:
        """Raise `Refusal` for what the vendor refuses. Call super: it refuses what everybody does."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise self.refuse(400, "Invalid 'messages': at least one message is needed.", param="messages")
        wanted = self.commands(body).get("error")
        if wanted:
            raise self.error_for(int(wanted[0]))
        if self.models and body.get("model") not in self.models:
            raise self.unknown_model(body)
        self.check_data(body)
        self.check_tool_turns(messages)

    def check_data(self, body: Mapping[str, Any], *checks: str) -> None:
        """Refuse what the class data say: all of it, or some of `fields`, `types`, `ranges`, `caps` and `turns`."""
        for name in checks or CHECKS:
            CHECKS[name](self, body)

    def wrong_type(self, name: str, value: Any, body: Mapping[str, Any]) -> Refusal:
        """Return the vendor's answer to a value of the wrong type."""
        return self.refuse(400, f"Invalid type for '{name}': {type(value).__name__}", param=name)

    def out_of_range(self, name: str, value: Any, least: float, most: float) -> Refusal:
        """Return the vendor's answer to a number out of range."""
        return self.refuse(400, f"Invalid '{name}': {value} is not between {least} and {most}", param=name)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the vendor's answer to a model it does not have."""
        return self.refuse(404, f"The model `{body.get('model')}` does not exist.", code="model_not_found")

    def check_tool_turns(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Refuse tool results without calls, and calls without results."""
        open_calls: set[str] = set()
        for message in messages:
            if message.get("role") == "tool":
                if message.get("tool_call_id") not in open_calls:
                    raise self.refuse(400, "Messages with role 'tool' must follow a message with 'tool_calls'.")
                open_calls.discard(message["tool_call_id"])
                continue
            if open_calls:
                raise self.refuse(400, "An assistant message with 'tool_calls' must be followed by tool messages.")
            open_calls = {call["id"] for call in message.get("tool_calls") or ()}

    def error_for(self, status: int) -> Refusal:
        """Return an error of the vendor by status, for `error: STATUS`; see `statuses`."""
        said = self.statuses.get(status, f"An emulated error with status {status}.")
        return self.refuse(status, said) if isinstance(said, str) else Refusal(status, said)

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """Whether this request makes the model reason visibly."""
        return False

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply."""
        message: dict[str, Any] = {"role": "assistant", "content": script.text or None}
        if script.calls:
            message["tool_calls"] = [
                {
                    "id": self.call_id(n),
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }
                for n, (name, arguments) in enumerate(script.calls)
            ]
        if script.refusal:
            message["refusal"] = script.refusal
        return message

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the deltas of a stream, in order, without the finish."""
        yield {"role": "assistant", "content": ""}
        for piece in self.cut(script.text):
            yield {"content": piece}
        for piece in self.cut(script.refusal):
            yield {"refusal": piece}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        """Give the deltas of one tool call: first id and name, then the arguments in pieces."""
        first = {
            "index": number,
            "id": self.call_id(number),
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        yield {"tool_calls": [first]}
        for start in range(0, len(arguments), 6):
            yield {"tool_calls": [{"index": number, "function": {"arguments": arguments[start : start + 6]}}]}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the usage object."""
        return {
            "prompt_tokens": script.input_tokens,
            "completion_tokens": script.output_tokens,
            "total_tokens": script.input_tokens + script.output_tokens,
        }

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """Return a chunk around its choices."""
        return {
            "id": self.reply_id(),
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": body.get("model"),
            "choices": choices,
            **more,
        }

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the only choice of a chunk."""
        return {"index": 0, "delta": delta, "finish_reason": finish}

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the chunk with the finish reason, and the usage chunk if usage was asked for."""
        yield self.chunk(body, [self.choice({}, script.finish)])
        if (body.get("stream_options") or {}).get("include_usage"):
            yield self.chunk(body, [], usage=self.usage(body, script))

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the event stream, piece by piece, as it is written."""
        for delta in self.deltas(body, script):
            yield sse(self.chunk(body, [self.choice(delta)]))
        for chunk in self.finish_chunks(body, script):
            yield sse(chunk)
        yield b"data: [DONE]\n\n"

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply."""
        choice = {"index": 0, "message": self.message(body, script), "finish_reason": script.finish}
        return {
            "id": self.reply_id(),
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": body.get("model"),
            "choices": [choice],
            "usage": self.usage(body, script),
        }

    def models_body(self) -> Any:
        """Return the model list."""
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": 1_790_000_000, "owned_by": self.name} for name in self.models
            ],
        }

    def reply_id(self) -> str:
        """Return the id of this reply."""
        return f"chatcmpl-{self.serial:08d}"

    def call_id(self, number: int) -> str:
        """Return the id of a tool call of this reply."""
        return f"call_{self.serial:04d}_{number}"

    # --- tools for all

    def refuse(self, status: int, message: str, **details: Any) -> Refusal:
        """Return a refusal in the vendor's shape, to be raised."""
        return Refusal(status, self.error_body(status, message, **details))

    def reply(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> EmulatedResponse:
        """Return a JSON response."""
        return EmulatedResponse(
            status,
            {**self.headers("application/json"), **(headers or {})},
            [json.dumps(body, ensure_ascii=False).encode()],
        )

    def cut(self, text: str) -> Iterator[str]:
        """Cut a text into the pieces of its deltas; joined they are the text."""
        words = re.findall(r"(?:\s+\S*|\S+)(?:\s++\Z)?", text) or ([text] if text else [])
        for start in range(0, len(words), self.piece_words):
            yield "".join(words[start : start + self.piece_words])

    def commands(self, body: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the words of the last user message that direct the emulator, by name; see the module's text."""
        found: dict[str, list[str]] = {}
        messages = body.get("messages")
        users = [
            message
            for message in (messages if isinstance(messages, list) else ())
            if isinstance(message, dict) and message.get("role") == "user"
        ]
        for line in _text_of(users[-1].get("content") if users else "").splitlines():
            name, colon, rest = line.partition(":")
            if colon and name.strip() in ("say", "think", "call", "refuse", "error"):
                found.setdefault(name.strip(), []).append(rest.strip())
        return found

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says to this request."""
        commands = self.commands(body)
        messages = body["messages"]
        prompt = json.dumps(messages, ensure_ascii=False) + json.dumps(body.get("tools") or "")
        base = Script(input_tokens=max(len(prompt) // 4, 1))
        if self.reasons(body):
            base = attrs.evolve(
                base,
                reasoning=" ".join(commands.get("think", ["The user wants an answer. Let me think it through."])),
            )
        if "refuse" in commands:
            return attrs.evolve(base, refusal=" ".join(commands["refuse"]))
        calls = self._calls(body, commands)
        if calls:
            return self._cut_to_limit(
                attrs.evolve(base, calls=calls, text=" ".join(commands.get("say", [])), finish="tool_calls"),
                body,
            )
        return self._cut_to_limit(attrs.evolve(base, text=self._text(body, commands)), body)

    def _calls(self, body: Mapping[str, Any], commands: Mapping[str, list[str]]) -> tuple[tuple[str, str], ...]:
        tools = [tool["function"] for tool in body.get("tools") or () if isinstance(tool, dict) and "function" in tool]
        if not tools or body.get("tool_choice") == "none" or body["messages"][-1].get("role") == "tool":
            return ()
        if "call" in commands:
            return tuple((line.partition(" ")[0], line.partition(" ")[2].strip() or "{}") for line in commands["call"])
        if "say" in commands and body.get("tool_choice") in (None, "auto"):
            return ()
        choice = body.get("tool_choice")
        named = choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else tools[0]["name"]
        schema = next((tool.get("parameters") or {} for tool in tools if tool["name"] == named), {})
        return ((named, json.dumps(example_of(schema, schema), ensure_ascii=False)),)

    def _text(self, body: Mapping[str, Any], commands: Mapping[str, list[str]]) -> str:
        wanted = body.get("response_format") or {}
        if "say" in commands:
            return " ".join(commands["say"])
        if wanted.get("type") == "json_schema":
            schema = wanted["json_schema"]["schema"]
            return json.dumps(example_of(schema, schema), ensure_ascii=False)
        if wanted.get("type") == "json_object":
            return '{"answer": "an emulated value"}'
        last = body["messages"][-1]
        if last.get("role") == "tool":
            return f"The tool says: {_text_of(last.get('content'))}"
        return f"Hello from {body.get('model')}, emulated by Chatport."

    def _cut_to_limit(self, script: Script, body: Mapping[str, Any]) -> Script:
        """Cut the answer at `max_tokens`, counted in words; the reasoning is spent first."""
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        if not isinstance(limit, int) or script.output_tokens <= limit:
            return script
        left = max(limit - script.reasoning_tokens, 0)
        if script.calls:
            name, arguments = script.calls[0]
            return attrs.evolve(
                script, text="", calls=((name, arguments[: left * 3]),) if left else (), finish="length"
            )
        words = re.findall(r"\s+\S*|\S+", script.text.rstrip())
        return attrs.evolve(script, text="".join(words[:left]), finish="length")


def sse(data: Any, event: str | None = None) -> bytes:
    """Return one server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Iterable):
        return "\n".join(part.get("text", "") for part in content if isinstance(part, Mapping))
    return ""


_DEEP = 8


def example_of(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a small value that fits a JSON Schema; `root` resolves `$ref`. Deep down only what must be there is."""
    depth += 1
    if "$ref" in schema:
        found = resolved(schema["$ref"], root)
        return example_of({} if found is None else found[0], root, depth)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return example_of(schema[key][0], root, depth)
    if "const" in schema:
        return schema["const"]
    for given in (schema.get("examples"), [schema["default"]] if schema.get("default") is not None else None):
        if given:
            return given[0]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        required = schema.get("required", () if depth > _DEEP else list(schema.get("properties", {})))
        return {
            name: example_of(schema["properties"][name], root, depth)
            for name in required
            if name in schema.get("properties", {})
        }
    if kind == "array":
        fewest = int(schema.get("minItems", 0 if depth > _DEEP else 1))
        return [example_of(schema.get("items") or {}, root, depth)] * fewest
    return {
        "string": "text",
        "integer": schema.get("minimum", 1),
        "number": schema.get("minimum", 1.5),
        "boolean": True,
        "null": None,
    }.get(str(kind), "text")
