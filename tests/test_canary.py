"""A canary key goes through everything the project has, and is looked for wherever a key could come to light.

Four tables: what holds a key and the ways to look at it, what fails and the ways to look at that, and what a program
prints, logs and sends. A new sink is one line in one of them.

Looked for: the key as it is, any ten characters of it, as a JSON string (also with every character escaped), percent
encoded, as HTML, base64 at each of its three offsets, hex, and backwards. What a vendor may make of a key that it
echoes, and where, is in `test_echoed_keys`.

Left out, since the key is there on purpose: `Secret.reveal`, `HttpRequest.all_headers`, the emulator's list of what it
received, `os.environ`, the frames of the program's own code that wrote the key into a variable, and the HTTP library's
object of a request that is under way, which nothing of ours hands out.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import gc
import html
import inspect
import io
import json
import logging
import os
import pickle
import pprint
import reprlib
import subprocess
import sys
import threading
import traceback
import types
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import attrs
import msgspec
import pytest
import structlog
from click.testing import CliRunner

import chatport
from chatport.basics.secret import Secret
from chatport.cli import group
from chatport.client.aio import _Driver as AsyncDriver
from chatport.client.sync import _Driver as Driver
from chatport.engine.commands import Send
from chatport.inputs.options import read_call
from chatport.setup.config import load_config
from chatport.testing import Emulator

from .behaviour.raw_server import Connection, RawServer, free_port, head

CANARY = "sk-" + "Zq7/Wv+3" + "xK9.pT2-" + "mB5_rL8"
"""Put together here, so that no line of source in a traceback holds it. `/`, `+` and `.` have escapes somewhere."""

VARIABLE = "CHATPORT_CANARY_KEY"


# --- what is looked for


def forms_of_the_key() -> dict[str, str]:
    """Return the texts that give the key away, by the name of their encoding."""
    raw = CANARY.encode()
    forms = {f"characters {at} to {at + 10}": CANARY[at : at + 10] for at in range(len(CANARY) - 9)}
    for offset in range(3):
        whole = base64.b64encode(b"-" * offset + raw).decode().rstrip("=")
        forms[f"base64 at offset {offset}"] = whole[(0, 2, 3)[offset] : -1]
    return forms | {
        "JSON": json.dumps(CANARY).replace("/", "\\/").strip('"')[3:],
        "JSON escapes": "".join(f"\\u{ord(c):04x}" for c in CANARY[3:]),
        "percent": urllib.parse.quote(CANARY, safe="")[3:],
        "HTML": html.escape(CANARY).replace("/", "&#x2F;")[3:],
        "hex": raw[3:].hex(),
        "backwards": CANARY[::-1][:-3],
    }


FORMS = forms_of_the_key()


def traces(text: str) -> list[str]:
    """Return the names of the encodings in which the key is in a text."""
    return [name for name, form in FORMS.items() if form in text]


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else value.decode("latin-1") if isinstance(value, bytes) else repr(value)


# --- a client with the key, that has used it


class World:
    """One client of each kind that has the key, and everything that a call makes on its way."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        tables: dict[str, Any] = {"retry": {"attempts": 1}, "model": "compatible:emulated-model"}
        config = load_config(emulator.config(transport="httpx", **tables))
        self.secret = Secret(CANARY)
        self.config = config
        self.client = chatport.Client(config)
        self.aclient = chatport.AsyncClient(config)
        self.reply = self.client.chat("say: hello")
        self.fast = chatport.Client(emulator.config(**tables))
        self.fast.chat("say: hello")  # so that its pool holds a connection
        self.stream = self.client.stream("say: hello")
        self.events = list(self.stream)
        self.server = RawServer(half_an_answer)
        self.server.__enter__()
        self.half = chatport.Client(configured(self.server.base_url)).stream("say: one two three")
        next(iter(self.half))
        self.idle = self.aclient.stream("say: hello")
        self.vendors = self.client._vendors
        self.routes = self.client._routes
        self.opened = self.vendors.provider("compatible")
        call, _ = read_call("say: hello")
        self.route = self.routes.route(call, "compatible:emulated-model", timeouts={}, options={})
        self.machine = self.client._machine("say: hello", False, False, {})
        self.transport = self.client._transport()
        self.driver = Driver(self.machine, self.transport)
        self.adriver = AsyncDriver(self.machine, self.aclient._transport())
        self.failure = failure_of("401, echoed", self)

    def close(self) -> None:
        self.half.__exit__(None, None, None)
        self.server.__exit__(None, None, None)
        self.client.close()
        self.fast.close()


