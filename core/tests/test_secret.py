"""A key is seen by nobody: not in a repr, a log, a traceback, a pickle, nor in an error that echoes it."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

import chatport
from chatport import Client
from chatport.basics.secret import Secret
from chatport.call import Chunk
from chatport.decoding.redaction import cover_key, hide_key, hide_key_in, hide_key_in_error
from chatport.engine.commands import Head, HttpRequest
from chatport.errors import ChatportError, ConfigurationError
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport.testing import Emulator
from chatport.types import Message

CANARY = "sk-canary-7f3a9b/5d+e1"
BASE = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The key is in the environment, as it mostly is, and in no variable of a test that a traceback would show."""
    monkeypatch.chdir(tmp_path)
    for name in ("LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_MODEL", "LLM_API_KEY", "CHATPORT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CANARY_KEY", CANARY)


CONFIG: dict[str, Any] = {
    "providers": {"x": {"kind": "compatible", "base_url": BASE, "api_key": {"env": "CANARY_KEY"}}},
    "retry": {"attempts": 1},
}


def shown_everywhere(value: Any) -> str:
    """Return all that the usual ways of looking at a value show."""
    views = [repr(value), str(value), f"{value}", f"{value!r}", "%s %r" % (value, value)]  # noqa: UP031  # on purpose
    views.extend(repr(getattr(value, name, None)) for name in getattr(type(value), "__slots__", ()) or ())
    if hasattr(value, "__dict__"):
        views.append(repr(vars(value)))
    if attrs.has(type(value)):
        views.append(repr(attrs.asdict(value)))
        views.append(repr(attrs.astuple(value)))
    return "\n".join(views)


def formatted(error: BaseException) -> str:
    """Return the traceback with all locals, causes and contexts."""
    seen = traceback.TracebackException.from_exception(error, capture_locals=True)
    hidden = [
        "".join(traceback.TracebackException.from_exception(inner, capture_locals=True).format())
        for inner in (error.__cause__, error.__context__)
        if inner is not None
    ]
    return "".join(seen.format()) + "".join(hidden)


def raised_by(function: Callable[[], Any]) -> BaseException:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def clear(text: str) -> None:
    """Fail if the key, or the part of it that a quotation would leave, is in the text."""
    assert "canary-7f3a9b" not in text


class Scripted:
    """A transport that answers with one response, in pieces."""

    def __init__(self, status: int, content_type: str, *pieces: bytes) -> None:
        self._head = Head(status, {"content-type": content_type})
        self._pieces = pieces

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Any:
        assert any(CANARY in value for _, value in request.all_headers()), "the key is sent"
        return Exchange(self._head, self._pieces)

    def close(self) -> None: ...


class Exchange:
    def __init__(self, head: Head, pieces: tuple[bytes, ...]) -> None:
        self.head = head
        self._pieces = iter(pieces)

    def read(self, seconds: float | None) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None: ...


# --- the Secret itself


def test_a_secret_shows_nothing() -> None:
    """Every view of a Secret is stars; only `reveal` gives the text."""
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    clear(shown_everywhere(secret))
    clear(repr([secret]) + repr({"k": secret}) + f"{secret:>40}" + ascii(secret))
    assert repr(secret) == "Secret(***)"
    assert not hasattr(secret, "__dict__")


def test_a_secret_cannot_be_pickled_or_copied_by_pickle() -> None:
    """Pickling a Secret fails, and says what to do instead."""
    with pytest.raises(TypeError, match=r"cannot be pickled: pass a reference such as"):
        pickle.dumps(Secret(CANARY))
    with pytest.raises(TypeError, match=r"cannot be pickled"):
        copy.deepcopy(Secret(CANARY))


