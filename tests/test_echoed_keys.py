"""A vendor echoes the key in every field that it writes: nothing that is told of the call shows it.

What an answer says (its text, reasoning, tool calls, `raw`) is the caller's own and comes as it was sent.
"""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
import re
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import anyio
import pytest
import structlog

import chatport
from chatport.decoding.redaction import hide_key

from .behaviour.raw_server import Connection, RawServer, chunked, head
from .steps import count_steps
from .test_canary import CANARY, ERROR_VIEWS, as_text, configured, every_logger, traces

ECHOES: dict[str, str] = {
    "plain": CANARY,
    "percent": urllib.parse.quote(CANARY, safe=""),
    "percent, twice": urllib.parse.quote(urllib.parse.quote(CANARY, safe=""), safe=""),
    "percent, every character": "".join(f"%{ord(c):02x}" for c in CANARY),
    "HTML": CANARY.replace("/", "&#x2F;").replace("+", "&#43;"),
    "HTML, in HTML": CANARY.replace("/", "&amp;#x2F;").replace("+", "&amp;#43;"),
    "HTML, every character": "".join(f"&#{ord(c)};" for c in CANARY),
    "JSON": CANARY.replace("/", "\\/").replace("+", "\\u002b"),
    "JSON in JSON": CANARY.replace("/", "\\\\/").replace("+", "\\\\u002B"),
    "JSON, every character": "".join(f"\\u{ord(c):04x}" for c in CANARY),
    "Python": CANARY.replace("/", "\\x2f"),
    "cut": CANARY[:20],
}


def shows(text: str, echo: str) -> list[str]:
    return [*traces(text), *(["the echo"] if echo in text or json.dumps(echo)[1:-1] in text else [])]


# --- a vendor that puts it everywhere


def headers(echo: str) -> dict[str, str]:
    limits = ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests")
    return dict.fromkeys(("x-request-id", "set-cookie", "server", "via", *limits), echo)


def told(echo: str) -> dict[str, Any]:
    """The fields of every chunk and reply."""
    return {"id": echo, "model": echo, "object": echo, "created": echo, "system_fingerprint": echo, echo: echo}


def call_of(echo: str) -> dict[str, Any]:
    function = {"name": "weather", "arguments": json.dumps({"city": 1, echo: echo})}
    return {"index": 0, "id": echo, "type": "function", "function": function}


def plain(echo: str) -> bytes:
    message = {"role": echo, "content": echo, "reasoning_content": echo, "tool_calls": [call_of(echo)], echo: echo}
    body = {**told(echo), "choices": [{"index": 0, "message": message, "finish_reason": echo}], "usage": {echo: echo}}
    data = json.dumps(body).encode()
    return head(200, content_type="application/json", content_length=len(data), **headers(echo)) + data


def streamed(echo: str, *, ends: bool = True) -> bytes:
    deltas = [{"role": echo, "content": echo, echo: echo}, {"tool_calls": [call_of(echo)]}]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices += [{"index": 0, "delta": {}, "finish_reason": echo}] if ends else []
    chunks = [json.dumps({**told(echo), "choices": [choice]}).encode() for choice in choices]
    events = [b"data: %b\n\n" % chunk for chunk in [*chunks, *([b"[DONE]"] if ends else [])]]
    return head(200, transfer_encoding="chunked", **headers(echo)) + chunked(*events)


def refusing(echo: str, status: int = 401) -> bytes:
    words = dict.fromkeys(("type", "code", "param", "request_id"), echo)
    error = {"message": f"no: {echo}", **words, echo: [{echo: echo}]}
    data = json.dumps({"error": error, "request_id": echo}).encode()
    return head(status, content_type="application/json", content_length=len(data), **headers(echo)) + data


def reporting(echo: str) -> bytes:
    data = json.dumps({"error": {"message": echo, "code": echo}, "id": echo}).encode()
    return head(200, transfer_encoding="chunked", **headers(echo)) + chunked(b"data: %b\n\n" % data)


GOOD: dict[str, Callable[[str], bytes]] = {"plain": plain, "streamed": streamed}
BAD: dict[str, Callable[[str], bytes]] = {
    "401": refusing,
    "429": lambda echo: refusing(echo, 429),
    "500": lambda echo: refusing(echo, 500),
    "an error in a stream": reporting,
    "a cut stream": lambda echo: streamed(echo, ends=False),
}


