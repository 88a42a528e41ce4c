"""`classify_error` for GLM: the numeric code in the body decides; an HTTP 429 alone means nothing (GL-0.3)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from urllib.parse import urlsplit

from chatport import errors as e
from chatport.call import Context, Failure, Verdict
from chatport.hooks import hookimpl

__all__ = ["classify_error"]

_ROWS: tuple[tuple[str, type[e.ChatportError]], ...] = (
    ("1000 1001 1003 1005", e.AuthenticationError),  # GL-E1
    ("1220", e.PermissionDeniedError),  # GL-E2
    ("1113", e.QuotaExceededError),  # GL-E3
    ("1210 1212 1213 1214 1215", e.BadRequestError),  # GL-E4, GL-E6
    ("1211 1221 1222", e.ModelNotFoundError),  # GL-E5, GL-E7
    ("1261", e.ContextLengthError),  # GL-E8, GL-X10: the code, since there are two wordings
    ("1301", e.ContentFilterError),  # GL-E9
    ("1302 1313", e.RateLimitError),  # GL-E10, GL-E15
    ("1305", e.OverloadedError),  # GL-E11
    ("1304 1308 1310 1316 1317 1318 1319 1320 1321", e.QuotaExceededError),  # GL-E12
    ("1309 1314 1315", e.QuotaExceededError),  # GL-E13
    ("1311", e.PermissionDeniedError),  # GL-E14
    ("500 1200 1230 1234 network_error", e.ServerError),  # GL-E16, GL-S6
)
_CODES: Mapping[str, type[e.ChatportError]] = {code: error for codes, error in _ROWS for code in codes.split()}


@hookimpl(wrapper=True)
def classify_error(failure: Failure, context: Context) -> Generator[None, Verdict, Verdict]:
    verdict = yield
    code, said = failure.details.code, failure.details.message
    error = _CODES.get(code)
    if failure.status == 434 and error is None:
        return Verdict(e.PermissionDeniedError)  # GL-E17
    if error is None:
        return verdict
    if error is e.BadRequestError and issubclass(verdict.error, e.BadRequestError | e.ModelNotFoundError):
        return verdict  # the wording may say more than the code: 1214 is also seen for an unknown model (GL-E6)
    host = urlsplit(context.base_url).hostname
    if error is e.AuthenticationError:
        return Verdict(error, message=f"{said} (A key belongs to one region; this call went to {host}.)")
    if code == "1113" and "/coding/" not in context.base_url:  # GL-0.2, GL-X3
        return Verdict(error, message=f'{said} (A key of the coding plan gets this too: it needs plan = "coding".)')
    if code == "1313":  # a quick second try would only feed it
        return Verdict(error, retryable=False, message=f"{said} (Fair use: let some minutes pass.)")
    return Verdict(error)