def test_secrets_compare_with_secrets_only() -> None:
    """Equality is between secrets; a text never equals one. An empty secret is false."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("é") == Secret("é")
    assert not Secret("")
    assert Secret("a")


# --- everything that holds one


def test_nothing_that_holds_the_key_shows_it() -> None:
    """Configuration, client, vendors, provider, context, route and request show no key in any view of them."""
    config = load_config(CONFIG)
    client = Client(CONFIG)
    vendors = Vendors(config)
    route = Routes(vendors).route(chatport.Call((Message.user("hi"),)), "x:m", timeouts={}, options={})
    literal = load_config({"providers": {"x": {**CONFIG["providers"]["x"], "api_key": CANARY}}})
    opened = vendors.provider("x")
    for value in list[Any]((config, literal, literal.providers["x"], client, client._vendors, vendors, opened)):
        clear(shown_everywhere(value))
    for value in list[Any]((opened.provider, route, route.request, route.context, route.wire, route.plan)):
        clear(shown_everywhere(value))
    assert ("authorization", f"Bearer {CANARY}") in route.request.all_headers()


def test_nothing_that_holds_the_key_is_pickled_with_it() -> None:
    """What holds a key cannot be pickled with it."""
    config = load_config({"providers": {"x": {**CONFIG["providers"]["x"], "api_key": CANARY}}})
    vendors = Vendors(config)
    for value in list[Any]((config, vendors, vendors.provider("x").key, Client(CONFIG))):
        assert isinstance(raised_by(partial(pickle.dumps, value)), TypeError | pickle.PicklingError | AttributeError)


def test_explain_shows_no_key() -> None:
    """`explain` shows the header the key goes in, without the key."""
    explanation = Client(CONFIG).explain("hi", model="x:m")
    assert explanation.headers["authorization"] == "Bearer ***"
    clear(shown_everywhere(explanation))


# --- errors


ECHO = f'{{"error": {{"message": "Incorrect API key provided: {CANARY}.", "code": "k-{CANARY}"}}}}'.encode()
ESCAPED = ECHO.replace(b"/", b"\\/")
CHUNK = b'data: {"choices":[{"delta":{"content":"par"}}]}\n\n'
SSE = "text/event-stream"
RESPONSES = {
    "401": (401, "application/json", ECHO),
    "401 escaped": (401, "application/json", ESCAPED),
    "401 as text": (401, "text/plain", b"Wrong key: " + CANARY.encode()),
    "401 as HTML": (401, "text/html", b"<html><b>" + CANARY.encode() + b"</b></html>"),
    "500": (500, "application/json", ECHO),
    "an error in a 200": (200, "application/json", ECHO),
    "text in a 200": (200, "application/json", b"Wrong key: " + CANARY.encode()),
    "an error in a stream": (200, SSE, b"data: " + ECHO + b"\n\n"),
    "an error in a stream, escaped": (200, SSE, b"data: " + ESCAPED + b"\n\n"),
    "an error later in a stream": (200, SSE, CHUNK, b"data: " + ECHO + b"\n\n"),
    "broken JSON in a stream": (200, SSE, b"data: Wrong key: " + CANARY.encode() + b"\n\n"),
    "broken JSON later in a stream": (200, SSE, CHUNK, b'data: {"error": "' + CANARY.encode() + b"\n\n"),
    "a stray line in a stream": (200, SSE, b": ping\n\n" + ECHO + b"\n\n"),
    "a stream that is cut": (200, SSE, CHUNK, b'data: {"error": "' + CANARY.encode()),
    "a redirect": (302, "text/plain", CANARY.encode()),
}


@pytest.mark.parametrize("stream", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("name", RESPONSES)
def test_an_echoed_key_is_taken_out(name: str, stream: bool) -> None:
    """When the vendor's error holds our key, no view of our error does, nor its pickle, nor a traceback with locals."""
    status, content_type, *pieces = RESPONSES[name]
    client = Client(CONFIG, transport=Scripted(status, content_type, *pieces))  # type: ignore[arg-type]  # the table is mixed
    del pieces

    def run() -> Any:
        if not stream:
            return client.chat("hi", model="x:m")
        with client.stream("hi", model="x:m") as events:
            return list(events)

    error = raised_by(run)
    assert isinstance(error, ChatportError), error
    clear(formatted(error))
    clear(shown_everywhere(error))
    clear(repr(error.raw) + repr(error.args) + repr(error.partial) + repr(error.attempts))
    clear(pickle.dumps(error).decode("latin-1"))
    for attempt in error.attempts:
        clear(shown_everywhere(attempt))


def test_errors_of_the_configuration_hold_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that cannot be used says why without the key, in its text and in the traceback's locals."""
    monkeypatch.setenv("LLM_API_KEY", CANARY)
    files = {
        "unknown key": f'[providers.x]\napi_key = "{CANARY}"\n[timeouts]\nx = 1',
        "not TOML": f'[providers.x]\napi_key = "{CANARY}"\nbroken',
        "not TOML at the key": f'[providers.x]\napi_key = "{CANARY}',
        "wrong URL": f'[providers.x]\napi_key = "{CANARY}"\nbase_url = "h"',
    }
    for text in files.values():
        Path("chatport.toml").write_text(text)
        error = raised_by(load_config)
        assert isinstance(error, ConfigurationError)
        clear(formatted(error))
        clear(formatted(raised_by(Client)))
    Path("latin.toml").write_bytes(f'[providers.x]\napi_key = "{CANARY}é"'.encode("latin-1"))
    clear(formatted(raised_by(lambda: load_config("latin.toml"))))


def test_a_key_that_cannot_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with a line break, one for another host, over plain http or in a broken file is refused unseen."""
    Path("key").write_text(f"{CANARY}\nsecond line")
    Path("latin").write_bytes(f"{CANARY}é".encode("latin-1"))
    tables: list[dict[str, Any]] = [
        {"base_url": BASE, "api_key": {"file": "key"}},
        {"base_url": BASE, "api_key": {"file": "latin"}},
        {"base_url": "http://h.example", "api_key": {"env": "CANARY_KEY"}},
    ]
    for table in tables:
        client = Client({"providers": {"x": {"kind": "compatible", **table}}})
        error = raised_by(partial(client.chat, "hi", model="x:m"))
        assert isinstance(error, ConfigurationError)
        clear(formatted(error))


def test_a_vendors_key_for_a_foreign_host_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal to send an environment's key elsewhere holds it neither in text nor in locals."""
    import sys
    from types import ModuleType

    module: Any = ModuleType("vendor_with_key")
    module.v = chatport.Provider("v", "V", "https://api.v.example", key_env=("CANARY_KEY",))
    monkeypatch.setitem(sys.modules, "vendor_with_key", module)
    monkeypatch.setenv("CHATPORT_PLUGINS", "v=vendor_with_key:v")
    client = Client({"providers": {"v": {"base_url": "https://proxy.example"}}})
    error = raised_by(lambda: client.chat("hi", model="v:m"))
    assert isinstance(error, ConfigurationError)
    assert "CANARY_KEY is a key for api.v.example" in str(error)
    clear(formatted(error))


