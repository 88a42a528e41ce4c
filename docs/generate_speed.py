"""Draw `docs/speed.svg`, the picture at the top of README, from the figures in `docs/performance.md`.

python docs/generate_speed.py            draw it
python docs/generate_speed.py --check    fail if the picture shows anything else
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

PLACE = Path(__file__).resolve().parent
PICTURE, PAGE = PLACE / "speed.svg", PLACE / "performance.md"

PANELS = (  # title, the table's title in the page, its column
    ("From import to first text (bare httpx = 1)", "From the first import to the first text", 1),
    ("CPU time of a streamed chunk (raw sockets = 1)", "CPU time of one streamed chunk", 1),
)
CONTENDERS = ("Chatport", "bare httpx", "openai SDK", "any-llm", "pydantic-ai", "langchain-openai", "litellm")

PANEL, LABELS, TOP, ROW, VALUES = 410, 130, 44, 22, 40  # pixels
BARS = PANEL - LABELS - VALUES - 16
OURS, OTHERS, INK = "#2563eb", "#9ca3af", "#1f2937"


def figures(page: str, title: str, column: int) -> dict[str, float]:
    """Return a column of a table of the run with the other libraries, by contender."""
    peers = page.partition("<!-- bench-peers: begin -->")[2].partition("<!-- bench-peers: end -->")[0]
    table = re.search(rf"^\*\*{re.escape(title)}[^\n]*\n\n(.*?)\n\n", peers, re.MULTILINE | re.DOTALL)
    assert table is not None, f"no table {title!r} in {PAGE.name}"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()[2:]]
    return {row[0]: float(row[column].replace(",", "")) for row in rows if row[column]}


def measured(page: str) -> str:
    """Return the day of that run."""
    found = re.search(r"bench-peers: begin -->\s+Measured (\d{4}-\d{2}-\d{2})", page)
    assert found is not None, f"{PAGE.name} does not say when it was measured"
    return found[1]


def picture(page: str) -> str:
    """Return the picture for a page of figures."""
    height = TOP + ROW * len(CONTENDERS) + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * PANEL} {height}" width="{2 * PANEL}" '
        f'font-family="sans-serif" font-size="13" role="img">',
        f"<title>Chatport beside other libraries, measured {measured(page)}; less is better</title>",
        f'<rect width="{2 * PANEL}" height="{height}" rx="6" fill="white"/>',
    ]
    for number, (title, table, column) in enumerate(PANELS):
        left, values = number * PANEL, figures(page, table, column)
        parts.append(_text(left + 12, 26, title, weight="bold"))
        longest = max(values[name] for name in CONTENDERS)
        for row, name in enumerate(CONTENDERS):
            parts += _bar(left, TOP + row * ROW, name, values[name], longest)
    note = f"Less is better. Measured {measured(page)}, ratios within one run: docs/performance.md"
    parts.append(_text(12, height - 10, note, size=11))
    return "\n".join([*parts, "</svg>", ""])


def _bar(left: int, top: int, name: str, value: float, longest: float) -> list[str]:
    length = max(value / longest * BARS, 2)
    colour = OURS if name == "Chatport" else OTHERS
    shown = f"{value:.2f}" if value < 1 else f"{value:.1f}"
    return [
        _text(left + LABELS - 6, top + 14, name, anchor="end"),
        f'<rect x="{left + LABELS}" y="{top + 2}" width="{length:.1f}" height="{ROW - 7}" rx="2" fill="{colour}"/>',
        _text(left + LABELS + length + 6, top + 14, shown),
    ]


def _text(x: float, y: int, text: str, *, weight: str = "normal", anchor: str = "start", size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" font-weight="{weight}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{INK}">{escape(text)}</text>'
    )


def main() -> None:
    """Draw the picture, or with --check say whether it is the page's."""
    drawn = picture(PAGE.read_text("utf-8"))
    if "--check" not in sys.argv:
        PICTURE.write_text(drawn, "utf-8", newline="\n")
    elif not PICTURE.is_file() or PICTURE.read_text("utf-8") != drawn:
        sys.exit(f"{PICTURE.name} does not show the figures of {PAGE.name}: run `make docs`")


if __name__ == "__main__":
    main()
