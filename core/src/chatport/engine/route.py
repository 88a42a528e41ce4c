"""A target made ready: what an attempt needs to know of where it goes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from ..basics.log import warn
from ..basics.sizes import Limits
from ..basics.values import Value
from ..call import Call, Context, WireRequest
from ..decoding.redaction import hide_key
from ..errors import BadRequestError, ChatportError, ModelNotFoundError
from ..limits.timeouts import Timeouts
from ..plugins.guarding import hook_error
from ..plugins.plan import Plan
from .commands import Head, HttpRequest

if TYPE_CHECKING:
    from ..limits.pacing import PaceLimits

__all__ = ["Limits", "Route", "request_id", "run_side_hook", "tell_who_was_asked"]


@attrs.frozen(eq=False, repr=False)
class Route(Value):
    """A target made ready: its chains, and the request as shaped for it. `names` maps tool names back.

    `call` is what was shaped, with a retired model's options laid over it; None for a request that is no chat.
    `asked` is the retired model that was asked for, None where it is the one that answers. `operation` is its name in
    telemetry. `pace` are this client's own limits for the target, None: it has none. `why` says in words
    why it goes in this protocol, `is_native` whether the call came in it.
    """

    context: Context
    plan: Plan
    wire: WireRequest
    request: HttpRequest
    timeouts: Timeouts
    names: Mapping[str, str] = attrs.field(factory=dict)
    call: Call | None = None
    operation: str = "chat"
    pace: PaceLimits | None = None
    asked: str | None = None
    why: str = ""
    is_native: bool = False

    @property
    def limits(self) -> Limits:
        """The most that is accepted from its server."""
        return self.context.limits

    @property
    def pace_key(self) -> Hashable:
        """What the limits are kept for: the provider, the key and the model."""
        key = None if self.request.auth is None else self.request.auth[2]
        return (self.context.provider.name, key, self.context.model)


def tell_who_was_asked(error: ChatportError, asked: str | None, answers: str) -> None:
    """Say on an error about what a model can do, or whether it is there, that it stands in for a retired one."""
    words = f"{asked} was asked for, which is retired: {answers} answers in its place."
    if asked is None or not isinstance(error, BadRequestError | ModelNotFoundError) or error.message.endswith(words):
        return
    error.message = f"{error.message} {words}"


def request_id(head: Head, context: Context) -> str | None:
    """Return the vendor's request id from the headers."""
    for name in context.provider.dialect.request_id_headers:
        if head.headers.get(name):
            return head.headers[name]
    return None


def run_side_hook(route: Route, name: Literal["read_rate_limits", "observe"], *values: Any) -> Any:
    """Run a hook that only looks on: its failure is a warning, and the answer is handed over all the same."""
    try:
        return getattr(route.plan, name)(*values, route.context)
    except Exception as error:
        told = hook_error(name, error, route.context)
        warn(hide_key(str(told), route.request.revealed_key()))
        return None
