"""What the transports say of a failure, and what they take out of the log, for each client that may be below."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from types import ModuleType

import httpcore
import httpx
import pytest

from chatport.basics.secret import Secret
from chatport.engine.commands import HttpRequest, TimerExpired, TransportFailure
from chatport.transport.failures import no_connection
from chatport.transport.family import failure_of, family_of, place_of
from chatport.transport.httpx_own import wire_request
from chatport.transport.proxies import Proxy
from chatport.transport.redaction import hiding_key

KEY = "sk-canary-of-a-log-0001"
URL = "https://llm.example/v1/chat"


def families() -> list[ModuleType]:
    found: list[ModuleType] = [httpx]
    try:
        import httpx2
    except ImportError:
        return found
    return [*found, httpx2]


@pytest.fixture(params=families(), ids=lambda family: family.__name__)
def family(request: pytest.FixtureRequest) -> ModuleType:
    given: ModuleType = request.param
    return given


def told(error: BaseException, url: str = URL) -> tuple[str, str, str]:
    failure = failure_of(httpx, error, "connect", url)
    assert isinstance(failure, TransportFailure)
    return str(failure), failure.stage, failure.kind


def test_a_client_is_of_the_family_that_its_class_comes_from(family: ModuleType) -> None:
    class Own(family.Client):  # type: ignore[misc, name-defined]  # either of both
        pass

    with Own() as client:
        assert family_of(client) is family
    with pytest.raises(TypeError, match=r"^object is neither an httpx nor an httpx2 client$"):
        family_of(object())


@pytest.mark.parametrize("kind", [httpx.UnsupportedProtocol, httpcore.UnsupportedProtocol])
def test_an_address_without_a_usable_protocol_is_told(kind: type[Exception]) -> None:
    words = "The address has no usable protocol: Request URL has an unsupported protocol 'foo://'."
    found = told(kind("Request URL has an unsupported protocol 'foo://'."))
    assert found == (words, "connect", "unsupported_protocol")


@pytest.mark.parametrize("error", [httpx.InvalidURL("no host"), UnicodeError("no host")])
def test_an_address_that_is_none_is_told(error: Exception) -> None:
    assert told(error) == ("The address is not valid: no host", "connect", "invalid_url")


@pytest.mark.parametrize(
    ("error", "stage"),
    [
        (httpx.ConnectTimeout(""), "connect"),
        (httpcore.ConnectTimeout(), "connect"),
        (httpx.ReadTimeout(""), "io"),
        (httpcore.ReadTimeout(), "io"),
    ],
)
def test_a_timer_is_the_one_that_was_running(error: Exception, stage: str) -> None:
    failure = failure_of(httpx, error, "head")
    assert isinstance(failure, TimerExpired)
    assert failure.stage == stage


def test_what_is_not_of_the_family_is_not_ours() -> None:
    assert failure_of(httpx, KeyError("x"), "head") is None


def test_where_a_connection_was_to_go() -> None:
    proxy = Proxy("$HTTPS_PROXY", "http", "proxy.example", 3128)
    assert place_of("https://llm.example/v1", None) == ("llm.example", 443)
    assert place_of("http://llm.example/v1", None) == ("llm.example", 80)
    assert place_of("http://llm.example:81/v1", None) == ("llm.example", 81)
    assert place_of("https://llm.example/v1", proxy) == ("proxy.example", 3128)
    assert place_of("http://[::1/v1", None) == ("", 0)
    assert place_of("http://llm.example:99999/v1", None) == ("", 0)


def test_an_address_that_httpx_refuses_is_refused_by_httpx(family: ModuleType) -> None:
    """We read it first, for names under localhost, and have nothing to say of it."""
    with pytest.raises(family.InvalidURL):
        wire_request(family, HttpRequest("GET", "http://[::1/v1", [], b""))
    sent = wire_request(family, HttpRequest("GET", "http://here.localhost:81/v1", [], b""))
    assert (str(sent.url), sent.headers["host"]) == ("http://localhost:81/v1", "here.localhost:81")
    sent = wire_request(family, HttpRequest("GET", "https://here.localhost/v1", [], b""))
    assert str(sent.url) == "https://here.localhost/v1"


@pytest.mark.parametrize(
    ("error", "words", "kind"),
    [
        (
            OSError(errno.ECONNREFUSED, "Refused."),
            f"No connection to h:1: [Errno {errno.ECONNREFUSED}] Refused",
            "connect",
        ),
        (OSError(), "No connection to h:1: OSError", "connect"),
        (ssl.SSLError("bad"), "No secure connection to h:1: ('bad',)", "tls"),
        (UnicodeError("label too long"), "The address is not valid: label too long", "invalid_url"),
        (
            socket.gaierror(socket.EAI_NONAME, "Not known"),
            f"No connection to h:1: the host name cannot be resolved ([Errno {socket.EAI_NONAME:d}] Not known)",
            "connect",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_words_for_a_connection_that_did_not_come(error: Exception, words: str, kind: str) -> None:
    failure = no_connection(error, "h", 1)
    assert (str(failure), failure.stage, failure.kind) == (words, "connect", kind)
    assert str(no_connection(OSError("x"), "::1", 80)) == "No connection to [::1]:80: x"


@pytest.mark.parametrize("library", ["httpcore", "httpcore2"])
def test_the_password_for_a_socks_proxy_is_in_no_record(library: str, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(f"{library}.socks")
    request = HttpRequest("GET", URL, [], b"", ("authorization", "Bearer ", Secret(KEY)))
    said = "setup_socks5_connection.started stream=<x> host=b'llm.example' port=443 auth=(b'user', b'pass word')"
    with caplog.at_level(logging.DEBUG, library), hiding_key(request):
        logger.debug(said)
        logger.debug("%s and %s", KEY, "more")
        logging.getLogger(f"{library}.connection").debug("auth=%s is no word for it auth=%s", 1, 2)
    with caplog.at_level(logging.DEBUG, library):
        logger.debug("of somebody else's: auth=(b'a', b'b')")
    assert [record.getMessage() for record in caplog.records] == [
        f"{said.partition(' auth=')[0]} auth=***",
        "*** and more",
        "auth=1 is no word for it auth=2",
        "of somebody else's: auth=(b'a', b'b')",
    ]
