"""Recorded exchanges of some fifty vendors, decoded, and held against an independent reading of the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import chatport
from chatport.testing import decode_events, recordings, replay

from .independent_reading import Call, Failure, Reading, Tokens, Ways, chunks_of, read

TRACES = Path(__file__).resolve().parents[1].parent / "shared" / "traces"

if not TRACES.is_dir():
    pytest.skip("no recordings: ../shared/traces is not there", allow_module_level=True)


class Recording(NamedTuple):
    """One recorded chat exchange."""

    name: str
    exchange: dict[str, Any]

    @property
    def body(self) -> str:
        """The answer's text, a stream or a whole body."""
        response = self.exchange["response"]
        return str(response["sse_text"] if self.is_stream else response.get("body_text") or "")

    @property
    def is_stream(self) -> bool:
        """Whether the answer is an event stream."""
        return self.exchange["response"].get("sse_text") is not None

    @property
    def arguments(self) -> dict[str, Any]:
        """What `replay` must be told beside the body."""
        request, response = self.exchange["request"] or {}, self.exchange["response"]
        asked = request.get("body")
        asked = asked if isinstance(asked, dict) else {}
        model = asked.get("model")
        return {
            "status": response["status"],
            "headers": response.get("headers"),
            "stream": self.is_stream or asked.get("stream") is True,
            "model": model if isinstance(model, str) and model else None,
        }


@cache
def recordings_of(folder: str) -> tuple[Recording, ...]:
    """Return the chat exchanges in a vendor's folder; listings, probes and other protocols are left out."""
    found = []
    for path in sorted((TRACES / folder).glob("*.json")):
        exchange = json.loads(path.read_text(encoding="utf-8"))
        if exchange["protocol"] == "openai-chat" and is_chat(exchange["request"]):
            found.append(Recording(f"{folder}/{path.name}", exchange))
    return tuple(found)


def is_chat(request: dict[str, Any] | None) -> bool:
    """Tell whether a request posts a chat; sources that keep no request hold nothing but chats."""
    if request is None or request.get("url") is None:
        return True
    path = str(request["url"]).partition("?")[0].partition("#")[0]
    return request.get("method") == "POST" and path.endswith("/chat/completions")


FOLDERS = [
    folder for folder in sorted(path.name for path in TRACES.iterdir() if path.is_dir()) if recordings_of(folder)
]

# What a decoder must make of a recording.

# Any of these classes, or a subclass. From the design's tree of errors and the fact sheets' error tables.
BY_STATUS: dict[int, tuple[type[chatport.ChatportError], ...]] = {
    401: (chatport.AuthenticationError,),
    402: (chatport.QuotaExceededError,),
    403: (chatport.PermissionDeniedError, chatport.QuotaExceededError),  # quota: QW-E7, MS-E16
    404: (chatport.ModelNotFoundError,),
    429: (chatport.RateLimitError, chatport.QuotaExceededError, chatport.OverloadedError),  # MS-E8, GL-E11
}
BAD_REQUEST = (chatport.BadRequestError,)
SERVER = (chatport.ServerError, chatport.OverloadedError)

# A code, type or phrase says more than the status. From OA-X5, VL-C1, LC-C1, OA-X8, DS-E3, OA-X11, QW-E2, OA-X4, GQ.
BY_WORD: tuple[tuple[str, type[chatport.ChatportError]], ...] = (
    ("context_length_exceeded", chatport.ContextLengthError),
    ("exceed_context_size_error", chatport.ContextLengthError),
    ("maximum context length", chatport.ContextLengthError),
    ("content_filter", chatport.ContentFilterError),
    ("insufficient_quota", chatport.QuotaExceededError),
    ("model_not_found", chatport.ModelNotFoundError),
)

# A 400 about the model's name is the caller's fault in either reading (DS-E6, QW-E16, GL-E5).
NAMES_MODEL = ("model", "Model")