def half_an_answer(connection: Connection) -> None:
    connection.request()
    connection.send(head() + DELTA)
    connection.until_left()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, Emulator("compatible", api_key=CANARY) as emulator:
        for name in [name for name in os.environ if name.startswith(("LLM_", "CHATPORT_")) or name == "BASE_URL"]:
            patch.delenv(name)
        patch.setenv(VARIABLE, CANARY)
        world = World(emulator)
        yield world
        world.close()


OBJECTS: dict[str, Callable[[World], Any]] = {
    "Secret": lambda w: w.secret,
    "Config": lambda w: w.config,
    "ProviderConfig": lambda w: w.config.providers["compatible"],
    "Client": lambda w: w.client,
    "AsyncClient": lambda w: w.aclient,
    "Vendors": lambda w: w.vendors,
    "Routes": lambda w: w.routes,
    "Vendor": lambda w: w.opened,
    "Provider": lambda w: w.opened.provider,
    "Plan": lambda w: w.opened.plan,
    "Context": lambda w: w.route.context,
    "Route": lambda w: w.route,
    "HttpRequest": lambda w: w.route.request,
    "WireRequest": lambda w: w.route.wire,
    "Send": lambda w: Send(w.route.request, None, None),
    "Candidate": lambda w: w.machine.targets[0],
    "CallMachine": lambda w: w.machine,
    "the sync driver": lambda w: w.driver,
    "the async driver": lambda w: w.adriver,
    "ReplyStream": lambda w: w.stream,
    "ReplyStream, half read": lambda w: w.half,
    "AsyncReplyStream": lambda w: w.idle,
    "HttpxTransport": lambda w: w.transport,
    "its httpx client": lambda w: w.transport._client,  # type: ignore[attr-defined]  # the concrete one
    "SocketsTransport": lambda w: w.fast._transport(),
    "its pool": lambda w: w.fast._transport()._pool,  # type: ignore[attr-defined]  # the concrete one
    "a stream of it, half read": lambda w: w.half._driver._exchange,
    "events": lambda w: w.events,
    "Reply": lambda w: w.reply,
    "Reply.attempts": lambda w: w.reply.attempts,
    "Explanation": lambda w: w.client.explain("say: hello"),
    "a ChatportError": lambda w: w.failure,
    "containers": lambda w: [{"key": w.secret}, (w.secret, {w.secret})],
}


def attributes(value: Any) -> str:
    """Return the reprs of all attributes, and of theirs in turn, as a debugger would unfold them."""
    inner = [item for _, item in inspect.getmembers_static(value)]
    inner += [getattr(value, name, None) for name in dir(value) if not name.startswith("__")]
    return "\n".join(repr(item) + repr(getattr(item, "__dict__", "")) for item in inner)


def reachable_texts(value: Any) -> str:
    """Return every text and bytes object that can be reached without going through a Secret: no second copy exists."""
    seen: set[int] = set()
    queue, found = [value], []
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, Secret | type | types.ModuleType | logging.Logger):
            continue
        if isinstance(item, types.FrameType | types.TracebackType):
            continue  # looked at with the errors
        if str(type(item).__module__).partition(".")[0] in ("httpx", "httpcore", "h11"):
            continue  # they keep a request as long as its connection is open; their own views are looked at
        seen.add(id(item))
        if isinstance(item, str | bytes | bytearray):
            found.append(as_text(bytes(item) if isinstance(item, bytearray) else item))
        elif isinstance(item, types.FunctionType):  # its globals are the module's
            queue += [item.__closure__, item.__defaults__, item.__kwdefaults__]
        else:
            queue += gc.get_referents(item)
    return "\n".join(found)


