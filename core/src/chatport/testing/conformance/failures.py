"""Every error of the vendor is one of ours, and nothing final is tried again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

import pytest

from ... import errors as e
from ...client.sync import Client
from ...engine.commands import Head
from .. import faults
from ..clock import VirtualClock
from ..emulator import VendorEmulator
from ..recordings import play
from ..server import Emulator
from .subject import ConformanceTests

__all__ = ["STATUSES", "FailureTests"]

STATUSES: Mapping[int, tuple[type[e.ChatportError], ...]] = {
    400: (e.BadRequestError,),
    401: (e.AuthenticationError,),
    402: (e.QuotaExceededError,),
    403: (e.PermissionDeniedError, e.QuotaExceededError, e.ContentFilterError),
    404: (e.ModelNotFoundError, e.BadRequestError),
    429: (e.RateLimitError, e.QuotaExceededError, e.OverloadedError),
    500: (e.ServerError,),
    503: (e.OverloadedError, e.ServerError),
}
"""The usual statuses, with the classes that each may mean."""
_MORE: Mapping[int, tuple[type[e.ChatportError], ...]] = {
    **STATUSES,
    408: (e.ServerError, e.OverloadedError),
    413: (e.BadRequestError, e.RateLimitError),
    422: (e.BadRequestError,),
    501: (e.UnsupportedFeatureError, e.ServerError),
    529: (e.OverloadedError, e.ServerError),
}
_ALL_STATUSES = range(400, 600)
_BODIES = (b"", b"<html>gone</html>", b"[]", b"null", b'"x"', b'{"error": 5}', b'{"error": {"code": {}}}', b"{")
_ODD = (
    b'{"detail": ["x"]}',
    b'{"detail": [{"loc": ["body", 1], "msg": 5}]}',
    b"[[]]",
    b'["x", 1]',
    b"5",
    b"true",
    b"\xff\xfe",
)
_PASSING = (e.RateLimitError, e.OverloadedError, e.ServerError, e.TransportError, e.DeadlineError)
_FINAL = "only what may pass by itself is retryable: too fast, no capacity, the vendor's own failure"
_BROKE = ("insufficient_quota", "You exceeded your current quota, please check your plan and billing details.")
_CLASSIFY = "return a Verdict with the right class from classify_error"


class FailureTests(ConformanceTests):
    """`statuses` are the usual ones with a known class each; all others, and `error_codes`, must at least be sound."""

    statuses: tuple[int, ...]
    error_codes: tuple[int, ...]

    def test_every_status_has_its_class(self) -> None:
        emulator = self.subject.emulator()
        client = self.subject.client(emulator)
        for status in self.statuses:
            error = self._error(client, emulator, status)
            meant = _meant(status)
            found = f"{type(error).__name__}, and not {' or '.join(cls.__name__ for cls in meant)}: {error}"
            self.subject.check(isinstance(error, meant), "classify_error", _said(status), found, _CLASSIFY)

    def test_no_wrong_request_is_tried_again(self) -> None:
        emulator = self.subject.emulator()
        client = self.subject.client(emulator)
        for status in (status for status in self.statuses if status < 500):
            error = self._error(client, emulator, status)
            may_pass = isinstance(error, _PASSING) and status not in (401, 402, 404)
            fine = may_pass or not error.retryable
            found = f"{type(error).__name__} would be tried again: {error}"
            self.subject.check(fine, "classify_error", _said(status), found, _FINAL)

    def test_every_error_the_emulator_knows_is_one_class_and_nothing_final_is_tried_again(self) -> None:
        """The same plain and streamed; retryable only where the class can be."""
        it, emulator = self.subject, self.subject.emulator()
        client = it.client(emulator)
        for number in self._known(emulator.vendor):
            given = _said(number)
            plain, streamed = (self._error(client, emulator, number, stream) for stream in (False, True))
            it.check(
                type(plain) is type(streamed) or plain.status != streamed.status,  # inside a 200 less may be known
                "classify_error",
                given,
                f"{type(plain).__name__} for a plain call and {type(streamed).__name__} for a stream",
                _CLASSIFY,
            )
            final = f"{type(plain).__name__} is final and would be tried again: {plain}"
            may = type(plain).retryable_by_default or not plain.retryable
            it.check(may, "classify_error", given, final, "let retryable be False, or choose a class that may be")
            it.check(plain.provider == it.name, "classify_error", given, f"the error names {plain.provider!r}")

    def test_unknown_errors_are_errors_of_ours(self) -> None:
        for status in (400, 401, 403, 404, 418, 422, 429, 500, 502, 503, 599):
            for body in (*_BODIES, *_ODD):
                given = f"status {status}, body {body!r}"
                error = self._replayed(status, body, given)
                wrong = status < 500 and status != 429 and error.retryable
                self.subject.check(not wrong, "classify_error", given, f"{type(error).__name__} would be tried again")
                found = f"it became {type(error).__name__}"
                self.subject.check(isinstance(error, _meant(status)), "classify_error", given, found, _CLASSIFY)

    def test_an_empty_account_is_no_rate_limit(self) -> None:
        """To wait would not help: with the standard's own words, at each status that vendors send them with."""
        code, words = _BROKE
        facts = self.subject.provider.facts
        if facts is not None and any(code in rule.code for rule in facts.errors):
            pytest.skip(f"the facts of {self.subject.name} say what {code} means here")
        for status in (402, 403, 429):
            given = f"status {status}, {code}"
            body = {"error": {"message": words, "type": code, "code": code, "param": None}}
            error = self._replayed(status, json.dumps(body).encode(), given)
            kept = isinstance(error, e.QuotaExceededError) and not error.retryable
            found = f"it became {type(error).__name__}, retryable: {error.retryable}"
            self.subject.check(kept, "classify_error", given, found, "look at the code before the status")

    def test_what_is_not_supported_is_final(self) -> None:
        """Whatever the model or the field: a wrong request stays wrong."""
        vendor = self.subject.emulator().vendor
        for status in (400, 404, 422):
            for words in ("This model does not support parameter chatport_field.", "Unsupported value: 'x'."):
                body = vendor.reply(status, vendor.error_body(status, words)).body
                given = f"status {status}, {words!r} in the vendor's shape"
                error = self._replayed(status, body, given)
                again = f"{type(error).__name__} would be tried again"
                self.subject.check(not error.retryable, "classify_error", given, again, _FINAL)
                kept = words.removesuffix(".") in str(error)
                self.subject.check(kept, "classify_error", given, f"the vendor's words are lost: {error}", "keep them")

    def test_the_time_to_wait_is_read_in_seconds(self) -> None:
        """A 429 with a hint is to be tried again, then; a 400 is not, whatever it says."""
        it = self.subject
        for form in ("seconds", "milliseconds"):
            emulator = it.emulator(faults=[faults.rate_limited(7, form=form)], clock=VirtualClock(datetime.now(UTC)))
            try:
                it.ask(it.client(emulator), "say: fine", False)
            except e.ChatportError as error:
                hint = error.retry_after_seconds
                given = f"a 429 with a hint of 7 s in the form {form!r}"
                kept = hint is not None and 5 <= hint <= 8
                it.check(
                    kept, "classify_error", given, f"retry_after_seconds is {hint}", "leave the headers to the core"
                )
                is_limit = not isinstance(error, e.QuotaExceededError)
                it.check(error.retryable or not is_limit, "classify_error", given, "it would not be tried again")
            else:
                it.fail("classify_error", "a 429", "it became a reply")
        emulator = it.emulator(faults=[faults.status(400, headers={"retry-after": "7"})])
        try:
            it.ask(it.client(emulator), "say: fine", False)
        except e.ChatportError as error:
            it.check(not error.retryable, "classify_error", "a 400 with retry-after", "it would be tried again", _FINAL)

    @pytest.mark.parametrize("place", [0, 3])
    def test_every_error_inside_a_stream_is_an_error(self, place: int) -> None:
        """The vendor's body of each status as an event of a 200, at the beginning and after some text."""
        it = self.subject
        for status in dict.fromkeys((*self.statuses, *_MORE)):
            emulator = it.emulator(faults=[faults.error_event(after_events=place, status=status)])
            given = f"the vendor's error {status} as an event of a stream, after {place} events"
            error = self._raised(partial(it.ask, it.client(emulator), "say: one two three", True), given)
            text = error.partial.text if error.partial else ""
            kept = "one two three".startswith(text)
            it.check(kept, "decode_chunk", given, f"the partial text is {text!r}", "give each piece as it comes")
            self._check_alike(status, error, given)

    def _check_alike(self, status: int, error: e.ChatportError, given: str) -> None:
        """Inside a stream less may be known, but nothing may be known to be something else."""
        it, emulator = self.subject, self.subject.emulator()
        plain = self._error(it.client(emulator), emulator, status)
        found = f"{type(error).__name__} inside a stream, and {type(plain).__name__} as a response"
        fine = type(error) is type(plain) or isinstance(error, (*_PASSING, e.BadRequestError))
        it.check(fine, "classify_error", given, found, _CLASSIFY)
        same_words = str(plain.message) == str(error.message)
        broke = isinstance(plain, e.QuotaExceededError) and isinstance(error, e.RateLimitError) and same_words
        it.check(not broke, "classify_error", given, found, "look at the code before the status")

    def test_odd_events_inside_a_stream_are_errors(self) -> None:
        it = self.subject
        for data in (["x"], "x", 5, {"detail": ["x"]}, {"error": "x"}, {"error": {"message": ["x"], "code": {}}}):
            emulator = it.emulator(faults=[faults.error_event(after_events=2, body=data)])
            given = f"the event {data!r} in a stream"
            self._raised(partial(it.ask, it.client(emulator), "say: one two three", True), given)

    # --- tools for the tests

    def _raised(self, run: Callable[[], object], given: str) -> e.ChatportError:
        """Return the error of ours that something ends in."""
        try:
            run()
        except e.PluginError as error:
            self.subject.fail(
                "classify_error", given, str(error), "read the body only where it has the shape you expect"
            )
        except e.ChatportError as error:
            return error
        return self.subject.fail(
            "classify_error", given, "it became a reply", "give events only for a body that you know"
        )

    def _replayed(self, status: int, body: bytes, given: str) -> e.ChatportError:
        route, head = self.subject.plain_route, Head(status, {})
        return self._raised(lambda: play(route, head, [body] if body else [], deliver=False), given)

    def _known(self, vendor: VendorEmulator) -> Iterable[int]:
        """The usual statuses, the codes that the author names, and each other status with a body of its own."""
        yield from self.statuses
        yield from self.error_codes
        unknown = _body_of(vendor, _ALL_STATUSES[-1])
        yield from (status for status in _ALL_STATUSES if _body_of(vendor, status) not in ("", unknown))

    def _error(self, client: Client, emulator: Emulator, number: int, stream: bool = False) -> e.ChatportError:
        it, before = self.subject, len(emulator.requests)
        try:
            it.ask(client, f"error: {number}", stream)
        except e.PluginError as error:
            it.fail("classify_error", _said(number), str(error), "mend the hook that fails")
        except e.ChatportError as error:
            it.check(
                len(emulator.requests) == before + 1, "classify_error", _said(number), "it was asked more than once"
            )
            return error
        else:
            it.fail("classify_error", _said(number), "it became a reply", "let the emulator answer it with an error")


def _meant(status: int) -> tuple[type[e.ChatportError], ...]:
    """Return the classes that a status may mean."""
    return _MORE.get(status) or ((e.BadRequestError,) if status < 500 else (e.ServerError, e.OverloadedError))


def _body_of(vendor: VendorEmulator, status: int) -> str:
    """Return the body of an error without its number, which is all that differs where the vendor has none for it."""
    refusal = vendor.error_for(status)
    return str(refusal.body).replace(str(status), "") if refusal.status == status else ""


def _said(number: int) -> str:
    return f"the emulator's answer to `error: {number}`"