def expected_classes(failure: Failure) -> tuple[type[chatport.ChatportError], ...]:
    """Return the classes of which the error must be one."""
    words = " ".join((failure.code, failure.type, *failure.texts))
    for word, precise in BY_WORD:
        if word in words:
            return (precise,)
    if failure.status in BY_STATUS:
        return BY_STATUS[failure.status]
    if failure.status >= 500:
        return SERVER
    if failure.status >= 400:
        return (*BAD_REQUEST, chatport.ModelNotFoundError) if any(w in words for w in NAMES_MODEL) else BAD_REQUEST
    return (chatport.ChatportError,)


WAYS = {"gemini": Ways(thought_tag="thought", rest_is_thought=True)}  # GM-S4, GM-U1
"""What a reading of a vendor's own provider is held against; the plain standard knows none of it."""


def disagreements(provider: str, recording: Recording) -> Iterator[str]:
    """Yield what the decoder makes of a recording and the reading does not."""
    reading = without_tags(read(recording.exchange, WAYS.get(provider)), TAGS.get(provider))
    try:
        reply = replay(provider, body=recording.body, **recording.arguments)
    except chatport.ChatportError as error:
        yield from error_disagreements(provider, recording.name, reading, error)
    except Exception as error:
        yield f"raises {type(error).__name__}: {error}"
    else:
        if reading.failure:
            yield f"no error, though the vendor says {reading.failure.texts}"
        elif reading.truncated:
            yield f"no error, though the stream has no end; text {reply.text!r}"
        else:
            yield from reply_disagreements(reading, reply)


def without_tags(reading: Reading, tags: tuple[str, str] | None) -> Reading:
    """Take thoughts out of the beginning of a text, where a provider's sheet says that they stand there."""
    text, thoughts = reading.choice.text, reading.choice.reasoning
    while tags is not None and text.startswith(tags[0]):
        thought, _, text = text.removeprefix(tags[0]).partition(tags[1])
        thoughts += thought
    return replace(reading, choice=replace(reading.choice, text=text, reasoning=thoughts))


def reply_disagreements(reading: Reading, reply: chatport.Reply) -> Iterator[str]:
    """Compare a whole reply."""
    yield from content_disagreements(reading, reply)
    yield from differs("finish reason", reading.choice.finish, reply.raw_finish_reason or "")
    usage = reply.usage
    yield from differs(
        "usage",
        reading.tokens,
        Tokens(
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        ),
    )
    yield from differs("alternatives", [c.text for c in reading.others], [a.text for a in reply.alternatives])
    whole = [reply.raw_finish_reason != "length"] * len(reply.tool_calls[-1:])  # DS-S11: a cut call must not be run
    yield from differs("the last call is whole", whole, [call.complete for call in reply.tool_calls[-1:]])


def content_disagreements(reading: Reading, reply: chatport.Reply) -> Iterator[str]:
    """Compare what the model said: text, reasoning, refusal and calls."""
    if not (is_json(reading.choice.text) and is_json(reply.text) and same_json(reading.choice.text, reply.text)):
        yield from differs("text", reading.choice.text, reply.text)
    yield from differs("reasoning", reading.choice.reasoning, reply.reasoning or "")
    yield from differs("refusal", reading.choice.refusal, reply.refusal or "")
    ours, theirs = reading.choice.calls, reply.tool_calls
    ids = [call.id or found.id for call, found in zip(ours, theirs, strict=False)]  # any id will do where none came
    yield from differs(
        "tool calls",
        [Call(id, call.name, call.arguments or "{}") for id, call in zip(ids, ours, strict=False)]
        + list(ours[len(ids) :]),
        [Call(call.id, call.name, call.arguments or "{}") for call in theirs],
    )
    if not all(call.id for call in theirs):
        yield f"a tool call has no id: {theirs}"


