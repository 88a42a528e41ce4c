"""A comparison as one page of HTML: nothing is loaded for it, and nothing that a model wrote is more than text.

It has two colour schemes, and one column on a narrow screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ..basics.display import clean, one_line

if TYPE_CHECKING:
    from .comparing import Compared

__all__ = ["figures", "page_of"]

_STYLE = """
:root { color-scheme: light dark; --line: #d0d4da; --soft: #5b6470; --bad: #b3261e; --note: #8a5a00; --back: #f6f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a4048; --soft: #a3adb8; --bad: #ff8a80; --note: #f0c060; --back: #1d2126; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 110rem; padding: 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; unicode-bidi: plaintext; }
.asked { border-left: .25rem solid var(--line); padding-left: .75rem; max-height: 20rem; overflow: auto; }
.answers { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
article { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; min-width: 0; background: var(--back); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; } th, td { padding: .25rem .75rem; text-align: left; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } tr { border-bottom: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; }
.soft { color: var(--soft); } .bad { color: var(--bad); } .note { color: var(--note); }
"""


def figures(row: Compared) -> list[tuple[str, str]]:
    """Return what can be counted of an answer, as names and words."""
    from .render import tokens

    reply, speed = row.reply, row.tokens_per_second
    if row.error is not None and row.first_seconds is None:  # nothing came that could be counted
        return [("failed after", _seconds(row.seconds))]
    shown = [
        ("answered", row.target if row.target != row.model else ""),
        ("first token", _seconds(row.first_seconds)),
        ("in all", _seconds(row.seconds)),
        ("speed", "?" if speed is None else f"{speed:.0f} tokens/s"),
        ("tokens", "unknown" if reply.usage.total_tokens is None else tokens(reply.usage)),
        ("cost", "unknown" if reply.cost is None else str(reply.cost)),
        ("finish", "" if reply.finish_reason == "stop" else reply.finish_reason),
    ]
    return [(name, value) for name, value in shown if value]


def _seconds(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds:.2f} s"


def page_of(asked: str, rows: Sequence[Compared]) -> str:
    """Return the page."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{len(rows)} models, one message</title><style>{_STYLE}</style></head><body>",
            f"<h1>{len(rows)} models, one message</h1>",
            f'<p class="text asked">{_text(asked)}</p>',
            _table(rows),
            f'<div class="answers">{"".join(map(_article, rows))}</div>',
            "</body></html>",
            "",
        ]
    )


def _table(rows: Sequence[Compared]) -> str:
    names = list(dict.fromkeys(name for row in rows for name, _ in figures(row)))
    head = "".join(f"<th>{_line(name)}</th>" for name in ("model", *names))
    lines = []
    for row in rows:
        known = dict(figures(row))
        cells = "".join(f"<td>{_line(known.get(name, ''))}</td>" for name in names)
        lines.append(f"<tr><td>{_line(row.model)}</td>{cells}</tr>")
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _article(row: Compared) -> str:
    reply = row.reply
    parts = [f"<h2>{_line(row.model)}</h2>"]
    if reply.reasoning:
        parts.append(f'<details class="soft"><summary>reasoning</summary><p class="text">{_text(reply.reasoning)}</p>')
        parts.append("</details>")
    if reply.text:
        parts.append(f'<p class="text">{_text(reply.text)}</p>')
    if reply.refusal:
        parts.append(f'<p class="text note">{_text(reply.refusal)}</p>')
    parts += [f'<p class="text soft">→ {_line(f"{call.name}({call.arguments})")}</p>' for call in reply.tool_calls]
    parts += [f'<p class="text note">{_line(str(warning))}</p>' for warning in reply.warnings]
    if row.error is not None:
        parts.append(f'<p class="text bad">{_line(f"{type(row.error).__name__}: {row.error}")}</p>')
    return f"<article>{''.join(parts)}</article>"


def _text(text: str) -> str:
    return escape(clean(text))


def _line(text: str) -> str:
    return escape(one_line(text))
