"""Hold a model's text, or the arguments that it wrote, against what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import jsoncodec
from .kinds import converted

if TYPE_CHECKING:
    from .check import Budget, Findings

__all__ = ["UncheckedError", "examined", "fit_text", "hold"]


def fit_text(text: str, kind: Any, schema: Any, inside: str = "") -> Any:
    """Return a text as the caller's type; without one, as plain values that fit the schema, if there is one.

    `inside` is the key of the object around a value that is none itself. A model that leaves the object out is
    understood all the same.

    Raises ValueError, or whatever a type of the caller's own raises in its making.
    """
    value = jsoncodec.decode_text(_unfenced(text))
    if inside:
        value = value[inside] if isinstance(value, dict) and value.keys() == {inside} else value
    if kind is not None:
        return converted(value, kind)
    if schema is not None:
        hold({inside: value} if inside else value, schema)
    return value


def _unfenced(text: str) -> str:
    """Take JSON out of a Markdown fence, which models without constrained output like to put around it."""
    first, _, rest = text.strip().partition("\n")
    is_fenced = first.rstrip() in ("```", "```json") and rest.endswith("```")
    return rest.removesuffix("```").removesuffix("\n") if is_fenced else text


class UncheckedError(ValueError):
    """Nobody knows whether a value fits: such a value is not passed on as one that does."""


def hold(value: Any, schema: Any) -> None:
    """Raise ValueError, with the first places, where a value does not fit a schema, or the steps do not suffice.

    What the schema has that is never checked is no reason: no answer can bring that about.
    """
    found = examined(value, schema)
    if found.violations:
        raise ValueError("; ".join(map(str, found.violations)))
    if not found.is_complete:
        raise UncheckedError(found.unchecked[-1])


def examined(value: Any, schema: Any, budget: Budget | None = None) -> Findings:
    """Return what there is to say about a value and a schema."""
    from .check import examine  # loaded when there is something to check

    return examine(value, schema, budget=budget)