def error_disagreements(provider: str, name: str, reading: Reading, error: chatport.ChatportError) -> Iterator[str]:
    """Compare an error."""
    if reading.failure:
        yield from failure_disagreements(provider, name, reading.failure, error)
    elif not reading.truncated:
        yield f"raises {type(error).__name__}, though the exchange is whole: {error}"
    elif not isinstance(error, chatport.StreamInterruptedError) or error.partial is None:
        yield f"a stream that was cut raises {type(error).__name__} with the partial {error.partial}: {error}"
    else:
        yield from content_disagreements(reading, error.partial)


def failure_disagreements(provider: str, name: str, failure: Failure, error: chatport.ChatportError) -> Iterator[str]:
    """Compare the error a vendor reports."""
    precise = more_precise(provider, failure)
    classes = (*expected_classes(failure), *precise)
    if not isinstance(error, classes):
        yield f"{type(error).__name__} in place of {' or '.join(c.__name__ for c in classes)}: {error}"
    if failure.status >= 400:
        yield from differs("status", failure.status, error.status)
    if isinstance(error, SERVER) and not error.retryable and not precise:
        yield f"{type(error).__name__} is not retryable"
    shown = f"{error} {error.raw if isinstance(error.raw, str) else json.dumps(error.raw, ensure_ascii=False)}"
    for text in failure.texts:
        if text not in shown and json.dumps(text, ensure_ascii=False)[1:-1] not in shown:
            yield f"the vendor's words {text!r} are lost: {error}, raw {error.raw!r}"
    if error.provider != provider:
        yield f"the error names the provider {error.provider!r}"


def more_precise(provider: str, failure: Failure) -> tuple[type[chatport.ChatportError], ...]:
    """Return classes that this provider's plugin may give beside the general ones."""
    return tuple(
        known.error
        for known in PRECISE
        if known.provider == provider and known.status == failure.status and known.word in " ".join(failure.texts)
    )


class Precise(NamedTuple):
    """A vendor's plugin may classify better than the status does: this class, or one below it, or not retryable.

    `word` stands in the vendor's message; `fact` is the number in the vendor's fact sheet.
    """

    provider: str
    status: int
    word: str
    error: type[chatport.ChatportError]
    fact: str


PRECISE = (
    Precise("llamacpp", 500, "", chatport.BadRequestError, "LC-T7, LC-I1"),
    Precise("transformers", 400, "pinned to", chatport.ModelNotFoundError, "TS-E1"),
    Precise("transformers", 500, "", chatport.ServerError, "TS-E1"),
    Precise("mlx", 404, "", chatport.BadRequestError, "MX-E1"),
)


def differs(what: str, ours: object, theirs: object) -> Iterator[str]:
    """Yield a line if two values differ, with the place where long texts part."""
    if ours == theirs:
        return
    if isinstance(ours, str) and isinstance(theirs, str) and min(len(ours), len(theirs)) > 40:
        at = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        yield f"{what}: from character {at} read {ours[at : at + 60]!r}, decoded {theirs[at : at + 60]!r}"
    else:
        yield f"{what}: read {ours!r}, decoded {theirs!r}"


