"""`explain`: the request that would go out, and which hook of which package changed which field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from .types import Adjustment

if TYPE_CHECKING:
    from .call import Call
    from .prepare import Port

__all__ = ["Explanation", "explain_call"]


@attrs.frozen
class Explanation:
    """The request as it would be sent, without the key. `adjustments` say what differs from what was asked, and why."""

    target: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    stream: bool
    adjustments: tuple[Adjustment, ...]

    def __str__(self) -> str:
        from . import jsoncodec

        lines = [
            f"{self.method} {self.url}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            "",
        ]
        lines.append(jsoncodec.pretty(self.body))
        lines += ["", *(f"* {note}" for note in self.adjustments)] if self.adjustments else []
        return "\n".join(lines)


def explain_call(
    port: Port, call: Call, target: str, timeouts: Mapping[str, float], options: Mapping[str, Any]
) -> Explanation:
    """Return the explanation of a call to a target. Nothing is sent."""
    route = port.route(call, target, timeouts=timeouts, options=options)
    headers = dict(route.request.headers)
    if route.request.auth is not None:
        headers[route.request.auth[0]] = f"{route.request.auth[1]}***"
    return Explanation(
        route.context.target,
        route.request.method,
        route.request.url,
        headers,
        route.wire.body,
        route.wire.stream,
        route.wire.adjustments,
    )
