"""What is on a tape: requests as they are matched, and what came in answer, step by step."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from ...engine.commands import Head

__all__ = ["Asked", "Exchange", "Step"]


@attrs.frozen
class Asked:
    """A request: what of it may be kept. `body` is a JSON value if `form` is "json", else a text, or bytes."""

    method: str
    url: str
    form: Literal["json", "text", "base64", "none"] = "none"
    body: Any = None
    headers: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Step:
    """One thing that came: a piece of the body, or its end.

    `whole`: the body has ended as HTTP says. `left`: nobody read on. `failure`: the connection broke (`words`, `stage`
    and `failure` are those of the transport). `timeout`: nothing came within the time that the client gave (`stage`).
    `after_seconds` is how long it took, None where times are not kept.
    """

    kind: Literal["piece", "whole", "left", "failure", "timeout"]
    data: bytes = b""
    words: str = ""
    stage: str = ""
    failure: str = ""
    after_seconds: float | None = None


@attrs.frozen
class Exchange:
    """A request and its answer; without a head where none came. Its last step is no piece."""

    asked: Asked
    head: Head | None
    steps: tuple[Step, ...]
    head_after_seconds: float | None = None