@pytest.mark.parametrize("stream", [False, True], ids=["chat", "stream"])
def test_a_failed_connection_holds_no_key(stream: bool) -> None:
    """A refused connection, through the real HTTP library, shows no key in the traceback, its causes and locals."""
    with Client(CONFIG) as client:

        def run() -> Any:
            if not stream:
                return client.chat("hi", model="x:m")
            with client.stream("hi", model="x:m") as events:
                return list(events)

        error = raised_by(run)
    assert isinstance(error, chatport.TransportError)
    clear(formatted(error))
    cause = error.__cause__
    while cause is not None:
        clear(formatted(cause))
        cause = cause.__cause__ or cause.__context__


def test_logs_hold_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """With every logger of the HTTP libraries at DEBUG no line holds the key, for a good call and a bad one."""
    sink = io.StringIO()
    handler = logging.StreamHandler(sink)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG), Emulator("compatible", api_key=CANARY) as emulator:
            for name in ("httpx", "httpcore", "chatport"):
                logging.getLogger(name).setLevel(logging.DEBUG)
            with Client(emulator.config(transport="httpx", retry={"attempts": 1})) as client:
                assert client.chat("say: hello", model="compatible:emulated-model").text == "hello"
                with client.stream("say: hello", model="compatible:emulated-model") as events:
                    assert list(events)
                error = raised_by(lambda: client.chat("error: 401", model="compatible:emulated-model"))
                assert isinstance(error, ChatportError)
            assert any(CANARY in value for value in emulator.requests[0].headers.values())
    finally:
        root.removeHandler(handler)
        for name in ("httpx", "httpcore", "chatport"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    assert "127.0.0.1" in sink.getvalue(), "the libraries did log"
    clear(sink.getvalue())
    clear(caplog.text)
    clear(repr([vars(record) for record in caplog.records]))


def test_a_chunk_shows_nothing() -> None:
    """A chunk's repr holds none of its bytes: prompts and echoes stay out of tracebacks."""
    clear(repr(Chunk(CANARY.encode())))


SLASHED = CANARY.replace("/", "\\/")
LEFT = [CANARY, SLASHED, CANARY.replace("+", "\\u002B"), repr(SLASHED)[1:-1], CANARY[:12]]


@pytest.mark.parametrize("before", ["", "key: ", '{"a": "'])
@pytest.mark.parametrize("form", LEFT)
def test_what_is_left_of_a_key_is_hidden(form: str, before: str) -> None:
    """As it is, with escapes, with escapes of those, and cut."""
    assert hide_key(f'{before}{form}" and more', CANARY) == f'{before}***" and more'


def test_what_is_no_key_is_not_hidden() -> None:
    """The beginning that all keys of a vendor share is told, and a short key is not looked for in words."""
    assert hide_key("keys begin with sk-canary", CANARY) == "keys begin with sk-canary"
    assert hide_key("a cat", "cat") == "a cat"


def test_a_key_is_hidden_in_bytes_lists_names_and_notes() -> None:
    assert hide_key_in(f"a {CANARY} b".encode(), CANARY) == b"a *** b"
    assert hide_key_in(b"\xff\x00", CANARY) == b"\xff\x00"
    assert hide_key_in({CANARY: [(f"{CANARY}.",), 5, None]}, CANARY) == {"***": [["***."], 5, None]}
    assert hide_key_in([CANARY, "other"], (CANARY, "other")) == ["***", "***"]
    error = ConfigurationError("words")
    assert not hasattr(hide_key_in_error(error, CANARY), "__notes__")
    error.add_note(f"seen: {CANARY}")
    error.add_note("and nothing else")
    assert hide_key_in_error(error, CANARY).__notes__ == ["seen: ***", "and nothing else"]


def test_a_short_key_is_looked_for_nowhere() -> None:
    """It would be found in ordinary words. One of four characters is."""
    assert hide_key_in({"cat": ["a cat", b"cat"]}, "cat") == {"cat": ["a cat", b"cat"]}
    assert hide_key_in({"cats": ["a cats", b"cats"]}, "cats") == {"***": ["a ***", b"***"]}
    assert cover_key("a cat", "cat") == "a cat"
    assert cover_key("some cats", "cats") == "some ****"
    assert hide_key("a cats", "cats") == "a ***"