VIEWS: dict[str, Callable[[Any], Any]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": lambda value: f"{value}" + format(value, ""),
    "format with width": lambda value: f"{value!s:>80}{value!r:<80}",
    "percent": lambda value: "%s %r %a" % (value, value, value),  # noqa: UP031  # on purpose
    "reprlib": reprlib.repr,
    "pprint": pprint.pformat,
    "vars": lambda value: repr(getattr(value, "__dict__", None)),
    "slots": lambda value: repr([getattr(value, name, None) for cls in type(value).__mro__ for name in slots_of(cls)]),
    "dir": attributes,
    "asdict": lambda value: pprint.pformat(attrs.asdict(value)) if attrs.has(type(value)) else "",
    "astuple": lambda value: pprint.pformat(attrs.astuple(value)) if attrs.has(type(value)) else "",
    "copy": lambda value: repr(copy.copy(value)) + attributes(copy.copy(value)),
    "deepcopy": lambda value: repr(copy.deepcopy(value)) + attributes(copy.deepcopy(value)),
    "pickle": lambda value: pickle.dumps(value),
    "pickle, oldest protocol": lambda value: pickle.dumps(value, 0),
    "reduce": lambda value: repr(value.__reduce_ex__(4)),
    "json": lambda value: json.dumps(value, default=repr),
    "json of vars": lambda value: json.dumps(value, default=lambda item: vars(item)),
    "msgspec": lambda value: msgspec.json.encode(value, enc_hook=str),
    "builtins": lambda value: repr(msgspec.to_builtins(value, enc_hook=repr)),
    "logging": lambda value: logged(value),
    "structlog": lambda value: structlog.processors.JSONRenderer()(None, "info", {"event": value, "more": [value]}),
    "all that it reaches": reachable_texts,
}


def slots_of(cls: type) -> tuple[str, ...]:
    slots = cls.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(f"_{cls.__name__}{name}" if name.startswith("__") else name for name in names)


def logged(value: Any) -> str:
    sink = io.StringIO()
    handler = logging.StreamHandler(sink)
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s %r", (value, value), None)
    handler.handle(record)
    return sink.getvalue() + repr(vars(record))


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # `dir` touches what libraries have put aside
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of copies that stopped half-way
def test_no_view_of_a_value_shows_the_key(name: str, world: World) -> None:
    """Each thing that holds a key or has seen one, looked at in each way."""
    value = OBJECTS[name](world)
    found = {view: traces(shown(look, value)) for view, look in VIEWS.items()}
    assert not {view: names for view, names in found.items() if names}


def shown(look: Callable[[Any], Any], value: Any) -> str:
    """Return what a view shows. It may refuse; then its refusal is looked at."""
    try:
        return as_text(look(value))
    except Exception as refusal:
        return with_locals(refusal) + "".join(traceback.format_exception(refusal))


# --- what fails


ECHO = json.dumps({"error": {"message": f"Incorrect API key provided: {CANARY}.", "code": f"bad {CANARY}"}}).encode()
ESCAPED = ECHO.replace(b"/", b"\\/").replace(b"+", b"\\u002b")
SSE = b"data: " + ECHO + b"\n\n"
DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"par"}}]}\n\n'


def answer(status: int, body: bytes, content_type: str = "application/json", **headers: Any) -> bytes:
    return head(status, content_type=content_type, content_length=len(body), **headers) + body


def quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


ANSWERS = {
    "401, echoed": answer(401, ECHO),
    "401, echoed in escapes": answer(401, ESCAPED),
    "401, echoed as text": answer(401, b"Wrong key " + CANARY.encode(), "text/plain"),
    "401, echoed as HTML": answer(401, b"<p>" + CANARY.encode() + b"</p>", "text/html"),
    "401, echoed in a long text": answer(401, b"x" * 590 + CANARY.encode(), "text/plain"),
    "401, echoed in headers": answer(401, b"{}", x_request_id=CANARY, x_key=CANARY, set_cookie=f"k={CANARY}"),
    "429, echoed": answer(429, ECHO, retry_after="1"),
    "500, echoed": answer(500, ECHO),
    "200 with an error": answer(200, ECHO),
    "200 with text": answer(200, CANARY.encode(), "text/plain"),
    "a stream with an error": answer(200, DELTA + SSE, "text/event-stream"),
    "a stream with an error at once": answer(200, SSE, "text/event-stream"),
    "a stream of broken JSON": answer(200, DELTA + b"data: " + CANARY.encode() + b"\n\n", "text/event-stream"),
    "a stream that is cut": answer(200, DELTA + b"data: " + CANARY.encode(), "text/event-stream"),
    "a redirect": answer(307, b"", location=f"https://elsewhere.example/?key={CANARY}"),
    "a redirect cut in the key": answer(307, b"", location="https://h.example/?" + "x" * 170 + CANARY),
    "broken JSON cut in the key": answer(200, b"data: " + b"x" * 190 + CANARY.encode() + b"\n\n", "text/event-stream"),
    "broken JSON with escapes": answer(200, b"data: {" + ESCAPED + b"\n\n", "text/event-stream"),
    "no HTTP": b"SSH-2.0-" + CANARY.encode() + b"\r\n\r\n",
    "an answer cut short": head(200, content_type="application/json", content_length=10_000)
    + b'{"error": "'
    + CANARY.encode(),
}


