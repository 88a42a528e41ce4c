"""`classify_error`: the codes that this protocol has besides the standard's."""

from __future__ import annotations

from collections.abc import Mapping

from chatport import (
    BadRequestError,
    ChatportError,
    ContentFilterError,
    Context,
    Failure,
    OverloadedError,
    ServerError,
    Verdict,
    hookimpl,
)

__all__ = ["classify_error"]

_CODES: Mapping[str, type[ChatportError]] = {
    **dict.fromkeys(("invalid_prompt", "cyber_policy", "bio_policy"), ContentFilterError),  # RS-X4, RS-P4
    **dict.fromkeys(("server_is_overloaded", "slow_down"), OverloadedError),  # RS-X7
    "previous_response_not_found": BadRequestError,  # RS-S4
    "vector_store_timeout": ServerError,  # RS-P4
}

_ANOTHERS = (
    "Sealed thoughts go back only to the organisation that they came from. To go on without them, take them out of the "
    "earlier answers: attrs.evolve(message, opaque={})."
)


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict | None:
    """Return what a code of the protocol means; all others are the standard's."""
    code = failure.details.code.lower()
    if code == "invalid_encrypted_content":  # RS-O9: of another organisation, or of another provider's account
        return Verdict(BadRequestError, message=f"{failure.details.message} {_ANOTHERS}")
    error = _CODES.get(code)
    return None if error is None else Verdict(error)
