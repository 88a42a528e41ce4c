"""The surfaces that are there: those of installed packages, by the entry points `chatport.surfaces`."""

from __future__ import annotations

from collections.abc import Iterable

from chatport import ConfigurationError, PluginError
from chatport.helpers import installed

from .surface import Surface

__all__ = ["GROUP", "Table", "installed_surfaces"]

GROUP = "chatport.surfaces"


def installed_surfaces() -> tuple[tuple[Surface, ...], tuple[str, ...]]:
    """Return the surfaces of installed packages, and what is wrong with those that cannot be used: the others can."""
    found: list[Surface] = []
    problems: list[str] = []
    for name, plugin in installed(GROUP).items():
        try:
            surface = plugin.load()
        except PluginError as error:
            problems.append(error.message)
            continue
        if isinstance(surface, Surface):
            found.append(surface)
        else:
            problems.append(f"The surface {name!r} ({plugin.target}) is no chatport_surfaces.Surface.")
    return tuple(found), tuple(problems)


class Table:
    """Finds the surface that takes a request. Raises ConfigurationError where two take the same."""

    def __init__(self, surfaces: Iterable[Surface]) -> None:
        self._exact: dict[tuple[str, str], Surface] = {}
        self._below: list[tuple[str, str, Surface]] = []
        for surface in surfaces:
            for method, path in surface.routes:
                if path.endswith("*"):
                    self._below.append((method, path[:-1], surface))
                elif self._exact.setdefault((method, path), surface) is not surface:
                    raise ConfigurationError(f"Two surfaces take {method} {path}.")

    def find(self, method: str, path: str) -> Surface | None:
        """Return the surface for a request, None if none takes it. A slash at the end makes no difference."""
        path = path.rstrip("/") or "/"
        known = self._exact.get((method, path))
        if known is not None:
            return known
        fits = (surface for own, start, surface in self._below if own == method and path.startswith(start))
        return next(fits, None)

    def methods(self, path: str) -> tuple[str, ...]:
        """Return the methods that a path is known with."""
        path = path.rstrip("/") or "/"
        return tuple(sorted({method for method, own in self._exact if own == path}))