def configured(base_url: str, **tables: Any) -> chatport.Config:
    """Return the configuration of a provider `x` that has the key."""
    provider = {"kind": "compatible", "base_url": base_url, "api_key": CANARY}
    return load_config({"providers": {"x": provider}, "model": "x:m", "retry": {"attempts": 1}, **tables})


def caught(run: Callable[[], Any]) -> Exception:
    try:
        run()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def asking(base_url: str, *, plugins: Any = (), stream: bool = False, **tables: Any) -> Exception:
    """Return the error of a call with the key."""
    with chatport.Client(configured(base_url, **tables), plugins=plugins) as client:
        return caught(lambda: list(client.stream("hello")) if stream else client.chat("hello"))


def answered(data: bytes, **options: Any) -> Exception:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(data)

    with RawServer(script) as server:
        return asking(server.base_url, **options)


def refused() -> Exception:
    with free_port() as port:
        return asking(f"http://127.0.0.1:{port}/v1")


def silent(**timeouts: float) -> Exception:
    with RawServer(lambda connection: connection.until_left()) as server:
        return asking(server.base_url, timeouts=timeouts)


def cancelled(backend: str) -> Exception:
    """Return the TimeoutError of a program that gives up a call, with the HTTP library's frames beneath it."""

    async def run(base_url: str) -> None:
        async with chatport.AsyncClient(configured(base_url)) as client:
            await (await client._transport()._open()).aclose()  # type: ignore[attr-defined]  # built outside the timer
            client._transport()._client = None  # type: ignore[attr-defined]
            with anyio.fail_after(0.05):
                await client.chat("hello")

    with RawServer(lambda connection: connection.until_left()) as server:
        url = server.base_url
        return caught(lambda: anyio.run(run, url, backend=backend))


def broken_hook(name: str, data: bytes) -> Exception:
    """Return the error of a patch whose hook fails, with the values it was given in its frame."""
    return answered(data, plugins=[patch_that_fails(name)])


def patch_that_fails(name: str) -> Any:
    def shape_request(call: Any, tools: Any, context: Any) -> Any:
        raise RuntimeError(f"broken at {call!r} {context!r}")

    def decode_chunk(chunk: Any, state: Any, context: Any) -> Any:
        raise RuntimeError(f"broken at {chunk!r} {context!r}")

    def decode_chunk_in_pieces(chunk: Any, state: Any, context: Any) -> Any:
        yield chatport.TextDelta("a")
        raise RuntimeError(f"broken at {chunk!r} {context!r}")

    def classify_error(failure: Any, context: Any) -> Any:
        raise RuntimeError(f"broken at {failure.data!r} {failure.body!r} {context!r}")

    class Patch:
        provider = "x"

    patch = Patch()
    hooks: dict[str, Callable[..., Any]] = {
        "shape_request": shape_request,
        "decode_chunk": decode_chunk,
        "decode_chunk in pieces": decode_chunk_in_pieces,
        "classify_error": classify_error,
    }
    setattr(patch, name.partition(" ")[0], chatport.hookimpl(hooks[name], specname=name.partition(" ")[0]))
    return patch


def misconfigured(tables: Callable[[], dict[str, Any]]) -> Exception:
    """Return the error of a configuration that holds the key as a text, and something wrong."""
    return caught(lambda: load_config(tables()))


