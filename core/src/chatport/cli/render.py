"""Events as a person reads them, and as JSON lines."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from .. import events as ev, jsoncodec
from ..basics.display import one_line
from ..types import Reply, Usage
from .terminal import write, write_bytes_of

__all__ = ["Printer", "event_line", "sources", "summary"]

_LONGEST_SOURCE = 500


class Printer:
    """Writes the answer to stdout as it comes; reasoning, refusals and tool calls are set off on stderr.

    `raw`: the answer's text is written with the control characters in it. Without `text` it is not written at all.
    """

    def __init__(self, *, reasoning: bool = True, raw: bool = False, text: bool = True) -> None:
        self._reasoning = reasoning
        self._raw = raw
        self._text = text
        self._kind: str | None = None

    def show(self, event: ev.Event) -> None:
        """Write one event."""
        match event:
            case ev.TextDelta(text=text, choice=0) if self._text:
                self._turn("text")
                write_bytes_of(text) if self._raw else write(text, end="")
            case ev.ReasoningDelta(text=text, choice=0) if self._reasoning:
                self._turn("reasoning")
                write(text, dim=True, italic=True, err=True, end="")
            case ev.RefusalDelta(text=text, choice=0):
                self._turn("refusal")
                write(text, fg="yellow", err=True, end="")
            case ev.ToolCallEnded(name=name, arguments=arguments, choice=0):
                self._turn(None)
                write(one_line(f"→ {name}({arguments})"), fg="cyan", err=True)
            case ev.AttemptFailed(target=target, error=error, wait_seconds=wait):
                self._turn(None)
                write(f"{target} failed ({type(error).__name__}), next attempt in {wait:.1f} s", fg="yellow", err=True)
            case _:
                pass

    def end(self) -> None:
        """End the last line."""
        self._turn(None)

    def _turn(self, kind: str | None) -> None:
        """Begin a new line when another kind of output starts."""
        if self._kind is not None and kind != self._kind:
            write(err=self._kind != "text")
        self._kind = kind


def summary(reply: Reply, seconds: float | None = None) -> str:
    """Return one line about a reply: who answered, tokens, cost, finish."""
    parts = [f"{reply.provider}:{reply.model}", tokens(reply.usage)]
    parts.append("cost unknown" if reply.cost is None else str(reply.cost))
    if reply.finish_reason != "stop":
        parts.append(f"finish: {reply.finish_reason}")
    if seconds is not None:
        parts.append(f"{seconds:.1f} s")
    if len(reply.attempts) > 1:
        parts.append(f"{len(reply.attempts)} attempts")
    return one_line(" · ".join(part for part in parts if part))


def sources(reply: Reply) -> list[str]:
    """Return a line for each source of a reply, and one for each picture or file that came with it."""
    lines: dict[str, None] = {}
    for number, cited in enumerate(reply.citations, 1):
        name = " — ".join(text for text in (cited.title, cited.url) if text) or cited.text or "a source without a name"
        lines.setdefault(one_line(f"[{cited.mark or number}] {name}", _LONGEST_SOURCE))
    for media in reply.media:
        size = f"{len(media.data or '') * 3 // 4:,} bytes" if media.url is None else media.url
        lines.setdefault(one_line(f"{media.media_type or media.kind}: {size}", _LONGEST_SOURCE))
    return list(lines)


def tokens(usage: Usage) -> str:
    """Return the token counts in words; unknown ones are said to be unknown."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return "tokens unknown"
    text = f"{_count(usage.input_tokens)} in"
    if usage.cached_input_tokens:
        text += f" ({usage.cached_input_tokens} cached)"
    text += f", {_count(usage.output_tokens)} out"
    if usage.reasoning_tokens:
        text += f" ({usage.reasoning_tokens} reasoning)"
    return text


def _count(value: int | None) -> str:
    return "?" if value is None else str(value)


def event_line(event: ev.Event) -> str:
    """Return an event as one line of JSON, with its name under `event`."""
    fields = {name: _plain(getattr(event, name)) for name in event.__struct_fields__}
    return jsoncodec.encode_text({"event": type(event).__name__, **fields})


def _plain(value: Any) -> Any:
    if isinstance(value, Exception):
        return {"error": type(value).__name__, "message": str(value)}
    if isinstance(value, Reply):
        value = attrs.evolve(value, output=None, attempts=tuple(attrs.evolve(a, error=None) for a in value.attempts))
    return msgspec.to_builtins(value, enc_hook=str)
