"""What is logged: the life of a call, at its levels, without prompt, reply or key. A failing log fails no call."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

import chatport
from chatport.basics.log import emit

KEY = "sk-canary-1f0c2e"
PROMPT = "a prompt that nobody else reads"
REPLY = "a reply that nobody else reads"
CONFIG: dict[str, Any] = {
    "providers": {"x": {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": {"env": "CANARY_KEY"}}},
    "retry": {"attempts": 1},
}


class Captured(list[dict[str, Any]]):
    """A last processor that keeps what would be written."""

    def __call__(self, logger: Any, method: str, fields: Any) -> Any:
        self.append({"level": method, **fields})
        raise structlog.DropEvent


@pytest.fixture
def logs() -> Iterator[Captured]:
    captured = Captured()
    structlog.configure(processors=[captured])
    yield captured
    structlog.reset_defaults()


def test_each_event_has_its_level(logs: Captured) -> None:
    levels = {
        "call_started": "debug",
        "attempt_started": "debug",
        "attempt_failed": "warning",
        "first_event": "debug",
        "call_finished": "info",
        "call_failed": "error",
        "call_cancelled": "info",
    }
    for event in levels:
        emit(event, call_id="c1", target="x:m")
    assert {entry["event"]: entry["level"] for entry in logs} == levels
    assert all(entry["call_id"] == "c1" and entry["target"] == "x:m" for entry in logs)


def test_what_is_unknown_is_left_out_and_long_text_is_cut(logs: Captured) -> None:
    emit("call_finished", cost_amount=None, input_tokens=0, request_id="i" * 10_000)
    assert logs == [{"level": "info", "event": "call_finished", "input_tokens": 0, "request_id": "i" * 255 + "…"}]


def test_a_log_that_fails_is_a_warning() -> None:
    def broken(logger: Any, method: str, fields: Any) -> Any:
        raise OSError("the disk is full")

    structlog.configure(processors=[broken])
    try:
        with pytest.warns(RuntimeWarning, match="could not log 'call_started'.*the disk is full"):
            emit("call_started", target="x:m")
    finally:
        structlog.reset_defaults()


def test_nothing_is_logged_where_structlog_is_not_configured(capfd: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()
    emit("call_failed", target="x:m")
    code = "import sys; from chatport.basics.log import emit; emit('call_failed'); sys.exit('structlog' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert capfd.readouterr() == ("", "")


def answer(request: httpx.Request) -> httpx.Response:
    assert PROMPT in request.content.decode()
    message = {"role": "assistant", "content": REPLY}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return httpx.Response(200, json={"id": "r1", "model": "m", "choices": [choice]})


def echo(request: httpx.Request) -> httpx.Response:
    """Refuse in the way of vendors that quote the request: with the key and the prompt."""
    key = request.headers["authorization"]
    return httpx.Response(400, json={"error": {"message": f"bad: {PROMPT} {key}", "code": KEY}})


@pytest.mark.parametrize("vendor", [answer, echo])
@pytest.mark.filterwarnings("ignore:.*token counts")
def test_no_log_holds_prompt_reply_or_key(vendor: Any, logs: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", KEY)
    with httpx.Client(transport=httpx.MockTransport(vendor)) as http, chatport.Client(CONFIG, transport=http) as client:
        try:
            client.chat(PROMPT, model="x:m")
        except chatport.BadRequestError:
            assert vendor is echo
    assert logs[-1]["event"] == ("call_failed" if vendor is echo else "call_finished")
    for secret in (KEY, PROMPT, REPLY):
        assert secret not in repr(logs)


# --- the logging of the standard library


class Kept(logging.Handler):
    """A handler at the root, as `logging.basicConfig` makes one."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Structlog is not configured, and the logger `chatport` takes everything."""
    structlog.reset_defaults()
    handler, logger = Kept(), logging.getLogger("chatport")
    logging.getLogger().addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(logging.NOTSET)
    logging.getLogger().removeHandler(handler)


def one_call(vendor: Any, monkeypatch: pytest.MonkeyPatch, **log: Any) -> None:
    monkeypatch.setenv("CANARY_KEY", KEY)
    config = {**CONFIG, "log": log}
    with httpx.Client(transport=httpx.MockTransport(vendor)) as http, chatport.Client(config, transport=http) as client:
        try:
            client.chat(PROMPT, model="x:m")
        except chatport.BadRequestError:
            assert vendor is echo


