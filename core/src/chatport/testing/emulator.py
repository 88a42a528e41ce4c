"""A vendor's server side in miniature: the base that each provider's emulator builds on, and its loopback server.

An emulator is a pure function of the request: `respond(request) -> EmulatedResponse`. It refuses what the vendor
refuses, with the vendor's own bodies, and streams in its shapes. It is run in process (as a transport) or on
a loopback port.

What it answers is decided by the last user message, so that one program can be run against all vendors:

    `say: TEXT`           the answer's text (default: a sentence that names the model)
    `think: TEXT`         the reasoning, where the vendor shows any
    `call: NAME {JSON}`   a tool call; several lines make parallel calls
    `refuse: TEXT`        a refusal
    `cite: URL TITLE`     a source of the answer; several lines make several
    `draw: URL`           a picture, at an address or as a data URL
    `error: STATUS`       the vendor's own error with this status

Without such words: if tools are given and no result is there yet, the first tool is called with arguments made from its
schema; with a tool result last, the result is told in words; with a JSON schema, a value that fits it is written.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import attrs

from .examples import example_of
from .reading import chosen_name, functions_of, parts_of, text_of
from .refusals import CHECKS
from .saying import calls_of, cut_to_limit, prompt_tokens, words_of
from .shapes import SHAPES, Misfit, misfit
from .wire import EmulatedRequest, EmulatedResponse, Refusal, Script, list_of, sse, table_of

if TYPE_CHECKING:
    from .answers import AnswerList

__all__ = [
    "EmulatedRequest", "EmulatedResponse", "Misfit", "Refusal", "Script", "VendorEmulator", "chosen_name", "example_of",
    "functions_of", "list_of", "parts_of", "sse", "table_of", "text_of",
]  # fmt: skip


_COMMANDS = ("say", "think", "call", "refuse", "error", "cite", "draw")


class VendorEmulator:
    """Base of all emulators: an OpenAI-shaped server. A vendor's own overrides what its fact sheet says.

    What many vendors refuse is said as data: `shapes`, `types`, `ranges`, `words`, `roles`, `known_fields`,
    `refused_fields`, `most_stops`, `most_tools`, `call_id_form`, `retired`, `statuses`. For the rest override in the
    order of need: `models`, `check` (raise `Refusal`), `reasons`, `message`, `deltas`, `finish_chunks`, `usage`,
    `error_body`, `headers`. Another protocol altogether overrides `respond`.

    Everything behind `read` may rely on `shapes`: a body that is not of them has been refused.

    `requests` lists every request that came, for assertions.

    `answers` are what the model says in place of what the request asks for, None: nothing is given.
    """

    answers: AnswerList | None = None

    name = "compatible"
    chat_path = "/chat/completions"
    models: Sequence[str] = ("emulated-model",)
    model_form: str | None = r"\S+"
    """A pattern for the whole name of a model: what is none does not exist, whatever `models` says. None: anything."""
    api_key: str | None = None
    """The only key that is accepted; None accepts any."""
    needs_key = True
    piece_words = 1
    """How many words one text delta carries."""

    # What is refused, as data: `read` acts on the first two, `check_data` on the rest.
    shapes: Mapping[str, Any] = SHAPES
    """A JSON Schema for each field that is read here; see `chatport.testing.shapes`."""
    drops_nulls = True
    """Whether a field that is null is taken as one that is not there, as nearly everywhere."""
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
    retired: Mapping[str, str] = {}
    """Models that were switched off (patterns as of `fnmatch`), each with the date (ISO 8601).

    One that `models` names as a setting exists.
    """
    today: str | None = None
    """The day on which it answers, for `retired`; None: today, in UTC."""
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
                return answer(request)
            if request.method == "GET" and path.endswith("/models"):
                return self.reply(200, self.models_body())
            raise self.no_such_path(request)
        except Refusal as refusal:
            return self.reply(refusal.status, refusal.body, refusal.headers)

    def routes(self) -> Mapping[str, Callable[[EmulatedRequest], EmulatedResponse]]:
        """Return what answers a POST, by the end of its path. A vendor with further protocols adds to it."""
        return {self.chat_path: lambda request: self.chat(self.read(request))}

    def read(self, request: EmulatedRequest) -> Mapping[str, Any]:
        """Return the body as the rest may take it. Raises `Refusal` if it is no JSON object, or not of the shapes."""
        return self.fitting(request, self.shapes)

    def fitting(self, request: EmulatedRequest, shapes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the body if it is of these shapes. Raises `Refusal`."""
        try:
            body = request.json()
        except ValueError:
            raise self.unreadable(request) from None
        if not isinstance(body, dict):
            raise self.unreadable(request)
        if self.drops_nulls:
            body = {name: value for name, value in body.items() if value is not None}
        found = misfit(body, shapes)
        if found is not None:
            raise self.wrong_shape(found, body)
        return body

    def unreadable(self, request: EmulatedRequest) -> Refusal:
        """Return the vendor's answer to a body that is no JSON object."""
        return self.refuse(400, "We could not parse the JSON body of your request.")

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """Return the vendor's answer to a value that cannot be read, or is missing."""
        return self.refuse(400, f"Invalid type for '{found.place}': it {found.problem}", param=found.place)

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
        self.check_directed(body)
        self.check_model(body)
        self.check_data(body)
        self.check_tool_turns(messages)

    def check_directed(self, body: Mapping[str, Any]) -> None:
        """Raise the error that the last message asks for by `error: STATUS`, if there is one with this number."""
        wanted = self.commands(body).get("error", [""])[0]
        if wanted.isascii() and wanted.isdigit() and len(wanted) < 6:
            refusal = self.error_for(int(wanted))
            if 400 <= refusal.status < 600:
                raise refusal

    def check_model(self, body: Mapping[str, Any]) -> None:
        """Refuse a model that does not exist, or no longer."""
        model = body.get("model")
        since = None if self.models_are_given else self.retired_since(str(model))
        if since is not None and since <= (self.today or datetime.now(UTC).date().isoformat()):
            raise self.retired_model(body, since)
        is_none = self.model_form is not None and not re.fullmatch(self.model_form, str(model))
        if is_none or (self.models and model not in self.models):
            raise self.unknown_model(body)

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

    @property
    def answer_is_given(self) -> bool:
        """Whether what the model says to this request stands in `answers`, word for word."""
        return self.answers is not None and self.answers.given is not None

    @property
    def models_are_given(self) -> bool:
        """Whether `models` was set by who uses it, and is not what the vendor has by itself."""
        return "models" in vars(self)

    def retired_since(self, model: str) -> str | None:
        """Return the day from which on a model is switched off, None if none is known."""
        return next((since for known, since in self.retired.items() if fnmatchcase(model, known)), None)

    def retired_model(self, body: Mapping[str, Any], since: str) -> Refusal:
        """Return the vendor's answer to a model that is switched off: for many it has never existed."""
        return self.unknown_model(body)

    def check_tool_turns(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Refuse tool results without calls, and calls without results."""
        open_calls: set[str] = set()
        for message in messages:
            if message.get("role") == "tool":
                call_id = message.get("tool_call_id")
                if call_id not in open_calls:
                    raise self.refuse(400, "Messages with role 'tool' must follow a message with 'tool_calls'.")
                open_calls.discard(call_id)
                continue
            if open_calls:
                raise self.refuse(400, "An assistant message with 'tool_calls' must be followed by tool messages.")
            open_calls = {call["id"] for call in message.get("tool_calls") or () if call.get("id") is not None}

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
        return {**message, **self.beside(script)}

    def beside(self, script: Script) -> dict[str, Any]:
        """Return what a message, or a last delta, has beside text and calls: sources and pictures."""
        notes = [
            {
                "type": "url_citation",
                "url_citation": {"url": u, "title": t, "start_index": 0, "end_index": len(script.text)},
            }
            for u, t in script.citations
        ]
        images = [{"type": "image_url", "image_url": {"url": url}} for url in script.pictures]
        return {name: value for name, value in (("annotations", notes), ("images", images)) if value}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the deltas of a stream, in order, without the finish."""
        yield {"role": "assistant", "content": ""}
        for piece in self.cut(script.text):
            yield {"content": piece}
        for piece in self.cut(script.refusal):
            yield {"refusal": piece}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)
        if script.citations or script.pictures:
            yield self.beside(script)

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
        """Return the words of the last user message that direct the emulator, by name; see the module's text.

        Where the answer is given (`answers`), they are what would make the model say it.
        """
        given = None if self.answers is None else self.answers.given
        if given is not None:
            return given.words()
        found: dict[str, list[str]] = {}
        messages = body.get("messages")
        users = [
            message
            for message in (messages if isinstance(messages, list) else ())
            if isinstance(message, dict) and message.get("role") == "user"
        ]
        for line in text_of(users[-1].get("content") if users else "").splitlines():
            name, colon, rest = line.partition(":")
            if colon and name.strip() in _COMMANDS:
                found.setdefault(name.strip(), []).append(rest.strip())
        return found

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says to this request."""
        given = None if self.answers is None else self.answers.given
        if given is not None:
            return given.script(prompt_tokens(body), reasons=self.reasons(body))
        commands = self.commands(body)
        sources = tuple((line.partition(" ")[0], line.partition(" ")[2]) for line in commands.get("cite", ()))
        pictures = tuple(commands.get("draw", ()))
        base = Script(input_tokens=prompt_tokens(body), citations=sources, pictures=pictures)
        if self.reasons(body):
            base = attrs.evolve(
                base,
                reasoning=" ".join(commands.get("think", ["The user wants an answer. Let me think it through."])),
            )
        if "refuse" in commands:
            return attrs.evolve(base, refusal=" ".join(commands["refuse"]))
        calls = calls_of(body, commands)
        if calls:
            said = " ".join(commands.get("say", []))
            return cut_to_limit(attrs.evolve(base, calls=calls, text=said, finish="tool_calls"), body)
        return cut_to_limit(attrs.evolve(base, text=words_of(body, commands)), body)
