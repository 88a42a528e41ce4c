"""How much of our code one plain call runs: Python calls and files, counted over a warm `Client.chat`.

No time is measured, so the numbers are the same on every machine; a generator that goes on counts as a call.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import chatport
from chatport.engine.commands import Head, HttpRequest

__all__ = ["Counts", "count", "main", "plain_call"]

_SOURCE = Path(chatport.__file__).resolve().parent
_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
_WARM = 20

Counts = Counter[tuple[str, str]]
"""How often each function ran, by file and qualified name."""


class _Exchange:
    """An answer that is there at once."""

    def __init__(self, content: bytes) -> None:
        self.head = Head(200, {"content-type": "application/json", "content-length": str(len(content))})
        self._pieces = [content]

    def read(self, seconds: float | None) -> bytes:
        return self._pieces.pop() if self._pieces else b""

    def close(self) -> None:
        return None


class _Memory:
    """A transport without a network: what is counted is the way through the core, not the sockets."""

    def __init__(self) -> None:
        self._content = json.dumps(_ANSWER).encode()

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> _Exchange:
        return _Exchange(self._content)

    def close(self) -> None:
        return None


def plain_call() -> Callable[[], Any]:
    """Return a call of `Client.chat` on the provider `compatible`, made often enough that everything is loaded."""
    config = {"providers": {"compatible": {"base_url": "http://127.0.0.1:9/v1"}}}
    client = chatport.Client(config, transport=_Memory())

    def call() -> Any:
        return client.chat("Say hello.", model="compatible:m", temperature=0.5, max_tokens=20)

    for _ in range(_WARM):
        call()
    return call


def count(call: Callable[[], Any]) -> Counts:
    """Return which functions of the core a call runs, and how often."""
    found: Counts = Counter()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            found[frame.f_code.co_filename, frame.f_code.co_qualname] += 1

    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()  # what others have left would be finalized within this call, and counted with it
    call()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
        if was_enabled:
            gc.enable()
    inside = {(_place(file), name): times for (file, name), times in found.items() if _place(file)}
    return Counter(inside)


def _place(file: str) -> str:
    """Return a file's path within the package, an empty text for a file that is not the core's.

    The methods that attrs writes are in no file; they are counted as the core's own.
    """
    if file.startswith("<attrs"):
        return file
    path = Path(file)
    return str(path.relative_to(_SOURCE)) if path.is_relative_to(_SOURCE) else ""


def main() -> None:
    """Print how many calls and files, and with `--all` each function."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--all", action="store_true", help="each function with its count, by file")
    shown = arguments.parse_args()
    counts = count(plain_call())
    files = sorted({file for file, _ in counts if not file.startswith("<")})
    print(f"{sum(counts.values())} calls in {len(files)} files")
    if shown.all:
        for (file, name), times in sorted(counts.items()):
            print(f"{times:5d}  {file}: {name}")


if __name__ == "__main__":
    main()