# --- all that is told


class Watch:
    """The `observe` hook, and a hook that only looks on and fails over what it sees."""

    provider = "x"

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @chatport.hookimpl
    def observe(self, event: str, fields: Mapping[str, Any], context: Any) -> None:
        self.seen.append((event, dict(fields)))

    @chatport.hookimpl
    def read_rate_limits(self, headers: Mapping[str, str], context: Any) -> Any:
        raise ValueError(f"cannot read {headers}")


class Told:
    """Everything that is told of calls while this is open, as one text."""

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from chatport.otel import Telemetry

        self.watch = Watch()
        self.observed: list[Any] = []
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = Telemetry(tracers, MeterProvider([self.reader]))
        self.events: list[Any] = []

    @property
    def options(self) -> dict[str, Any]:
        return {
            "plugins": [self.watch],
            "observers": [lambda event, fields: self.observed.append((event, dict(fields))), self.telemetry],
        }

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        with every_logger() as sink, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                with structlog.testing.capture_logs() as events:
                    structlog.configure(processors=structlog.get_config()["processors"])
                    yield
            finally:
                structlog.reset_defaults()
        self.sinks = {
            "logging": sink.getvalue(),
            "structlog": repr(events),
            "observers": repr(self.observed),
            "the observe hook": repr(self.watch.seen),
            "spans": "".join(span.to_json() for span in self.exporter.get_finished_spans()),
            "metrics": metrics.to_json() if (metrics := self.reader.get_metrics_data()) else "",
            "warnings": "".join(f"{item.message!r}{vars(item)!r}" for item in caught),
        }


@contextlib.contextmanager
def vendor(data: bytes) -> Iterator[str]:
    def script(connection: Connection) -> None:
        while connection.request():
            connection.send(data)

    with RawServer(script) as server:
        yield server.base_url


def weather(city: str) -> str:
    """Tell the weather."""
    return city


def names_of(reply: chatport.Reply) -> str:
    """What names an answer and is told of it, in place of what it says."""
    names = (reply.id, reply.model, reply.request_id, reply.raw_finish_reason)
    return repr((names, reply.warnings, reply.attempts, reply.usage)) + "".join(map(str, reply.warnings))


def ask(url: str, *, stream: bool, transport: str, **options: Any) -> chatport.Reply:
    with chatport.Client(configured(url, transport=transport), **options) as client:
        if not stream:
            return client.chat("hello", tools=[weather])
        with client.stream("hello", tools=[weather]) as events:
            list(events)
        return events.reply


def ask_async(url: str, backend: str, **options: Any) -> chatport.Reply:
    async def run() -> chatport.Reply:
        async with chatport.AsyncClient(configured(url), **options) as client:
            return await client.chat("hello", tools=[weather])

    return anyio.run(run, backend=backend)


