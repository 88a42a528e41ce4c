"""The table of what the admin API has. It serves requests, and `openapi.py` describes it: there is no other list."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import msgspec

from .given import Nothing

if TYPE_CHECKING:
    from .office import Office

__all__ = ["BadRequest", "Found", "Given", "Handler", "Route", "Routes"]

_PART = re.compile(r"\{([a-z_]+)\}")
_VALUE = "[0-9A-Za-z_:-]{1,80}"


class BadRequest(ValueError):
    """The request cannot be meant: why, in words."""


@attrs.frozen
class Given:
    """What a request brings, checked: parts of the path, query, body."""

    path: dict[str, str]
    query: Any
    body: Any


Handler: TypeAlias = Callable[["Office", Given], Awaitable[msgspec.Struct]]


@attrs.frozen
class Route:
    """One method of one path: what it takes, what it answers, and who does it."""

    method: str
    path: str
    handler: Handler
    answer: type[msgspec.Struct]
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    status: int = 200
    pattern: re.Pattern[str] = attrs.field(init=False, repr=False)

    @pattern.default
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(_PART.sub(rf"(?P<\1>{_VALUE})", self.path))

    @property
    def parts(self) -> list[str]:
        """The names of what varies in the path."""
        return _PART.findall(self.path)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.handler.__name__

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return (self.handler.__doc__ or "").strip().split("\n")[0]


@attrs.frozen
class Found:
    """Who serves a path: `route` None if it is another method's, of which `methods` there are."""

    route: Route | None
    path: dict[str, str]
    methods: tuple[str, ...]


class Routes:
    """All routes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.all = tuple(routes)

    def find(self, method: str, path: str) -> Found | None:
        """Return who serves a request, None for a path that is nobody's."""
        matches = [(route, match) for route in self.all if (match := route.pattern.fullmatch(path))]
        if not matches:
            return None
        methods = tuple(route.method for route, _ in matches)
        for route, match in matches:
            if route.method == method:
                return Found(route, match.groupdict(), methods)
        return Found(None, {}, methods)