def table(**more: Any) -> dict[str, Any]:
    return {"x": {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": CANARY, **more}}


HOT: Any = "hot"

FAILURES: dict[str, Callable[[World], Exception]] = {
    **{name: lambda w, data=data: answered(data) for name, data in ANSWERS.items()},  # type: ignore[misc]
    **{f"{name} (stream)": lambda w, data=data: answered(data, stream=True) for name, data in ANSWERS.items()},  # type: ignore[misc]
    "nobody listens": lambda w: refused(),
    "silence": lambda w: silent(silence=0.05),
    "the whole call takes too long": lambda w: silent(total=0.05),
    "given up on asyncio": lambda w: cancelled("asyncio"),
    "given up on trio": lambda w: cancelled("trio"),
    "a hook that shapes": lambda w: broken_hook("shape_request", answer(200, b"{}")),
    "a hook that decodes": lambda w: broken_hook("decode_chunk", answer(200, SSE, "text/event-stream")),
    "a hook that decodes, a generator": lambda w: broken_hook(
        "decode_chunk in pieces", answer(200, SSE, "text/event-stream")
    ),
    "a hook that classifies": lambda w: broken_hook("classify_error", answer(401, ECHO)),
    "an unknown table": lambda w: misconfigured(lambda: {"providers": table(), "nonsense": {}}),
    "an unknown timer": lambda w: misconfigured(lambda: {"providers": table(timeouts={"x": 1})}),
    "a wrong URL": lambda w: misconfigured(lambda: {"providers": table(base_url="nowhere")}),
    "a URL with the key": lambda w: misconfigured(
        lambda: {"providers": table(base_url=f"https://{quoted(CANARY)}@h.example")}
    ),
    "a wrong header": lambda w: misconfigured(lambda: {"providers": table(headers={"x-key": 1})}),
    "a key that is a list": lambda w: misconfigured(lambda: {"providers": table(api_key=[CANARY])}),
    "a key as a command line": lambda w: misconfigured(
        lambda: {"providers": table(api_key={"command": f"echo {CANARY}"})}
    ),
    "a key as a variable's name": lambda w: misconfigured(
        lambda: {"providers": table(api_key={"env": CANARY, "x": 1})}
    ),
    "a key over plain http": lambda w: asking("http://h.example/v1"),
    "a wrong model": lambda w: caught(lambda: w.client.chat("hello", model="nobody:m")),
    "a wrong option": lambda w: caught(lambda: w.client.chat("hello", temperature=HOT)),
    "extra that is no JSON": lambda w: caught(lambda: w.client.chat("hello", extra={"x": object()})),
    "a wrong table of a client": lambda w: caught(lambda: chatport.Client({"providers": table(), "nonsense": {}})),
    "transport of the wrong kind": lambda w: caught(
        lambda: chatport.Client(w.config, transport=object()).chat("hello")
    ),
}


def failure_of(name: str, world: World) -> Exception:
    return FAILURES[name](world)


def chain(error: BaseException) -> list[BaseException]:
    """Return an error with all its causes, contexts and members, shown or suppressed."""
    found: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        item = queue.pop()
        if item is not None and all(item is not known for known in found):
            found.append(item)
            queue += [item.__cause__, item.__context__, *getattr(item, "exceptions", ())]
            queue += [attempt.error for attempt in getattr(item, "attempts", ())]
    return found


def with_locals(error: BaseException) -> str:
    """Return the tracebacks of a chain with the locals of every frame, ours and the libraries'.

    Left out are the frames of this file: their author wrote the key there.
    """
    text = []
    for item in chain(error):
        for frame, line in traceback.walk_tb(item.__traceback__):
            if frame.f_code.co_filename != __file__:
                text += [f"{frame.f_code.co_qualname}:{line}", *map(careful_repr, frame.f_locals.items())]
    return "\n".join(text)


def careful_repr(value: Any) -> str:
    """Return the repr, also of values that were left half made."""
    try:
        return repr(value)
    except Exception as error:
        return f"{error!r}"


def hooked(error: BaseException) -> str:
    sink = io.StringIO()
    with contextlib.redirect_stderr(sink):
        sys.__excepthook__(type(error), error, error.__traceback__)
        threading.__excepthook__(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))
    return sink.getvalue()


def logged_exception(error: BaseException) -> str:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed: %s", (error,), (type(error), error, None))
    event = structlog.processors.dict_tracebacks(None, "error", {"event": error, "exc_info": error})
    return logging.Formatter().format(record) + json.dumps(event, default=repr)


ERROR_VIEWS: dict[str, Callable[[BaseException], Any]] = {
    "str": lambda error: "\n".join(map(str, chain(error))),
    "repr": lambda error: "\n".join(map(repr, chain(error))),
    "args": lambda error: repr([item.args for item in chain(error)]),
    "fields": lambda error: pprint.pformat([vars(item) for item in chain(error)]),
    "fields of fields": lambda error: "\n".join(attributes(item) for item in chain(error)),
    "notes": lambda error: repr([getattr(item, "__notes__", ()) for item in chain(error)]),
    "traceback": lambda error: "".join(traceback.format_exception(error)),
    "traceback with locals": with_locals,
    "pickle": lambda error: b"".join(
        pickle.dumps(item) for item in chain(error) if isinstance(item, chatport.ChatportError)
    ),
    "json": lambda error: json.dumps([vars(item) for item in chain(error)], default=repr),
    "log": logged_exception,
    "excepthook": hooked,
    "attempts": lambda error: repr(getattr(error, "attempts", ())),
    "partial": lambda error: repr(getattr(error, "partial", None)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_no_view_of_an_error_shows_the_key(name: str, world: World) -> None:
    """Each kind of failure, looked at in each way."""
    error = FAILURES[name](world)
    found = {view: traces(as_text(look(error))) for view, look in ERROR_VIEWS.items()}
    assert not {view: names for view, names in found.items() if names}, repr(error)


# --- what a program prints, logs and sends


def used(config: Any, **more: Any) -> list[Exception]:
    """Make a good call, a streamed one, a failing one and a list of models, with each kind of client."""
    errors = []
    with chatport.Client(config, **more) as client:
        assert client.chat("say: hello").text == "hello"
        assert list(client.stream("say: hello"))
        assert client.models("compatible")
        errors.append(caught(lambda: client.chat("error: 401")))

    async def run() -> None:
        async with chatport.AsyncClient(config, **more) as client:
            assert (await client.chat("say: hello")).text == "hello"
            async with client.stream("say: hello") as stream:
                assert [event async for event in stream]
            with pytest.raises(chatport.AuthenticationError) as error:
                await client.chat("error: 401")
            errors.append(error.value)

    for backend in ("asyncio", "trio"):
        anyio.run(run, backend=backend)
    return errors


@contextlib.contextmanager
def every_logger() -> Iterator[io.StringIO]:
    """Turn every logger to DEBUG; give what they write, with all that a record carries."""
    sink = io.StringIO()

    class Everything(logging.StreamHandler[io.StringIO]):
        def emit(self, record: logging.LogRecord) -> None:
            super().emit(record)
            sink.write(repr(vars(record)))

    handler = Everything(sink)
    root = logging.getLogger()
    names = ("httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "anyio", "trio", "chatport", "hpack")
    loggers = [root, *map(logging.getLogger, names)]
    levels = [logger.level for logger in loggers]
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield sink
    finally:
        root.removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def library_logs(world: World) -> str:
    with every_logger() as sink:
        used(world.config)
    assert "receive_response_headers.complete" in sink.getvalue()
    return sink.getvalue()


def library_logs_of_an_echo(of: str) -> str:
    """A server that puts the key into the headers of its answer, which the libraries log."""
    import httpx
    import httpx2

    body = b'{"choices":[{"index":0,"message":{"content":"hello"},"finish_reason":"stop"}]}'
    data = answer(200, body, x_key=CANARY, set_cookie=f"k={CANARY}")
    families: dict[str, Any] = {"httpx": httpx, "httpx2": httpx2}
    family = families.get(of)

    def script(connection: Connection) -> None:
        while connection.request():
            connection.send(data)

    async def run(config: Any) -> None:
        given = family.AsyncClient(verify=False) if family else None
        async with chatport.AsyncClient(config, transport=given) as client:
            await client.chat("hello")
        if given is not None:
            await given.aclose()

    with RawServer(script) as server, every_logger() as sink:
        config = configured(server.base_url, transport="httpx")
        given = family.Client(verify=False) if family else None
        with chatport.Client(config, transport=given) as client:
            client.chat("hello")
        if given is not None:
            given.close()
        for backend in ("asyncio", "trio"):
            anyio.run(run, config, backend=backend)
    assert sink.getvalue().count("x-key") >= 3, "the headers are in the log"
    return sink.getvalue()


def structured_logs(world: World) -> str:
    try:
        with structlog.testing.capture_logs() as events:
            structlog.configure(processors=structlog.get_config()["processors"])  # else nothing is logged at all
            used(world.config)
    finally:
        structlog.reset_defaults()  # after the capture, which configures structlog when it ends
    assert any(event["event"] == "call_failed" for event in events)
    return repr(events)


def observed(world: World) -> str:
    """What the `observe` hook is given, and the warning when it fails."""
    seen: list[Any] = []

    class Watch:
        provider = "compatible"

        @chatport.hookimpl
        def observe(self, event: str, fields: Mapping[str, Any], context: Any) -> None:
            seen.append((event, dict(fields), context, attributes(context)))
            raise RuntimeError(f"broken at {fields} {context}")

    with warnings.catch_warnings(record=True) as caught_warnings:
        warnings.simplefilter("always")
        used(world.config, plugins=[Watch()])
    assert seen
    assert caught_warnings
    return repr(seen) + "".join(str(warning.message) + repr(vars(warning)) for warning in caught_warnings)


def spans_and_metrics(world: World) -> str:
    """What the observer for OpenTelemetry exports, as the SDK writes it."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from chatport.otel import Telemetry

    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    used(world.config, observers=[Telemetry(tracers, MeterProvider([reader]))])
    spans = [span.to_json() for span in exporter.get_finished_spans()]
    metrics = reader.get_metrics_data()
    assert len(spans) > 5
    assert metrics is not None
    return "".join(spans) + metrics.to_json()


def explained(world: World) -> str:
    explanation = world.client.explain("hello", extra={"seed": 1})
    return f"{explanation}{explanation!r}{json.dumps(attrs.asdict(explanation), default=repr)}"


def received(world: World) -> str:
    """What the emulator was sent, less the one header that has the key: address, user agent, other headers, body."""
    used(world.config)
    texts = []
    for request in world.emulator.requests:
        assert CANARY in request.headers["authorization"]
        rest = {name: value for name, value in request.headers.items() if name != "authorization"}
        texts.append(repr((request.method, request.path, rest, request.content)))
    return "\n".join(texts)


def every_object_of_ours(world: World) -> str:
    """The repr and the fields of each object in the process whose class is ours, but for the emulator."""
    gc.unfreeze()  # all there are; see conftest.py
    gc.collect()  # what other tests of this file have dropped, such as the headers of an answer with the key
    ours = [
        item
        for item in gc.get_objects()
        if str(type(item).__module__).startswith("chatport")
        and not type(item).__module__.startswith("chatport.testing")
    ]
    assert len(ours) > 50
    return "\n".join(careful_repr(item) + careful_repr(getattr(item, "__dict__", "")) for item in ours)


def command_line(*arguments: str, code: int = 0) -> Callable[[World], str]:
    """Return a sink: all that a command prints, with the key in the configuration it reads."""

    def run(world: World) -> str:
        runner = CliRunner()
        with TemporaryDirectory() as folder, contextlib.chdir(folder):
            Path("chatport.toml").write_text(
                f'model = "compatible:emulated-model"\n[providers.compatible]\nbase_url = "{world.emulator.base_url}"\n'
                f'api_key = "{CANARY}"\nkind = "compatible"\n'
            )
            Path("reply.json").write_bytes(ESCAPED)
            result = runner.invoke(group, list(arguments), env={"CHATPORT_CONFIG": "chatport.toml"})
        assert result.exit_code == code, result.output
        return result.output + result.stderr + repr(result) + repr(result.exception)

    return run


def child(program: str, world: World, *flags: str) -> str:
    """What a program prints that has the key in its environment."""
    config = {
        "providers": {"x": {"kind": "compatible", "base_url": world.emulator.base_url, "api_key": {"env": VARIABLE}}},
        "model": "x:emulated-model",
    }
    done = subprocess.run(
        [sys.executable, *flags, "-c", f"import chatport\nconfig = {config!r}\n{program}"],
        env={**os.environ, VARIABLE: CANARY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "chatport" in done.stdout + done.stderr, done
    return done.stdout + done.stderr


def emulated(world: World) -> str:
    """What `chatport emulate` prints that was given the key to accept."""
    with subprocess.Popen(
        [sys.executable, "-c", "from chatport.cli import main; main()", "emulate", "compatible", "--key", CANARY],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("http://"), first
        error = asking(f"{first.strip()}", model="x:no-such-model")
        process.terminate()
        return first + process.stdout.read() + str(error)


FAULT_HANDLER = """
import faulthandler, sys, threading
client = chatport.Client(config)
stream = client.stream("say: one two")
next(iter(stream))
print("chatport")
faulthandler.dump_traceback(file=sys.stderr)
for frame in sys._current_frames().values():
    print({name: repr(value) for name, value in frame.f_locals.items()})
"""

RUNS: dict[str, Callable[[World], str]] = {
    "logs of the libraries": library_logs,
    "logs of the libraries, the key in a header of the answer": lambda w: library_logs_of_an_echo("ours"),
    "logs of a given httpx client, likewise": lambda w: library_logs_of_an_echo("httpx"),
    "logs of a given httpx2 client, likewise": lambda w: library_logs_of_an_echo("httpx2"),
    "structlog": structured_logs,
    "observe, and warnings": observed,
    "spans and metrics": spans_and_metrics,
    "explain": explained,
    "what is sent beside the key's header": received,
    "every object of ours": every_object_of_ours,
    "chatport chat": command_line("chat", "say: hello"),
    "chatport chat --json": command_line("chat", "--json", "say: hello"),
    "chatport chat --no-stream": command_line("chat", "--no-stream", "say: hello"),
    "chatport chat, refused": command_line("chat", "error: 401", code=3),
    "chatport models": command_line("models", "compatible"),
    "chatport models --json": command_line("models", "compatible", "--json"),
    "chatport providers": command_line("providers"),
    "chatport providers --check": command_line("providers", "--check"),
    "chatport explain": command_line("explain", "hello"),
    "chatport doctor": command_line("doctor", "--no-search"),
    "chatport new-provider": command_line("new-provider", "acme", "--base-url", "https://llm.acme.example/v1"),
    "chatport, a wrong table": command_line("chat", "-m", "nobody:x", "hello", code=2),
    "chatport emulate": emulated,
    "excepthook of a program": lambda w: child("chatport.Client(config).chat('error: 401')", w),
    "excepthook of a thread": lambda w: child(
        "import threading\nthreading.Thread(target=chatport.Client(config).chat, args=['error: 401']).start()", w
    ),
    "development mode, verbose": lambda w: child("chatport.Client(config).chat('error: 500')", w, "-X", "dev"),
    "faulthandler, and the frames of all threads": lambda w: child(FAULT_HANDLER, w),
}


@pytest.mark.parametrize("name", RUNS)
def test_nothing_that_a_program_writes_shows_the_key(name: str, world: World) -> None:
    assert not traces(RUNS[name](world))


# --- the search itself


@pytest.mark.parametrize("name", FORMS)
def test_the_search_finds_each_encoding(name: str) -> None:
    """A search that finds nothing would prove nothing."""
    assert traces(f"before {FORMS[name]} after")


@pytest.mark.parametrize(
    "leak",
    [
        f"'{CANARY}'",
        json.dumps({"a": f"Bearer {CANARY}"}),
        base64.b64encode(f"Bearer {CANARY}".encode()).decode(),
        base64.b64encode(f"user:{CANARY}!".encode()).decode(),
        urllib.parse.quote_plus(CANARY),
        ascii(CANARY.encode()),
        CANARY[:14],
        CANARY[-14:],
    ],
)
def test_the_search_finds_a_leak(leak: str) -> None:
    assert traces(leak)


def test_the_search_is_not_met_by_chance() -> None:
    assert not traces("sk-*** and sk-…_rL8, " + "chatport " * 100)


def test_at_least_forty_sinks() -> None:
    """The count that is promised; each object is looked at in each way."""
    assert len(OBJECTS) * len(VIEWS) + len(FAILURES) * len(ERROR_VIEWS) + len(RUNS) >= 40
    assert min(map(len, (OBJECTS, VIEWS, FAILURES, ERROR_VIEWS, RUNS))) >= 10