def leaks(error: BaseException, echo: str = CANARY) -> dict[str, list[str]]:
    """Return the views of an error that show the key. The frames of this file, which wrote it, are taken off first."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    error = error.with_traceback(trace)
    return {view: found for view, look in ERROR_VIEWS.items() if (found := shows(as_text(look(error)), echo))}


# --- the tests


@pytest.mark.parametrize("transport", ["sockets", "httpx"])
@pytest.mark.parametrize("shape", GOOD)
@pytest.mark.parametrize("form", ECHOES)
def test_nothing_told_of_an_answer_shows_an_echoed_key(form: str, shape: str, transport: str) -> None:
    echo = ECHOES[form]
    everything = Told()
    with vendor(GOOD[shape](echo)) as url, everything.listening():
        reply = ask(url, stream=shape == "streamed", transport=transport, **everything.options)
    sinks = {**everything.sinks, "the names of the reply": names_of(reply)}
    assert not {sink: found for sink, text in sinks.items() if (found := shows(text, echo))}
    untold = [sink for sink, text in sinks.items() if "***" not in text]
    assert untold == (["logging"] if transport == "sockets" else []), "what names the answer is told everywhere"
    assert reply.text == echo, "what it says is handed over as it came"
    assert reply.tool_calls[0].id == echo


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_nothing_told_of_an_answer_shows_an_echoed_key_asynchronously(backend: str) -> None:
    everything = Told()
    with vendor(plain(CANARY)) as url, everything.listening():
        reply = ask_async(url, backend, **everything.options)
    sinks = {**everything.sinks, "the names of the reply": names_of(reply)}
    assert not {sink: found for sink, text in sinks.items() if (found := traces(text))}


@pytest.mark.parametrize("transport", ["sockets", "httpx"])
@pytest.mark.parametrize("shape", BAD)
@pytest.mark.parametrize("form", ECHOES)
def test_no_view_of_an_error_shows_an_echoed_key(form: str, shape: str, transport: str) -> None:
    """With all that is told of it. Its `partial` is what was received, and is not looked at here."""
    echo = ECHOES[form]
    everything = Told()
    with vendor(BAD[shape](echo)) as url, everything.listening(), pytest.raises(chatport.ChatportError) as raised:
        ask(url, stream="stream" in shape, transport=transport, **everything.options)
    error = raised.value
    if error.partial is not None:
        assert error.partial.text == echo
        assert not shows(names_of(error.partial), echo)
        error.partial, error.messages = None, ()
    assert not leaks(error, echo)
    assert not {sink: found for sink, text in everything.sinks.items() if (found := shows(text, echo))}
    assert "***" in repr(vars(error))


HOOKS = ("decode_chunk", "decode_reply", "classify_error")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_fails_over_an_echo_shows_nothing(hook: str) -> None:
    """Its exception may quote what it was given, and its frame holds it."""

    def decode_chunk(chunk: Any, state: Any, context: Any) -> Any:
        held = chunk.data
        raise KeyError(held["id"])

    def decode_reply(data: Any, context: Any) -> Any:
        held = data
        return held["nothing"]

    def classify_error(failure: Any, context: Any) -> Any:
        held = failure.headers
        raise ValueError(held["x-request-id"]) from RuntimeError(f"{held}")

    patch = type("Patch", (), {"provider": "x"})()
    setattr(patch, hook, chatport.hookimpl(locals()[hook]))
    data = {"decode_chunk": streamed, "decode_reply": plain, "classify_error": refusing}[hook](CANARY)
    with vendor(data) as url, pytest.raises(chatport.PluginError) as raised:
        ask(url, stream=hook == "decode_chunk", transport="sockets", plugins=[patch])
    assert re.search("KeyError|ValueError", str(raised.value)), "it says what happened"
    assert not leaks(raised.value)
    assert not traces(with_every_local(raised.value))


def with_every_local(error: BaseException) -> str:
    from traceback import TracebackException

    causes = [item for item in (error.__cause__, error.__context__) if item is not None]
    return "".join("".join(TracebackException.from_exception(item, capture_locals=True).format()) for item in causes)


def test_lists_of_models_and_vectors_that_cannot_be_read_show_nothing() -> None:
    """They are read after the exchange is over."""
    body = json.dumps({"data": [{"index": 0, "embedding": [CANARY]}], "model": CANARY, "id": CANARY}).encode()
    data = head(200, content_type="application/json", content_length=len(body)) + body

    def parse_models(data: Any, context: Any) -> Any:
        raise ValueError(f"cannot read {data}")

    patch = type("Patch", (), {"provider": "x", "parse_models": chatport.hookimpl(parse_models)})()
    with vendor(data) as url, chatport.Client(configured(url), plugins=[patch]) as client:
        with pytest.raises(chatport.MalformedReplyError) as unread:
            client.embed("a", model="x:m")
        with pytest.raises(chatport.PluginError) as unlisted:
            client.models("x")
    assert not leaks(unread.value)
    assert not leaks(unlisted.value)


def test_an_error_of_an_earlier_target_shows_nothing_in_the_reply() -> None:
    with vendor(refusing(CANARY, 500)) as bad, vendor(plain("fine")) as good:
        table = {"kind": "compatible", "api_key": CANARY}
        providers = {"x": {**table, "base_url": bad}, "y": {**table, "base_url": good}}
        config = {"providers": providers, "aliases": {"main": ["x:m", "y:m"]}, "retry": {"attempts": 1}}
        with chatport.Client(config) as client, client.stream("hello", model="main") as stream:
            events = [event for event in stream if isinstance(event, chatport.AttemptFailed)]
        seen = [*events, *(event.error for event in events), *(attempt.error for attempt in stream.reply.attempts)]
    assert len(events) == 1
    assert not traces(repr(seen) + "".join(map(str, seen)) + as_text(pickle.dumps(stream.reply.attempts)))


# --- hide_key itself


@pytest.mark.parametrize("before", ["", "key: ", '{"a": "', "%", "\\", "&", "%2", "\\u00", "&#x2", "***", "sk-"])
@pytest.mark.parametrize("after", ["", " end", '" end', "</p>", "\\n"])
@pytest.mark.parametrize("form", ECHOES)
def test_every_form_is_hidden_between_anything(form: str, before: str, after: str) -> None:
    hidden = hide_key(f"{before}{ECHOES[form]}{after}", CANARY)
    assert hidden.lstrip("\\").startswith(before.lstrip("\\") + "***")
    assert hidden.endswith("***" + after) or form == "cut", "what follows a cut key may be more of it"


@pytest.mark.parametrize("key", ['a\\b/c%2Fd&e"f', "ab%cdefghijk", "100%sure", "a\\\\bcd"])
def test_a_key_that_looks_like_an_escape_is_hidden(key: str) -> None:
    for form in (key, json.dumps(key)[1:-1], urllib.parse.quote(key, safe="")):
        assert hide_key(f"<{form}>", key) == "<***>", form


@pytest.mark.parametrize(
    "text",
    ["", "a", "50 % off & more \\n", "C:\\users\\new", "%41%42 &amp; &#65; \\u0041 \\", "it begins with sk-Zq7"],
)
def test_a_text_without_the_key_stays_as_it_is(text: str) -> None:
    assert hide_key(text, CANARY) == text


def test_a_key_too_short_to_be_one_is_not_looked_for() -> None:
    assert hide_key("a cat, a \\c\\a\\t", "cat") == "a cat, a \\c\\a\\t"


PUMPS = ["\\", "%", "%25", "&", "&amp;", "&#0", "\\u", "\\u0", "\\\\u0073", "%73", "&#115;", '"']
PUMPS += [CANARY[:9], CANARY[:10], CANARY]


@pytest.mark.parametrize("pump", PUMPS)
def test_hiding_takes_linear_time(pump: str) -> None:
    """In lines and calls; what a single search of the standard library costs is measured with the patterns."""
    once, twice = (count_steps(partial(hide_key, pump * times, CANARY)) for times in (300, 600))
    assert twice <= 2.3 * once + 20
    assert len(hide_key(pump * 100_000, CANARY)) <= len(pump) * 100_000 + 3, "and it ends"


def test_the_loggers_are_asked_for_everything() -> None:
    """A search in a log that nobody wrote would prove nothing."""
    with vendor(plain(CANARY)) as url, every_logger() as sink:
        ask(url, stream=False, transport="httpx")
    assert "x-request-id" in sink.getvalue()
    assert logging.getLogger("httpx").filters


BROKEN_HTTP = {
    "the reason": b"HTTP/1.1 401 " + CANARY.encode() + b"\r\ncontent-length: 2\r\n\r\n{}",
    "a chunk's size": head(200, transfer_encoding="chunked") + CANARY.encode() + b"\r\n",
    "a header's name": b"HTTP/1.1 200 OK\r\n" + CANARY.encode() + b" : x\r\n\r\n",
    "the status": b"HTTP/1.1 " + CANARY.encode() + b" OK\r\n\r\n",
    "the encoding": head(200, content_encoding=CANARY, content_length=2) + b"{}",
    "the length": b"HTTP/1.1 200 OK\r\ncontent-length: " + CANARY.encode() + b"\r\n\r\n{}",
    "a place elsewhere": head(302, location=f"https://h.example/{ECHOES['percent']}", content_length=0),
}


@pytest.mark.parametrize("transport", ["sockets", "httpx"])
@pytest.mark.parametrize("where", BROKEN_HTTP)
def test_an_echo_in_http_itself_is_hidden(where: str, transport: str) -> None:
    """The HTTP libraries quote what they cannot read, in their logs and in their errors."""
    everything = Told()
    with vendor(BROKEN_HTTP[where]) as url, everything.listening(), pytest.raises(chatport.ChatportError) as raised:
        ask(url, stream=False, transport=transport, **everything.options)
    assert not leaks(raised.value)
    assert not {sink: found for sink, text in everything.sinks.items() if (found := traces(text))}
