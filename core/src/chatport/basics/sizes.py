"""The most that is accepted from a server. Bytes alone bound little: a few of them may stand for a large object."""

from __future__ import annotations

import attrs

from .values import Value

__all__ = ["Limits"]


@attrs.frozen(eq=False, repr=False)
class Limits(Value):
    """The most accepted from a server: bytes after decompression, and what is built from them.

    `values` are the JSON values of one event or body, and those kept of a stream; `embedding_values` the numbers of an
    embeddings reply. `tool_calls` are those of all choices together, `parts` those of one content or reasoning list,
    and the content blocks of an answer.
    """

    event_bytes: int = 8 * 1024 * 1024
    body_bytes: int = 64 * 1024 * 1024
    values: int = 2_000_000
    embedding_values: int = 8_000_000
    choices: int = 1_000
    tool_calls: int = 1_000
    parts: int = 10_000