def is_json(text: str) -> bool:
    """Tell whether a text is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def same_json(one: str, other: str) -> bool:
    """Tell whether two texts are the same object: some vendors send it as JSON, not as text."""
    return one[:1] in ("{", "[") and bool(json.loads(one) == json.loads(other))


def check_folder(provider: str, folder: str) -> None:
    """Fail with one line for each disagreement in a folder."""
    faults = [f"{r.name}: {line}" for r in recordings_of(folder) for line in disagreements(provider, r)]
    if faults:
        pytest.fail(f"{len(faults)} disagreements, as {provider}\n  " + "\n  ".join(faults), pytrace=False)


@pytest.mark.parametrize("folder", FOLDERS)
def test_plain_standard_agrees_with_the_independent_reading(folder: str) -> None:
    check_folder("compatible", folder)


def outcome(recording: Recording, pieces: Sequence[bytes]) -> object:
    """Return what a caller of a stream gets when the body arrives in these pieces: the events, or the error."""
    try:
        return decode_events("compatible", body=pieces, **recording.arguments)
    except chatport.ChatportError as error:
        return type(error), str(error), error.partial


def says_more_after_its_finish(recording: Recording) -> bool:
    """Tell whether text or an error follows the finish reason: no reader can know that a cut in between is one."""
    finished = False
    for chunk in chunks_of(recording.body):
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            said = any(delta.get(name) for name in ("content", "reasoning", "reasoning_content", "tool_calls"))
            if finished and (said or chunk.get("error")):
                return True
            finished = finished or bool(choice.get("finish_reason") and not choice.get("index"))
    return False


def short_streams(most: int) -> list[Recording]:
    """Return that many streams under 20 kB: first those that bring a new vendor or kind, in an order that is fixed."""
    streams = [
        r for folder in FOLDERS for r in recordings_of(folder) if r.is_stream and 0 < len(r.body.encode()) < 20_000
    ]
    streams.sort(key=lambda r: hashlib.sha256(r.name.encode()).digest())
    seen: set[str] = set()
    new: list[Recording] = []
    known: list[Recording] = []
    for recording in streams:
        tags = {recording.name.partition("/")[0], *recording.exchange["kind"]}
        (known if tags <= seen else new).append(recording)
        seen |= tags
    return sorted((new + known)[:most])


def offsets(content: bytes, most: int = 200) -> list[int]:
    """Return the places at which to cut: all of a short stream; else evenly spread ones, and some within characters."""
    within = [at for at, byte in enumerate(content) if byte & 0xC0 == 0x80]
    step = max(1, len(content) // most)
    return sorted({*range(0, len(content) + 1, step), len(content), *within[:: max(1, len(within) // 20)]})


SHORT_STREAMS = short_streams(50)
by_name = pytest.mark.parametrize("recording", SHORT_STREAMS, ids=[r.name.removesuffix(".json") for r in SHORT_STREAMS])


@pytest.fixture
def one_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile the plan once for each stream, not for each of its hundreds of cuts."""
    monkeypatch.setattr(recordings, "route_of", cache(recordings.route_of))


@by_name
@pytest.mark.usefixtures("one_plan")
def test_events_do_not_depend_on_how_the_bytes_arrive(recording: Recording) -> None:
    content = recording.body.encode()
    whole = outcome(recording, [content])
    assert outcome(recording, [content[at : at + 1] for at in range(len(content))]) == whole
    wrong = [at for at in offsets(content) if outcome(recording, [content[:at], content[at:]]) != whole]
    assert not wrong, f"cut in two at {wrong[:20]} the events differ, first: {content[wrong[0] - 40 : wrong[0] + 40]!r}"


# The same stream in other clothes, all of them seen, or allowed by the format.
REWRITINGS: dict[str, Callable[[str], str]] = {
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "no space after the colon": lambda text: text.replace("data: ", "data:"),
    "byte-order mark": lambda text: "\ufeff" + text,
    "comments between the events": lambda text: ": wait\n\n" + text.replace("\n\n", "\n\n: ping\n\n"),
    "named, numbered events": lambda text: re.sub("(?m)^data:", "event: message\nid: 7\nretry: 10\ndata:", text),
    "blank lines in front": lambda text: "\n\n\n" + text,
    "no blank line at the end": lambda text: text.rstrip("\n"),
    "another event behind the end": lambda text: text.rstrip("\n") + "\n\n: bye\n\n",
}


@by_name
@pytest.mark.usefixtures("one_plan")
def test_framing_changes_nothing(recording: Recording) -> None:
    plain = recording.body.replace("\r\n", "\n")
    whole = outcome(recording, [plain.encode()])
    changed = [name for name, rewrite in REWRITINGS.items() if outcome(recording, [rewrite(plain).encode()]) != whole]
    assert not changed


