"""Errors: the tree, the text, what travels with them, and what a vendor's answer becomes."""

from __future__ import annotations

import copy
import json
import pickle
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from chatport import errors as e
from chatport.call import Context, ErrorDetails, Failure, Verdict
from chatport.decoding.failures import error_of, failure_of
from chatport.decoding.hints import retry_delay_seconds, should_retry_header
from chatport.errors import ChatportError
from chatport.provider import Provider
from chatport.standard.errors import classify_error
from chatport.standard.verdicts import read_error
from chatport.testing import replay
from chatport.types import Attempt, Reply, ToolCall, Usage

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
PROVIDER = Provider("p", "Acme", "https://p.example/v1")
CONTEXT = Context(PROVIDER, "m", "https://p.example/v1")
CLASSES = [value for value in vars(e).values() if isinstance(value, type) and issubclass(value, ChatportError)]


def failed(status: int = 400, body: Any = None, headers: dict[str, str] | None = None) -> ChatportError:
    """Return the error that a response becomes."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    with pytest.raises(ChatportError) as caught:
        replay("compatible", status=status, headers=headers, body=content, stream=False)
    return caught.value


# --- the classes


def test_the_tree_is_as_drawn() -> None:
    """The tree drawn at the top of the module is the tree of the classes."""
    drawn: dict[str, str] = {}
    parents = {0: "ChatportError"}
    for line in (e.__doc__ or "").splitlines():
        match = re.match(r"^((?:│   |    )*)[├└]── (\w+)", line)
        if match:
            depth = len(match[1]) // 4
            parents[depth + 1] = match[2]
            drawn[match[2]] = parents[depth]
    real = {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES if cls is not ChatportError}
    assert drawn == real
    assert set(real) | {"ChatportError"} == set(e.__all__)


def test_what_passes_by_itself() -> None:
    """Only errors that may pass without a change are retryable by default."""
    passing = {cls.__name__ for cls in CLASSES if cls("x").retryable}
    assert passing == {"RateLimitError", "OverloadedError", "ServerError", "TransportError", "StreamInterruptedError"}


def test_the_text_says_what_where_and_what_next() -> None:
    """The text has what happened, where with status, code and request id, the vendor's wait, and the next step."""
    error = e.QuotaExceededError(
        "Acme: no money.", provider="p", model="m", status=402, code="broke", request_id="r1", retry_after_seconds=2.5
    )
    assert str(error) == (
        "Acme: no money. [p:m, HTTP 402, code broke, request r1] The vendor asks to wait 2.5 s. "
        "Check the account's balance or spending limit."
    )
    assert str(ChatportError("Bare.")) == "Bare."
    assert str(ChatportError("Bare.", provider="p")) == "Bare. [p]"
    assert str(ChatportError("Bare.", model="m")) == "Bare. [m]"
    assert repr(ChatportError("Bare.", provider="p")) == "ChatportError('Bare.')"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_is_pickled_whole(cls: type[ChatportError]) -> None:
    """Pickling and copying keep class, text and every field."""
    reply = Reply(text="par", tool_calls=(ToolCall("a", "f", "{", complete=False),), usage=Usage(1, 2))
    error = cls(
        "What.",
        provider="p",
        model="m",
        status=429,
        code="c",
        request_id="r",
        retry_after_seconds=1.5,
        retryable=True,
        raw={"error": [1]},
        partial=reply,
    )
    error.attempts = (Attempt("p:m", "ServerError", 0.5, 500, 1.0, e.ServerError("first")),)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is cls
        assert str(twin) == str(error)
        assert twin.args == error.args
        assert {k: v for k, v in vars(twin).items() if k != "attempts"} == {
            k: v for k, v in vars(error).items() if k != "attempts"
        }
        assert twin.attempts == error.attempts
        assert str(twin.attempts[0].error) == "first"


def test_an_error_that_holds_itself_is_pickled() -> None:
    """The last attempt of a call holds the very error that ended it: a circle, which pickling keeps."""
    error = failed(500)
    assert error.attempts[-1].error is error
    twin = pickle.loads(pickle.dumps(error))
    assert twin.attempts[-1].error is twin
    assert str(twin) == str(error)


