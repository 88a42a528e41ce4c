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


TWICE: Mapping[str, Headers] = {
    "seconds": hint(retry_after="1, 7"),
    "the longer one first": hint(retry_after="7, 1"),
    "three": hint(retry_after="1,7,3"),
    "seconds and nonsense": hint(retry_after="soon, 7"),
    "durations": hint(retry_after="7s, 1s"),
    "milliseconds": hint(retry_after_ms="7000, 250"),
    "dates": lambda now: {
        "retry-after": ", ".join(
            format_datetime(now + timedelta(seconds=seconds), usegmt=True) for seconds in (SECONDS, 2)
        )
    },
    "seconds and a date": lambda now: {
        "retry-after": "1, " + format_datetime(now + timedelta(seconds=SECONDS), usegmt=True)
    },
    "a date and seconds": lambda now: {"retry-after": format_datetime(now + timedelta(seconds=1), usegmt=True) + ", 7"},
}


@on_backends
@pytest.mark.parametrize("form", TWICE)
def test_of_a_header_that_came_twice_the_longer_wait_counts(backend: str, form: str) -> None:
    w = hinted(backend, TWICE[form])
    w.ask()
    assert w.clock.waits == [pytest.approx(SECONDS)]


YEARS = timedelta(days=365)
FAR: Mapping[str, tuple[Headers, float]] = {
    "a number that was a moment long ago": (hint(retry_after="1000000000"), 1e9),
    "one beside it": (hint(retry_after="1000000001"), 1000000001),
    "below it": (hint(retry_after="999999999"), 999999999),
    "the same in milliseconds": (hint(retry_after="1000000000000"), 1e12),
    "more digits than any clock has": (hint(retry_after="9" * 30), 1e15),
    "more than a float holds": (hint(retry_after="9" * 400), 1e15),
    "milliseconds that are too many": (hint(retry_after_ms="9" * 400), 1e12),
    "a duration beyond sense": (hint(retry_after="99999999999s"), 99999999999),
    "a date far ahead": (lambda now: {"retry-after": format_datetime(now + 10 * YEARS, usegmt=True)}, 3650 * 86400),
    "a Unix time far ahead": (lambda now: {"retry-after": f"{(now + 10 * YEARS).timestamp():.0f}"}, 3650 * 86400),
    "one of two is far ahead": (hint(retry_after="1, 1000000000"), 1e9),
}


@on_backends
@pytest.mark.parametrize("form", FAR)
def test_a_wait_of_years_is_over_the_cap_and_never_taken_for_one_that_is_over(backend: str, form: str) -> None:
    headers, seconds = FAR[form]
    w = hinted(backend, headers)
    error = w.ask().error
    assert isinstance(error, chatport.RateLimitError)
    assert error.retry_after_seconds == pytest.approx(seconds)
    assert (w.requests, w.clock.waits) == (1, [])
    assert hinted(backend, headers, targets=2).ask().story == [("one", "RateLimitError"), ("two", "ok")]


OVER: Mapping[str, Headers] = {
    "zero": hint(retry_after="0"),
    "zero with parts": hint(retry_after="0.0"),
    "no milliseconds": hint(retry_after_ms="0"),
    "a date in the past": lambda now: {"retry-after": format_datetime(now - timedelta(minutes=5), usegmt=True)},
    "a Unix time in the past": lambda now: {"retry-after": f"{(now - timedelta(minutes=5)).timestamp():.0f}"},
    "a date of another age": lambda now: {"retry-after": format_datetime(now - 20 * YEARS, usegmt=True)},
}


@on_backends
@pytest.mark.parametrize("form", OVER)
def test_a_wait_that_is_over_is_none(backend: str, form: str) -> None:
    w = hinted(backend, OVER[form])
    outcome = w.ask()
    assert outcome.story == [("one", "RateLimitError"), ("one", "ok")]
    assert outcome.seconds == 0
    assert outcome.attempts[0].error is not None
    assert outcome.attempts[0].error.retry_after_seconds == 0


@on_backends
def test_a_wait_of_nothing_spends_the_retry_budget(backend: str) -> None:
    for value, attempts in (("0", 2), ("0.001", 5)):
        bad = [faults.rate_limited(value)] * 4
        w = World(backend, {"one": bad}, retry={"attempts": 5, "budget_least": 1, "budget_share": 0})
        assert len(w.ask().attempts) == attempts


@on_backends
@pytest.mark.parametrize("milliseconds", ["-5", "", "nan", "soon"])
def test_milliseconds_that_cannot_be_read_leave_the_word_to_the_seconds(backend: str, milliseconds: str) -> None:
    w = hinted(backend, hint(retry_after_ms=milliseconds, retry_after="7"))
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
