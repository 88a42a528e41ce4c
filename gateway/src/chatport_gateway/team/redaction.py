"""Content as it may be kept: without what looks like a key, and without bytes that no database takes."""

from __future__ import annotations

import re

__all__ = ["redacted"]

_KEYS = re.compile(
    r"(?:sk|pk|rk|cpk|key|ghp|gho|ghs|github_pat|glpat|xox[abprs]|hf|gsk|xai|AKIA|ASIA|AIza|ya29|eyJ)[-_.A-Za-z0-9]{16,}"
    r"|(?<=[Bb]earer )[-_.~+/=A-Za-z0-9]{12,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----"
)
_SHOWN = "[taken out]"


def redacted(data: bytes) -> str:
    """Return bytes of JSON as text that may be kept."""
    text = data.decode("utf-8", "replace").replace("\\u0000", "\ufffd").replace("\x00", "\ufffd")
    return _KEYS.sub(_SHOWN, text)