def test_a_deadline_keeps_its_timer() -> None:
    """A DeadlineError names its timer and setting, also after pickling."""
    error = pickle.loads(pickle.dumps(e.DeadlineError("Late.", timer="silence", seconds=5.0, retryable=True)))
    assert (error.timer, error.seconds, error.retryable) == ("silence", 5.0, True)


# --- statuses


@pytest.mark.parametrize(
    ("status", "cls", "retryable"),
    [
        (400, e.BadRequestError, False),
        (401, e.AuthenticationError, False),
        (402, e.QuotaExceededError, False),
        (403, e.PermissionDeniedError, False),
        (404, e.ModelNotFoundError, False),
        (405, e.BadRequestError, False),
        (408, e.ServerError, True),
        (409, e.ServerError, True),
        (413, e.BadRequestError, False),
        (418, e.BadRequestError, False),
        (422, e.BadRequestError, False),
        (424, e.ServerError, True),
        (425, e.ServerError, True),
        (429, e.RateLimitError, True),
        (498, e.OverloadedError, True),
        (500, e.ServerError, True),
        (501, e.UnsupportedFeatureError, False),
        (502, e.ServerError, True),
        (503, e.OverloadedError, True),
        (504, e.ServerError, True),
        (520, e.ServerError, True),
        (529, e.OverloadedError, True),
        (599, e.ServerError, True),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>x</html>", b"{}", b"{", b'{"error": {}}', b"[]", b"null"])
def test_a_status_alone(status: int, cls: type[ChatportError], retryable: bool, body: bytes) -> None:
    """Without words of the vendor the status decides."""
    error = failed(status, body)
    assert (type(error), error.retryable, error.status) == (cls, retryable, status)
    assert (error.provider, error.model) == ("compatible", "recorded")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304, 300])
def test_a_redirect_is_not_followed(status: int) -> None:
    """A redirect is an error that says where to, and is not retried."""
    error = failed(status, b"", {"location": "https://else.example/v1"})
    assert type(error) is e.TransportError
    assert not error.retryable
    assert "https://else.example/v1" in str(error)
    assert error.status == status


# --- bodies


BODIES: list[tuple[int, Any, type[ChatportError], bool]] = [
    (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, e.ContextLengthError, False),
    (400, {"error": {"message": "This model's maximum context length is 5"}}, e.ContextLengthError, False),
    (400, {"error": {"message": "the request exceeds the available context size"}}, e.ContextLengthError, False),
    (400, {"error": {"message": "prompt is too long: 5 > 4"}}, e.ContextLengthError, False),
    (413, {"error": {"message": "Please reduce the length of the messages"}}, e.ContextLengthError, False),
    (500, {"error": {"message": "Input is too long for requested model"}}, e.ContextLengthError, False),
    (400, {"error": {"message": "Range of input length should be [1, 5]"}}, e.ContextLengthError, False),
    (400, {"error": {"message": "x", "code": "content_filter"}}, e.ContentFilterError, False),
    (400, {"error": {"message": "Content Exists Risk"}}, e.ContentFilterError, False),
    (400, {"error": {"message": "blocked by our content policy"}}, e.ContentFilterError, False),
    (429, {"error": {"message": "x", "code": "insufficient_quota"}}, e.QuotaExceededError, False),
    (429, {"error": {"message": "You exceeded your current quota"}}, e.QuotaExceededError, False),
    (429, {"error": {"message": "Insufficient balance"}}, e.QuotaExceededError, False),
    (429, {"error": {"message": "prompt is too long"}}, e.RateLimitError, True),
    (403, {"error": {"message": "your account is not active"}}, e.QuotaExceededError, False),
    (400, {"error": {"message": "Your credit balance is too low"}}, e.QuotaExceededError, False),
    (400, {"error": {"message": "x", "code": "model_not_found"}}, e.ModelNotFoundError, False),
    (400, {"error": {"message": "Model Not Exist"}}, e.ModelNotFoundError, False),
    (400, {"error": {"message": "The model `x` does not exist"}}, e.ModelNotFoundError, False),
    (400, {"error": {"message": "The model x has been decommissioned"}}, e.ModelNotFoundError, False),
    (400, {"error": {"message": "x is not a valid model ID"}}, e.ModelNotFoundError, False),
    (400, {"error": {"message": "Incorrect API key provided"}}, e.AuthenticationError, False),
    (403, {"error": {"message": "x", "type": "authentication_error"}}, e.AuthenticationError, False),
    (400, {"error": {"message": "x", "type": "invalid_request_error"}}, e.BadRequestError, False),
    (400, {"error": {"message": "x", "type": "rate_limit_error"}}, e.RateLimitError, True),
    (500, {"error": {"message": "x", "type": "overloaded_error"}}, e.OverloadedError, True),
    (503, {"error": {"message": "The model does not exist"}}, e.OverloadedError, True),
    (401, {"error": {"message": "maximum context length"}}, e.AuthenticationError, False),
    (400, {"error": {"message": "x", "code": "RATE_LIMIT_EXCEEDED"}}, e.RateLimitError, True),
    (400, {"error": {"message": "x", "code": "not_supported_error"}}, e.UnsupportedFeatureError, False),
    (200, {"error": {"message": "x", "code": 429}}, e.RateLimitError, True),
    (200, {"error": {"message": "x", "code": "503"}}, e.OverloadedError, True),
    (200, {"error": {"message": "x", "type": "invalid_request_error"}}, e.BadRequestError, False),
    (200, {"error": {"message": "x", "status": 404}}, e.ModelNotFoundError, False),
    (200, {"error": {"message": "x"}}, e.ServerError, True),
    (200, {"error": "Insufficient balance"}, e.QuotaExceededError, False),
    (
        200,
        {"error": {"message": "Server error, please retry later.", "type": "invalid_request_error"}},
        e.ServerError,
        True,
    ),
    (
        200,
        {"error": {"message": "Rate limit reached for requests", "type": "invalid_request_error"}},
        e.RateLimitError,
        True,
    ),
    (200, {"error": {"message": "The engine is currently overloaded", "type": "api_error"}}, e.OverloadedError, True),
    (200, {"error": "The server had an error while processing your request"}, e.ServerError, True),
    (200, {"error": {"message": "Upstream request timed out"}}, e.ServerError, True),
    (200, {"error": {"message": "Download timed out", "type": "invalid_request_error"}}, e.BadRequestError, False),
    (200, {"error": {"message": "Rate limit reached", "code": 400}}, e.RateLimitError, True),
    (
        200,
        {"error": {"message": "messages must not be empty", "type": "invalid_request_error"}},
        e.BadRequestError,
        False,
    ),
    (200, {"choices": None}, e.MalformedReplyError, True),
    (200, {"choices": []}, e.MalformedReplyError, True),
    (200, {"object": "list", "data": []}, e.MalformedReplyError, False),
]


@pytest.mark.parametrize(
    ("status", "body", "cls", "retryable"), BODIES, ids=[str(body)[:70] for _, body, _, _ in BODIES]
)
def test_a_body_decides(status: int, body: Any, cls: type[ChatportError], retryable: bool) -> None:
    """The vendor's code counts before its type, before its words, before the status."""
    error = failed(status, body)
    assert (type(error), error.retryable) == (cls, retryable)


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c", "param": "p"}}, ("m", "t", "c", "p")),
        ({"error": {"message": "m", "code": 5}}, ("m", "", "5", "")),
        ({"error": {"message": "m", "code": None}, "code": "outer"}, ("m", "", "outer", "")),
        ({"error": "m", "error_type": "t", "code": "c"}, ("m", "t", "c", "")),
        ({"message": "m", "code": "c"}, ("m", "", "c", "")),
        ({"msg": "m"}, ("m", "", "", "")),
        ({"error_msg": "m", "error_code": 17}, ("m", "", "17", "")),
        ({"detail": "m"}, ("m", "", "", "")),
        ({"detail": [{"loc": ["body", "x"], "msg": "m"}, {"msg": "n"}]}, ("body.x: m; n", "", "", "")),
        ({"detail": {"message": "m"}}, ("m", "", "", "")),
        ({"errors": [{"message": "m"}, "n"]}, ("m; n", "", "", "")),
        ({"type": "https://a.example/errors/limit", "title": "m"}, ("m", "", "", "")),
        ({"type": "http://a.example/limit", "title": "m", "status": 429}, ("m", "", "", "")),
        ({"type": "about:blank", "title": "m", "detail": "d"}, ("d", "", "", "")),
        ({"type": "http_error", "title": "m"}, ("m", "http_error", "", "")),
        ([{"error": {"message": "m"}}, {"error": {"message": "n"}}], ("m", "", "", "")),
        (
            {"error": {"message": '{"error":{"message":"m","type":"t"}}', "type": "o", "code": "c", "param": "p"}},
            ("m", "t", "c", "p"),
        ),
        ({"error": {"message": "m", "type": "t", "status": "NOT_FOUND"}}, ("m", "t", "", "")),
        ({"error": {"message": "m", "status": "ABC"}}, ("m", "ABC", "", "")),
        ({"error": {"message": "m", "status": "AB"}}, ("m", "", "", "")),
        ("m" * 8_001, ("m" * 8_000, "", "", "")),
        ([{"error": {"message": "m", "code": "c"}}], ("m", "", "c", "")),
        ("m", ("m", "", "", "")),
        ({"error": {"message": None, "code": False}}, ("", "", "", "")),
        ([], ("", "", "", "")),
        (None, ("", "", "", "")),
    ],
)
def test_every_shape_of_an_error_is_read(body: Any, details: tuple[str, str, str, str]) -> None:
    """Message, type, code and parameter are found in each of the shapes that servers use."""
    read = read_error(body)
    assert (read.message, read.type, read.code, read.param) == details


