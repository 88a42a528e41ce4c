"""The file of a tape: JSON Lines, so that an exchange can be added, read by people, and compared line by line.

    {"chatport": "tape", "form": 1}
    {"request": "POST https://llm.example/v1/chat/completions", "headers": {…}, "json": {…}}
    {"response": 200, "headers": {…}}
    {"text": "data: {…}\\n\\n"}
    {"base64": "…"}
    {"end": "whole"}

A request's body is `json`, `text` or `base64`. Each piece of an answer's body is a line: `text`, or `base64` where it
is no UTF-8 by itself. An exchange ends with `{"end": "whole"}`, with `{"end": "left"}` where nobody read on,
`{"failure": "Connection reset by peer", "stage": "body", "kind": "ReadError"}` where the connection broke, or
`{"timeout": "io"}`. `after_seconds` beside any of them is how long that took. The form's number goes up with whatever
an older version would read wrongly.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...basics.display import one_line
from ...engine.commands import Head
from ...errors import ConfigurationError
from .exchanges import Asked, Exchange, Step

__all__ = ["FORM", "append_exchanges", "read_exchanges"]

FORM = 1
"""The form that is written. All forms up to it are read."""
_SHOWN = 60


def append_exchanges(path: Path, exchanges: Iterable[Exchange], *, is_new: bool) -> None:
    """Add exchanges to a file, in place of what is there if `is_new`. Raises OSError."""
    lines: list[dict[str, Any]] = [{"chatport": "tape", "form": FORM}] if is_new else []
    for exchange in exchanges:
        lines += _lines_of(exchange)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb" if is_new else "ab") as file:
        file.write(b"".join(map(_written, lines)))


def _written(line: dict[str, Any]) -> bytes:
    try:
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        return json.dumps(line).encode() + b"\n"


def _lines_of(exchange: Exchange) -> Iterator[dict[str, Any]]:
    asked = exchange.asked
    line: dict[str, Any] = {"request": f"{asked.method} {asked.url}", "headers": asked.headers}
    if asked.form != "none":
        line[asked.form] = _base64(asked.body) if asked.form == "base64" else asked.body
    yield line
    if exchange.head is not None:
        head = {"response": exchange.head.status, "headers": dict(exchange.head.headers)}
        yield _timed(head, exchange.head_after_seconds)
    for step in exchange.steps:
        yield _timed(_line_of(step), step.after_seconds)


def _timed(line: dict[str, Any], after_seconds: float | None) -> dict[str, Any]:
    return line if after_seconds is None else {**line, "after_seconds": round(after_seconds, 3)}


def _line_of(step: Step) -> dict[str, Any]:
    if step.kind == "piece":
        try:
            return {"text": step.data.decode()}
        except UnicodeDecodeError:
            return {"base64": _base64(step.data)}
    if step.kind == "failure":
        return {"failure": step.words, "stage": step.stage, "kind": step.failure}
    return {"timeout": step.stage} if step.kind == "timeout" else {"end": step.kind}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# --- and back


def read_exchanges(path: Path) -> list[Exchange]:
    """Return what is on a tape. Raises ConfigurationError that names the line, for what is no tape, and OSError."""
    reader = _Reader(path)
    for reader.number, line in enumerate(path.read_text("utf-8", "replace").split("\n"), 1):
        if not line.strip() and reader.number > 1:
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise reader.wrong(f"is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise reader.wrong("is no object")
        reader.take(value)
    return reader.finished()


class _Reader:
    """Reads line by line. Invariant: `_steps` belong to the request in `_asked`."""

    def __init__(self, path: Path) -> None:
        self.number = 1
        self._path = path
        self._found: list[Exchange] = []
        self._asked: Asked | None = None
        self._head: Head | None = None
        self._head_after: float | None = None
        self._steps: list[Step] = []

    def wrong(self, problem: str) -> ConfigurationError:
        """Return the error for the line that is read."""
        return ConfigurationError(f"The tape {self._path}, line {self.number}: it {problem}.")

    def take(self, line: dict[str, Any]) -> None:
        if self.number == 1:
            self._check_first(line)
        elif "request" in line:
            self._keep()
            self._asked = self._request(line)
        elif self._asked is None:
            raise self.wrong("belongs to no request")
        elif "response" in line:
            if self._head is not None or self._steps:
                raise self.wrong("is a second response to one request")
            self._head = Head(self._typed(line, "response", int), self._headers(line))
            self._head_after = self._after(line)
        else:
            self._steps.append(self._step(line))

    def finished(self) -> list[Exchange]:
        self._keep()
        return self._found

    def _check_first(self, line: dict[str, Any]) -> None:
        form = line.get("form")
        if line.get("chatport") != "tape" or type(form) is not int:
            raise self.wrong('is not what a tape begins with, {"chatport": "tape", "form": …}')
        if form > FORM:
            raise self.wrong(f"has form {form}, and this version reads forms up to {FORM}: update chatport-core")

    def _keep(self) -> None:
        if self._asked is None:
            return
        if not self._steps or self._steps[-1].kind == "piece":
            self._steps.append(Step("left"))  # the recording was killed
        self._found.append(Exchange(self._asked, self._head, tuple(self._steps), self._head_after))
        self._asked, self._head, self._head_after, self._steps = None, None, None, []

    def _request(self, line: dict[str, Any]) -> Asked:
        method, _, url = self._typed(line, "request", str).partition(" ")
        headers = self._headers(line)
        if "json" in line:
            return Asked(method, url, "json", line["json"], headers)
        if "text" in line:
            return Asked(method, url, "text", self._typed(line, "text", str), headers)
        if "base64" in line:
            return Asked(method, url, "base64", self._bytes(line), headers)
        return Asked(method, url, headers=headers)

    def _step(self, line: dict[str, Any]) -> Step:
        after = self._after(line)
        if "text" in line:
            return Step("piece", self._typed(line, "text", str).encode(), after_seconds=after)
        if "base64" in line:
            return Step("piece", self._bytes(line), after_seconds=after)
        if "failure" in line:
            words, stage, kind = (self._typed(line, name, str) for name in ("failure", "stage", "kind"))
            if stage not in ("connect", "send", "head", "body"):
                raise self.wrong(f"has the stage {one_line(repr(stage), _SHOWN)}, which there is not")
            return Step("failure", words=words, stage=stage, failure=kind, after_seconds=after)
        if line.get("timeout") in ("connect", "io"):
            return Step("timeout", stage=line["timeout"], after_seconds=after)
        if line.get("end") in ("whole", "left"):
            return Step(line["end"], after_seconds=after)
        raise self.wrong(f"is nothing that a tape has: {one_line(json.dumps(line), _SHOWN)}")

    def _headers(self, line: dict[str, Any]) -> dict[str, str]:
        headers = line.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise self.wrong('has "headers" that are no texts')
        return headers

    def _after(self, line: dict[str, Any]) -> float | None:
        after = line.get("after_seconds")
        if after is None or (isinstance(after, int | float) and not isinstance(after, bool) and 0 <= after < 1e6):
            return after
        raise self.wrong('has "after_seconds" that are no seconds')

    def _bytes(self, line: dict[str, Any]) -> bytes:
        try:
            return base64.b64decode(self._typed(line, "base64", str), validate=True)
        except ValueError as error:
            raise self.wrong(f"is no base64: {error}") from None

    def _typed(self, line: dict[str, Any], name: str, kind: type) -> Any:
        value = line.get(name)
        if type(value) is not kind:
            raise self.wrong(f'has no "{name}" that can be read')
        return value