@by_name
@pytest.mark.usefixtures("one_plan")
def test_a_stream_that_ends_too_early_is_whole_or_an_error(recording: Recording) -> None:
    """Never a silent wrong reply: what comes back is all of it, or an error with exactly what had arrived."""
    if says_more_after_its_finish(recording):
        pytest.skip("text or an error follows the finish reason, so that a cut there cannot be told")
    content = recording.body.encode()
    whole = read(recording.exchange)
    faults = [f"cut at {at}: {line}" for at in offsets(content) for line in cut_faults(recording, content[:at], whole)]
    if faults:
        pytest.fail(f"{len(faults)} faults\n  " + "\n  ".join(faults[:20]), pytrace=False)


def cut_faults(recording: Recording, content: bytes, whole: Reading) -> Iterator[str]:
    """Yield what is wrong with the decoding of a stream of which only the beginning came."""
    try:
        reply = replay("compatible", body=content, **recording.arguments)
    except (chatport.StreamInterruptedError, chatport.MalformedReplyError) as error:
        if error.partial is not None:
            yield from beginning_faults(whole, error.partial)
        elif isinstance(error, chatport.StreamInterruptedError):
            yield "the interruption has no partial"
    except chatport.ChatportError as error:
        if whole.failure is None:
            yield f"raises {type(error).__name__}: {error}"
    else:
        if whole.truncated or whole.failure:
            yield "a reply, though even the whole stream is none"
        yield from content_disagreements(whole, reply)
        yield from differs("finish reason", whole.choice.finish, reply.raw_finish_reason or "")


def beginning_faults(whole: Reading, partial: chatport.Reply) -> Iterator[str]:
    """Yield what of a partial reply is not the beginning of the whole one."""
    for what, all_of_it, part in (
        ("text", whole.choice.text, partial.text),
        ("reasoning", whole.choice.reasoning, partial.reasoning or ""),
        ("refusal", whole.choice.refusal, partial.refusal or ""),
    ):
        if not all_of_it.startswith(part):
            yield f"{what} {part!r} is no beginning of {all_of_it!r}"
    if len(partial.tool_calls) > len(whole.choice.calls):
        yield f"more calls than in the whole: {partial.tool_calls}"
    for call, found in zip(whole.choice.calls, partial.tool_calls, strict=False):
        arguments = call.arguments or "{}"
        if found.complete and (found.name, found.arguments) != (call.name, arguments):
            yield f"{found} passes as complete, though it is {call}"
        if found.name not in ("", call.name) or not arguments.startswith(found.arguments):
            yield f"{found} is no beginning of {call}"


# Where the recordings of each provider lie.
PROVIDERS = {
    "openai": "openai",
    "deepseek": "deepseek",
    "qwen": "qwen",
    "vllm": "vllm",
    "llamacpp": "llamacpp",
    "ollama": "ollama",
    "lmstudio": "lmstudio",
    "mistralrs": "mistralrs",
    "transformers": "transformers-serve",
    "mlx": "mlx-lm",
    "glm": "zhipu",
    "moonshot": "moonshot",
    "openrouter": "openrouter",
    "siliconflow": "siliconflow",
    "together": "together",
    "fireworks": "fireworks",
    "groq": "groq",
    "mistral": "mistral",
    "cerebras": "cerebras",
    "gemini": "gemini",
    "minimax": "minimax",
    "azure": "azure",
    "bedrock": "bedrock",
    "xai": "xai",
    "perplexity": "perplexity",
}

# What a vendor writes into its texts, and the sheets say to take out: tags around thoughts at the beginning (BR-S1).
TAGS = {"bedrock": ("<reasoning>", "</reasoning>")}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_providers_agree_with_the_independent_reading(provider: str) -> None:
    require_provider(provider)
    check_folder(provider, PROVIDERS[provider])


def require_provider(name: str) -> None:
    """Skip the test if the provider is not there yet."""
    found = entry_points(group="chatport.providers", name=name)
    if not found:
        pytest.skip(f"no provider {name} is installed")
    try:
        next(iter(found)).load()
    except (ImportError, AttributeError) as error:
        pytest.skip(f"the provider {name} is not written yet: {error}")