def test_a_page_is_read_as_its_words() -> None:
    """From HTML the words are taken, short, without scripts and tags."""
    page = "<html><style>x{}</style><script>alert(1)</script><h1>502</h1>Bad\n gateway" + "<p>long " * 200
    words = read_error(None, page).message
    assert words.startswith("502 Bad gateway long")
    assert len(words) == 300


def test_an_error_within_errors_is_looked_for_so_far_and_no_further() -> None:
    def within(levels: int) -> str:
        error: dict[str, Any] = {"message": "m"}
        for _ in range(levels):
            error = {"message": json.dumps({"error": error})}
        return read_error({"error": error}).message

    assert within(6) == "m"
    assert within(7) == '{"error": {"message": "m"}}'


def test_an_error_carries_its_facts() -> None:
    """Status, code, request id, hint and the raw body are on the error; the text is short however long theirs is."""
    error = failed(
        429,
        {"error": {"message": "slow " * 1000, "code": "slow_down"}},
        {"x-request-id": "r9", "retry-after": "7"},
    )
    assert (error.status, error.code, error.request_id, error.retry_after_seconds) == (429, "slow_down", "r9", 7.0)
    assert error.raw["error"]["code"] == "slow_down"
    assert len(str(error)) < 900
    assert failed(400, {"error": {"message": "m"}, "request_id": "in-body"}).request_id == "in-body"
    assert failed(400, b"plain words").raw == "plain words"
    assert "plain words" in str(failed(400, b"plain words"))
    assert failed(400, {"error": {"message": "m", "type": "t"}}).code == "t"


