"""A reply as Markdown, for notebooks.

What a model writes is shown as it is meant, but looking at it loads nothing: a picture in Markdown or HTML would be
fetched from whatever address the model has written, with what it knows in it. So tags and pictures are shown as text,
but for fenced code, where they are text anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..basics.display import one_line
from . import Reply

__all__ = ["markdown_of"]

_OPENS = re.compile(r"(`{3,})[^`]*$|(~{3,})")  # at the very beginning of a line: any deeper may be inside of something
_LONGEST = 300


def markdown_of(reply: Reply) -> str:
    """Return the text, the calls, and a line on who answered and what it cost."""
    parts = [harmless(reply.text)] if reply.text else []
    if reply.refusal:
        parts.append(f"**Refused:** {harmless(reply.refusal)}")
    parts += [f"* {_code(f'{call.name} {call.arguments}')}" for call in reply.tool_calls]
    return "\n\n".join([*parts, f"*{' · '.join(_facts(reply))}*"])


def _facts(reply: Reply) -> Iterator[str]:
    yield _code(f"{reply.provider}:{reply.model}")
    if reply.usage.total_tokens is not None:
        yield str(reply.usage)
    if reply.cost is not None:
        yield str(reply.cost).replace("$", r"\$")  # two of them would be a formula
    if reply.finish_reason not in ("stop", "tool_calls"):
        yield f"ended by {reply.finish_reason}"
    if reply.warnings:
        yield f"{len(reply.warnings)} warning{'s' if len(reply.warnings) > 1 else ''}"


def _code(text: str) -> str:
    return f"`{one_line(text.replace('`', chr(39)), _LONGEST)}`"


def harmless(text: str) -> str:
    """Return Markdown in which no tag and no picture is left outside of fenced code."""
    lines, fence = list[str](), ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if fence:
            fence = "" if _closes(line, fence) else fence
        elif opened := _OPENS.match(line):
            fence = opened[1] or opened[2]
        else:
            line = line.replace("<", "&lt;").replace("![", r"\![")
        lines.append(line)
    return "\n".join(lines)


def _closes(line: str, fence: str) -> bool:
    """Whether a line ends what a fence has begun: as many of its marks, or more, and nothing else."""
    marks = line.strip(" \t")
    indent = len(line) - len(line.lstrip(" "))
    return indent <= 3 and len(marks) >= len(fence) and not marks.strip(fence[0])
