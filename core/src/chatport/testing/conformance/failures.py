"""Every error of the vendor is one of ours, and nothing final is tried again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ... import errors as e
from ...client.sync import Client
from ..emulator import VendorEmulator
from ..recordings import replay
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
_ALL_STATUSES = range(400, 600)
_BODIES = (b"", b"<html>gone</html>", b"[]", b"null", b'"x"', b'{"error": 5}', b'{"error": {"code": {}}}', b"{")
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
            wanted = " or ".join(cls.__name__ for cls in STATUSES[status])
            found = f"{type(error).__name__}, and not {wanted}: {error}"
            self.subject.check(isinstance(error, STATUSES[status]), "classify_error", _said(status), found, _CLASSIFY)

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
        it = self.subject
        for status in (400, 404, 418, 429, 500, 502, 599):
            for body in _BODIES:
                given = f"status {status}, body {body!r}"
                try:
                    replay(it.provider, status=status, body=body, stream=False, model=it.model)
                except e.PluginError as error:
                    it.fail("classify_error", given, str(error), "read the body only where it has the shape you expect")
                except e.ChatportError as error:
                    wrong = status < 500 and status != 429 and error.retryable
                    it.check(not wrong, "classify_error", given, f"{type(error).__name__} would be tried again")
                else:
                    it.fail("classify_error", given, "it became a reply", "give events only for a body that you know")

    # --- tools for the tests

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


def _body_of(vendor: VendorEmulator, status: int) -> str:
    """Return the body of an error without its number, which is all that differs where the vendor has none for it."""
    refusal = vendor.error_for(status)
    return str(refusal.body).replace(str(status), "") if refusal.status == status else ""


def _said(number: int) -> str:
    return f"the emulator's answer to `error: {number}`"
