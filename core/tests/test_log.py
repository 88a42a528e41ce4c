"""What is logged: the life of a call, at its levels, without prompt, reply or key. A failing log fails no call."""

from __future__ import annotations

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
