"""One HTTP answer as a value and as a corpus file: a line of JSON for its head, then the bytes of its body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

import attrs

__all__ = ["KINDS", "Exchange", "Kind", "read_exchange"]

Kind = Literal["stream", "whole", "models", "embeddings", "schema", "terminal"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@attrs.frozen
class Exchange:
    """What a vendor answered. `kind` is what it was asked for: a streamed or a plain chat, its models, embeddings; a
    `schema` is no answer, but a JSON Schema to ask with, and a value that came for it.

    For `terminal` the body is a text that goes to one, whoever wrote it.

    `provider` is whose answer it was, "" for anybody's.
    """

    kind: Kind
    body: bytes
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    provider: str = ""

    def written(self) -> bytes:
        """Return the bytes of a corpus file."""
        head: dict[str, Any] = {"kind": self.kind, "status": self.status, "headers": dict(self.headers)}
        head |= {"provider": self.provider} if self.provider else {}
        return json.dumps(head).encode() + b"\n" + self.body


def read_exchange(data: bytes) -> Exchange | None:
    """Return the exchange of a corpus file, None if the bytes are none: a fuzzer breaks the first line too."""
    line, _, body = data.partition(b"\n")
    try:
        head: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(head, dict):
        return None
    kind, status, headers = head.get("kind"), head.get("status"), head.get("headers")
    if kind not in KINDS or type(status) is not int or not 200 <= status <= 599 or not isinstance(headers, dict):
        return None
    texts = {name.lower(): text for name, text in headers.items() if _is_text(text)}
    return Exchange(kind, body, status, texts, str(head.get("provider") or ""))


def _is_text(value: Any) -> bool:
    """Whether a value can be a header's: HTTP libraries hand over no line ends, and no half characters."""
    return isinstance(value, str) and not set(value) & set("\r\n\0") and value.isprintable()