@pytest.mark.parametrize("vendor", [answer, echo])
@pytest.mark.filterwarnings("ignore:.*token counts")
def test_who_configures_only_logging_sees_the_same_events(
    vendor: Any, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_call(vendor, monkeypatch)
    ours = [record for record in kept.records if record.name == "chatport"]
    last = "call_failed" if vendor is echo else "call_finished"
    assert [record.getMessage().split()[0] for record in ours][:2] == ["call_started", "attempt_started"]
    assert ours[-1].getMessage().startswith(f"{last} call_id=")
    assert ours[-1].levelno == (logging.ERROR if vendor is echo else logging.INFO)
    assert vars(ours[-1])["chatport"]["target"] == "x:m"
    assert "None" not in repr(kept.lines)
    for secret in (KEY, PROMPT, REPLY):
        assert secret not in repr([vars(record) for record in kept.records])


@pytest.mark.parametrize(
    ("level", "of_an_answer", "of_an_error"),
    [
        (logging.INFO, ["call_finished"], ["attempt_failed", "call_failed"]),
        (logging.WARNING, [], ["attempt_failed", "call_failed"]),
        (logging.ERROR, [], ["call_failed"]),
        (logging.CRITICAL, [], []),
    ],
)
@pytest.mark.filterwarnings("ignore:.*token counts")
def test_a_level_holds(
    level: int, of_an_answer: list[str], of_an_error: list[str], kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("chatport").setLevel(level)
    for vendor, events in ((answer, of_an_answer), (echo, of_an_error)):
        kept.records.clear()
        one_call(vendor, monkeypatch)
        assert [record.getMessage().split()[0] for record in kept.records if record.name == "chatport"] == events


def test_structlog_goes_before_it_and_nothing_is_logged_twice(kept: Kept) -> None:
    captured = Captured()
    structlog.configure(processors=[captured])
    try:
        emit("call_failed", target="x:m")
    finally:
        structlog.reset_defaults()
    assert [entry["event"] for entry in captured] == ["call_failed"]
    assert kept.records == []


def test_structlog_is_not_configured_for_it(kept: Kept) -> None:
    emit("call_failed", target="x:m")
    assert kept.lines == ["call_failed target=x:m"]
    assert not structlog.is_configured()


def test_without_a_handler_nothing_is_printed() -> None:
    """Python itself would print a warning that has no handler."""
    code = "import logging; from chatport.basics.log import emit; emit('call_failed', target='x:m')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    code = f"import logging; logging.basicConfig(); {code.partition('; ')[2]}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "ERROR:chatport:call_failed target=x:m\n")


def test_a_line_is_one_line_and_its_values_can_be_told_apart(kept: Kept) -> None:
    told = [{"role": "user", "parts": [{"type": "text", "content": "two\nlines \x1b[2J\u202e"}]}]
    emit("call_started", target="x:m", model="a model", stream=True, seconds=0.25, tools=0, input_messages=told)
    (line,) = kept.lines
    assert line.isprintable()
    head, _, content = line.partition(" input_messages=")
    assert head == 'call_started target=x:m model="a model" stream=true seconds=0.25 tools=0'
    assert json.loads(content) == told
    assert vars(kept.records[0])["chatport"]["input_messages"] == told


def test_a_handler_that_fails_is_a_warning(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(record: logging.LogRecord) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(kept, "emit", broken)
    with pytest.warns(RuntimeWarning, match="logging could not log 'call_failed'.*the disk is full"):
        emit("call_failed", target="x:m")


@pytest.mark.filterwarnings("ignore:.*token counts")
def test_content_that_was_asked_for_is_in_both_logs_without_the_key(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_call(answer, monkeypatch, content=True)
    captured = Captured()
    structlog.configure(processors=[captured])
    try:
        one_call(answer, monkeypatch, content=True)
        one_call(echo, monkeypatch, content=True)
    finally:
        structlog.reset_defaults()
    for shown in (repr(kept.lines), repr(captured)):
        assert PROMPT in shown
        assert REPLY in shown
        assert KEY not in shown
