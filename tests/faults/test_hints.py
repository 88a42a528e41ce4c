"""How long a vendor asks us to wait, in each of its forms; and what becomes of a wait that is too long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import attrs
import pytest

import chatport
from chatport.engine.commands import Clock
from chatport.testing import VirtualClock, faults

from .world import World, on_backends, plain_and_streamed

SECONDS = 7.0
Headers = Callable[[datetime], Mapping[str, str]]


def hint(**headers: str) -> Headers:
    """Return a form of a hint that is the same at any time."""
    return lambda now: {name.replace("_", "-"): value for name, value in headers.items()}


def at(form: Callable[[datetime], str], name: str = "retry-after") -> Headers:
    """Return a form of a hint that names the moment at which the wait is over."""
    return lambda now: {name: form(now + timedelta(seconds=SECONDS))}


EAST = timezone(timedelta(hours=5, minutes=30))
FORMS: Mapping[str, Headers] = {
    "seconds": hint(retry_after="7"),
    "seconds with parts": hint(retry_after="7.000"),
    "seconds with blanks": hint(retry_after=" 7 "),
    "milliseconds": hint(retry_after_ms="7000"),
    "milliseconds before seconds": hint(retry_after_ms="7000", retry_after="8"),
    "duration": hint(retry_after="7s"),
    "duration of two units": hint(retry_after="0m7s"),
    "duration in milliseconds": hint(retry_after="7000ms"),
    "HTTP date": at(lambda moment: format_datetime(moment, usegmt=True)),
    "date of RFC 850": at(lambda moment: f"{moment:%A, %d-%b-%y %H:%M:%S GMT}"),
    "date of asctime": at(lambda moment: moment.ctime()),
    "ISO 8601": at(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}"),
    "ISO 8601 with an offset": at(lambda moment: moment.astimezone(EAST).isoformat()),
    "Unix time": at(lambda moment: f"{moment.timestamp():.0f}"),
    "Unix time in milliseconds": at(lambda moment: f"{moment.timestamp() * 1000:.0f}"),
    "requests that are full again": hint(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="7s"),
    "tokens that are full again": hint(
        x_ratelimit_remaining_tokens="0",
        x_ratelimit_reset_tokens="7s",
        x_ratelimit_remaining_requests="5",
        x_ratelimit_reset_requests="9s",
    ),
}
WORDS = {
    "words": "Rate limit reached. Please try again in 7s.",
    "words in milliseconds": "Please try again in 7000ms.",
    "words in full": "Please retry after 7 seconds.",
}


def refusal(headers: Mapping[str, str], words: str = "Too fast.") -> Any:
    return faults.status(429, headers=headers, body={"error": {"message": words, "type": "rate_limit_error"}})


def hinted(backend: str, hint: Headers, *, targets: int = 1, **tables: Any) -> World:
    """Return a world whose first target asks us to wait before it answers."""
    w = World(backend, dict.fromkeys(("one", "two")[:targets], ()), **tables)
    w.emulators["one"].misbehave([refusal(hint(w.clock.now()))])
    return w


@on_backends
@pytest.mark.parametrize("form", FORMS)
def test_a_hint_is_followed_in_each_form_whether_or_not_there_is_another_target(backend: str, form: str) -> None:
    for targets in (1, 2):
        w = hinted(backend, FORMS[form], targets=targets)
        outcome = w.ask()
        assert outcome.story == [("one", "RateLimitError"), ("one", "ok")]
        assert w.clock.waits == [pytest.approx(SECONDS)]
        assert outcome.attempts[0].wait_seconds == pytest.approx(SECONDS)


@on_backends
@pytest.mark.parametrize("form", WORDS)
def test_a_hint_is_followed_in_words(backend: str, form: str) -> None:
    w = World(backend, {"one": [refusal({}, WORDS[form])]})
    w.ask()
    assert w.clock.waits == [pytest.approx(SECONDS)]


KIT_FORMS = ("seconds", "milliseconds", "date", "rfc850", "asctime", "duration", "iso", "epoch", "epoch_milliseconds")


@on_backends
@pytest.mark.parametrize("form", KIT_FORMS)
def test_a_hint_is_followed_in_each_form_of_the_fault_kit(backend: str, form: Any) -> None:
    w = World(backend, {"one": [faults.rate_limited(SECONDS, form=form)]})
    w.ask()
    assert w.clock.waits == [pytest.approx(SECONDS)]


@on_backends
@pytest.mark.parametrize(
    "nonsense", ["", "soon", "-5", "nan", "inf", "1e400", "99:99", "Mon, 99 Foo 2026 00:00:00 GMT"]
)
def test_a_hint_that_cannot_be_read_is_no_hint(backend: str, nonsense: str) -> None:
    w = World(backend, {"one": [faults.rate_limited(nonsense)]})
    outcome = w.ask()
    assert outcome.reply.text
    assert w.clock.waits == [pytest.approx(0.25)]


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date", "duration"])
def test_a_hint_over_the_cap_is_an_error_at_once_that_carries_it(backend: str, stream: bool, form: str) -> None:
    forms: Mapping[str, Headers] = {
        "seconds": hint(retry_after="61"),
        "milliseconds": hint(retry_after_ms="61000"),
        "date": lambda now: {"retry-after": format_datetime(now + timedelta(seconds=61), usegmt=True)},
        "duration": hint(retry_after="1m1s"),
    }
    w = hinted(backend, forms[form])
    outcome = w.ask(stream=stream)
    assert isinstance(outcome.error, chatport.RateLimitError)
    assert outcome.error.retry_after_seconds == pytest.approx(61)
    assert (outcome.seconds, w.requests) == (0, 1)
    assert "asks to wait 61 s" in str(outcome.error)


@on_backends
@plain_and_streamed
def test_a_hint_over_the_cap_leads_to_the_next_target_at_once(backend: str, stream: bool) -> None:
    outcome = hinted(backend, hint(retry_after="61"), targets=2).ask(stream=stream)
    assert outcome.story == [("one", "RateLimitError"), ("two", "ok")]
    assert outcome.seconds == 0


@on_backends
def test_a_hint_at_the_cap_is_followed_and_the_cap_is_the_users(backend: str) -> None:
    assert hinted(backend, hint(retry_after="60")).ask().seconds == 60
    w = hinted(backend, hint(retry_after="90"), retry={"longest_hint_seconds": 100})
    assert w.ask().seconds == 90


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("targets", [1, 2])
def test_a_hint_longer_than_the_time_left_is_not_waited_for(backend: str, stream: bool, targets: int) -> None:
    w = hinted(backend, hint(retry_after="7"), targets=targets, timeouts={"total": 6})
    outcome = w.ask(stream=stream)
    assert outcome.seconds == 0
    if targets == 1:
        assert isinstance(outcome.error, chatport.RateLimitError)
        assert outcome.error.retry_after_seconds == SECONDS
        assert w.requests == 1
    else:
        assert outcome.story == [("one", "RateLimitError"), ("two", "ok")]


# --- clocks that are wrong, or are set while we wait

DATED: Mapping[str, Headers] = {name: FORMS[name] for name in ("HTTP date", "ISO 8601", "Unix time", "seconds")}
HOUR = timedelta(hours=1)


@on_backends
@pytest.mark.parametrize("form", DATED)
@pytest.mark.parametrize("wrong_by", [-HOUR, HOUR], ids=["ahead", "behind"])
def test_a_vendors_own_date_keeps_a_wrong_clock_from_doing_harm(backend: str, form: str, wrong_by: timedelta) -> None:
    def vendors(now: datetime) -> Mapping[str, str]:
        theirs = now + wrong_by
        return {**DATED[form](theirs), "date": format_datetime(theirs, usegmt=True)}

    w = hinted(backend, vendors)
    w.ask()
    assert w.clock.waits == [pytest.approx(SECONDS)]


@on_backends
@pytest.mark.parametrize("form", DATED)
@pytest.mark.parametrize("jump", [-24 * HOUR, 24 * HOUR], ids=["back", "forth"])
def test_a_clock_that_is_set_during_the_wait_changes_nothing(backend: str, form: str, jump: timedelta) -> None:
    for targets in (1, 2):
        w = hinted(backend, DATED[form], targets=targets, timeouts={"total": 30})
        w.client._shared = attrs.evolve(w.client._shared, clock=jumping(w.clock, jump))
        outcome = w.ask()
        assert outcome.reply.provider == "one"
        assert w.clock.waits == [pytest.approx(SECONDS)]
        assert outcome.seconds == pytest.approx(SECONDS)


def jumping(virtual: VirtualClock, jump: timedelta) -> Clock:
    """Return a clock whose time of day is set in the middle of each wait."""

    def sleep(seconds: float) -> None:
        assert virtual.clock.sleep is not None
        virtual.set(virtual.now() + jump)
        virtual.clock.sleep(seconds)

    return attrs.evolve(virtual.clock, sleep=sleep)
