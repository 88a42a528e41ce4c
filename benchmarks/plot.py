"""A picture of horizontal bars, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

__all__ = ["picture"]

WIDTH, LABELS, ROW, TITLE = 760, 210, 20, 34  # pixels
BARS = WIDTH - LABELS - 70
OURS, OTHERS = "#2563eb", "#9ca3af"


def picture(title: str, panels: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    """Return one panel of bars under another, each with a scale of its own; Chatport's are blue."""
    parts: list[str] = []
    top = TITLE
    for name, bars in panels.items():
        parts.append(_text(10, top + 22, name, "bold"))
        top += TITLE
        longest = max((value for _, value in bars), default=1.0)
        for label, value in sorted(bars, key=lambda bar: bar[1]):
            parts += _bar(top, label, value, longest)
            top += ROW
        top += 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="13">'
    )
    paper = f'<rect width="{WIDTH}" height="{top}" fill="white"/>'
    return "\n".join([head, paper, _text(10, 24, title, "bold"), *parts, "</svg>", ""])


def _bar(top: int, label: str, value: float, longest: float) -> list[str]:
    length = max(value / longest * BARS, 1)
    colour = OURS if label.startswith("Chatport") else OTHERS
    return [
        _text(LABELS - 8, top + 14, label, anchor="end"),
        f'<rect x="{LABELS}" y="{top + 2}" width="{length:.1f}" height="{ROW - 5}" fill="{colour}"/>',
        _text(LABELS + length + 6, top + 14, f"{value:.2f}" if value < 10 else f"{value:.0f}"),
    ]


def _text(x: float, y: int, text: str, weight: str = "normal", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'