def test_an_unexplained_error_says_so() -> None:
    """Without words of the vendor the text says the status."""
    assert "HTTP 500 without an explanation" in str(failed(500, {}))


# --- hints


def hint(**headers: str) -> float | None:
    return retry_delay_seconds({name.replace("_", "-"): value for name, value in headers.items()}, NOW)


def http_date(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "5"}, 5.0),
        ({"retry_after": " 5 "}, 5.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after_ms": "x", "retry_after": "9"}, 9.0),
        ({"retry_after": http_date(30)}, 30.0),
        ({"retry_after": http_date(-30)}, 0.0),
        ({"retry_after": "Thu, 01 Jan 2026 13:00:10 +0100"}, 10.0),
        ({"retry_after": "Thu, 01 Jan 2026 12:00:10"}, 10.0),
        ({"retry_after": ""}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "1e99"}, None),
        ({"retry_after": "Thu, 99 Foo 2026"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """The wait is read from milliseconds, seconds, fractions and dates; a past date is now, garbage is nothing."""
    assert hint(**headers) == seconds


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,12} [A-Z][a-z]{2} -?\d{1,12} \d+:\d+:\d+ [+-]?\w{1,6}")
)
def test_any_retry_after_is_read_or_nothing(text: str) -> None:
    """Whatever the header says, the answer is a number of seconds that can be slept, or nothing."""
    seconds = hint(retry_after=text)
    assert seconds is None or 0 <= seconds < 1e12


