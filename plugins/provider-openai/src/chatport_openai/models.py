"""`describe_model`: an id nobody has told us of follows the newest rules of its line, and takes over nothing else.

Lists of known ids broke clients at every release, and so did patterns that stop at a dot (OA-K5, OA-P10). Here an id is
read as `gpt-<major>[.<minor>][-variant]` and compared as numbers. Windows and prices are never inherited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from chatport import Context, ModelFacts, hookimpl

__all__ = ["describe_model", "heir_of", "undated"]

_ID = re.compile(r"gpt-(\d+)(?:\.(\d+))?(?:-(.+))?")
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@attrs.frozen(order=True)
class _Line:
    """A model line such as `sol`, in one version; the plain models of a version are the line ""."""

    version: tuple[int, int]
    name: str

    def __str__(self) -> str:
        major, minor = self.version
        return f"gpt-{major}" + (f".{minor}" if minor else "") + (f"-{self.name}" if self.name else "")


@hookimpl
def describe_model(model: str, context: Context) -> ModelFacts | None:
    facts = context.provider.facts
    if facts is None:
        return None
    own = facts.describe(model, context.base_url)
    prices = own.prices or facts.describe(undated(model), context.base_url).prices
    own = attrs.evolve(own, prices=prices)
    heir = heir_of(model, [entry.match for entry in facts.models])
    if heir is None:
        return own
    rules = facts.describe(heir, context.base_url)
    return attrs.evolve(
        rules,
        context_tokens=None,
        max_output_tokens=None,
        prices=own.prices,
        retired=own.retired,
        quirks={**rules.quirks, "inherited_from": heir},
        source=f"OA-K5: as {heir}, the newest one known ({rules.source})",
    )


def undated(model: str) -> str:
    """Return the id without the date of its snapshot: a snapshot costs what its model costs."""
    return _DATE.sub("", model)


def heir_of(model: str, patterns: Iterable[str]) -> str | None:
    """Return the known model whose rules hold for an unknown version or line, None if the model speaks for itself.

    The newest version of the same line is asked first, then the newest plain model, within the newest major that
    is known; a line that is nowhere known there follows the newest version of all.
    """
    wanted = _line(undated(model))
    known = [line for pattern in patterns if (line := _line(pattern.rstrip("*").rstrip("-"))) is not None]
    if wanted is None or any(_covers(line, wanted) for line in known):
        return None
    older = [line for line in known if line.version <= wanted.version]
    if not older:
        return None
    major = max(line.version for line in older)[0]
    names = ("", wanted.name.partition("-")[0])
    same = [line for line in older if line.version[0] == major and line.name in names]
    return str(max(same or older))


def _line(model: str) -> _Line | None:
    match = _ID.fullmatch(model)
    return None if match is None else _Line((int(match[1]), int(match[2] or 0)), match[3] or "")


def _covers(known: _Line, wanted: _Line) -> bool:
    return known.version == wanted.version and (
        known.name in ("", wanted.name) or wanted.name.startswith(f"{known.name}-")
    )
