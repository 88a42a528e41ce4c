"""What a client can learn of how its call was answered, in headers that no protocol minds."""

from __future__ import annotations

import json

from chatport import Reply

__all__ = ["TARGET", "WARNINGS", "headers_of"]

TARGET = "x-chatport-target"
"""The header with the target that has answered, `provider:model`."""
WARNINGS = "x-chatport-warnings"
"""The header with what is not as asked for: a JSON list of texts, in ASCII: as many as fit, and how many more."""
_MOST_CHARACTERS = 4000


def headers_of(reply: Reply) -> tuple[tuple[str, str], ...]:
    """Return the headers for a reply, or for what has come of one."""
    target = f"{reply.provider}:{reply.model}".encode("ascii", "replace").decode()
    told = ((TARGET, "".join(filter(str.isprintable, target))),)
    warnings = [str(warning) for warning in reply.warnings]
    return (*told, (WARNINGS, _listed(warnings))) if warnings else told


def _listed(warnings: list[str]) -> str:
    """Return as many as fit, and how many did not: nothing is left out unsaid."""
    text, kept = json.dumps(warnings), len(warnings)
    while len(text) > _MOST_CHARACTERS:
        kept -= 1
        text = json.dumps([*warnings[:kept], f"{len(warnings) - kept} more"])
    return text