@pytest.mark.parametrize(
    ("value", "said"), [("true", True), (" True ", True), ("false", False), ("FALSE", False), ("", None), ("yes", None)]
)
def test_should_retry(value: str, said: bool | None) -> None:
    """`x-should-retry` is read where it says something."""
    assert should_retry_header({"x-should-retry": value}) is said
    assert should_retry_header({}) is None


def test_should_retry_overrules_the_class() -> None:
    """What the vendor says about trying again counts more than the class, for an error status."""
    assert not failed(500, {}, {"x-should-retry": "false"}).retryable
    assert failed(400, {}, {"x-should-retry": "true"}).retryable
    assert not failed(200, {"object": "list"}, {"x-should-retry": "true"}).retryable


# --- verdicts


def verdict_error(verdict: Verdict | None, **failure: Any) -> ChatportError:
    details = ErrorDetails("theirs", code="c")
    made = Failure(failure.pop("status", 429), failure.pop("headers", {}), "response", None, "body", details)
    return error_of(made, verdict, CONTEXT, NOW)


def test_a_verdict_decides_what_it_names() -> None:
    """A verdict's class, words, code and wait count; what it leaves out comes from the response."""
    error = verdict_error(
        Verdict(e.OverloadedError, retryable=False, retry_after_seconds=3.0, message="ours", code="mine"),
        headers={"retry-after": "9"},
    )
    assert (type(error), error.retryable, error.retry_after_seconds, error.code) == (
        e.OverloadedError,
        False,
        3.0,
        "mine",
    )
    assert error.message == "Acme: ours"
    plain = verdict_error(Verdict(e.OverloadedError), headers={"retry-after": "9"})
    assert (plain.retryable, plain.retry_after_seconds, plain.code, plain.message) == (True, 9.0, "c", "Acme: theirs")


def test_without_a_verdict_the_status_decides() -> None:
    """When no hook says anything the status gives the class."""
    assert type(verdict_error(None, status=401)) is e.AuthenticationError


def test_a_failure_without_a_key_is_left_alone() -> None:
    """A key too short to be one takes nothing out."""
    assert failure_of(400, {}, "response", b"a b a", "a").body == "a b a"
    assert failure_of(400, {}, "response", b"a abcd a", "abcd").body == "a *** a"


SHAPES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 700)
    | st.sampled_from(["", "x", "500", "insufficient_quota", "\ud83d"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "param", "detail", "loc", "msg", "errors", "status"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@pytest.mark.slow
@settings(deadline=None)
@given(SHAPES, st.sampled_from([200, 400, 401, 404, 429, 500, 503]))
def test_any_body_is_classified(body: Any, status: int) -> None:
    """Whatever JSON an error response holds, it becomes one of our errors, with a text that can be encoded."""
    failure = failure_of(status, {}, "response", json.dumps(body).encode(), "")
    error = error_of(failure, classify_error(failure, CONTEXT), CONTEXT, NOW)
    str(error).encode()
    assert isinstance(error.retryable, bool)
    assert error.code is None or isinstance(error.code, str)


def test_who_asks_to_wait_is_said() -> None:
    assert str(e.OverloadedError("No.", retry_after_seconds=1.5)) == "No. Try again in 1.5 s."
    words = "No. [acme] The vendor asks to wait 1.5 s."
    assert str(e.OverloadedError("No.", provider="acme", retry_after_seconds=1.5)) == words
