"""What came to an emulator, one line for each request: without keys, and without content unless that is asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, TypeAlias
from urllib.parse import parse_qsl

from ..jsoncodec import decode
from .wire import EmulatedRequest, list_of

__all__ = ["LogTarget", "RequestLog"]

LogTarget: TypeAlias = "TextIO | Path | str | Callable[[str], object]"
"""A file that is open, the path of one that lines are appended to, or a function that takes a line."""

_KEY_HEADERS = ("authorization", "x-api-key", "api-key")
_SHORTEST_KEY = 4
"""A shorter one is no secret, and stands in many a word."""


class RequestLog:
    """Writes the lines. Safe to use from several threads."""

    def __init__(self, target: LogTarget, *, content: bool = False) -> None:
        self._target = target
        self._content = content
        self._lock = threading.Lock()

    def write(
        self, request: EmulatedRequest, status: int | None, answer: bytes | None, fault: str, now: datetime
    ) -> None:
        """Write the line of a request: `status` and `answer` of what is sent, and the name of the fault in it.

        None stands for a status that does not come, and for an answer that is made while it is sent.
        """
        line = _line(request, status, fault, now)
        if self._content:
            answered = "" if answer is None else f" answer={_shown(answer)}"
            line += f" body={_shown(request.content)}{answered}"
        line = _without_keys(line, request)
        with self._lock:
            self._put(line)

    def _put(self, line: str) -> None:
        if isinstance(self._target, str | Path):
            with Path(self._target).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        elif callable(self._target):
            self._target(line)
        else:
            self._target.write(line + "\n")
            self._target.flush()


def _line(request: EmulatedRequest, status: int | None, fault: str, now: datetime) -> str:
    path = request.path.split("?")[0]  # a query may have a key
    parts = [f"{now:%Y-%m-%dT%H:%M:%SZ}", request.method, _shown(path.encode("utf-8", "replace"))[1:-1]]
    parts += [f"{name}={value}" for name, value in _facts_of(request).items()]
    parts += [f"status={'-' if status is None else status}", *([f"fault={json.dumps(fault)}"] if fault else [])]
    return " ".join(parts)


def _facts_of(request: EmulatedRequest) -> dict[str, Any]:
    """Return what a request asks for, without what it says."""
    try:
        body = decode(request.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return {"bytes": len(request.content)}
    found = {"model": json.dumps(str(body["model"])[:200])} if "model" in body else {}
    counts = {name: len(list_of(body[name])) for name in ("messages", "tools") if name in body}
    return {**found, "stream": str(bool(body.get("stream"))).lower(), **counts, "bytes": len(request.content)}


def _shown(content: bytes) -> str:
    """Return a text on one line, without control characters, whatever the client sent."""
    return json.dumps(content.decode("utf-8", "replace"))


def _without_keys(line: str, request: EmulatedRequest) -> str:
    """Take out what may be a key, wherever it is repeated: what headers for keys hold, and what a query gives."""
    words = [word for name in _KEY_HEADERS for word in request.headers.get(name, "").split()]
    words += [value for _, value in parse_qsl(request.path.partition("?")[2])]
    for key in sorted(words, key=len, reverse=True):
        if len(key) >= _SHORTEST_KEY and key.lower() not in ("bearer", "basic"):
            line = line.replace(json.dumps(key)[1:-1], "***")
    return line
