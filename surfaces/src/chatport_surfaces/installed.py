"""The surfaces that are there: those of installed packages, by the entry points `chatport.surfaces`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points

from chatport import ConfigurationError

from .surface import Surface

__all__ = ["GROUP", "Table", "installed_surfaces"]

GROUP = "chatport.surfaces"


def installed_surfaces() -> tuple[tuple[Surface, ...], tuple[str, ...]]:
    """Return the surfaces of installed packages, and what is wrong with those that cannot be used: the others can."""
    found: dict[str, Surface] = {}
    problems: list[str] = []
    for entry in entry_points(group=GROUP):
        try:
            value = entry.load()
        except Exception as error:
            problems.append(f"the surface {entry.name!r} ({entry.value}) cannot be loaded: {error!r}")
            continue
        if not isinstance(value, Surface):
            problems.append(f"the surface {entry.name!r} ({entry.value}) is no chatport_surfaces.Surface")
        elif found.setdefault(entry.name, value) is not value:
            problems.append(f"two installed packages have a surface {entry.name!r}: the first one is used")
    return tuple(found.values()), tuple(problems)


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
