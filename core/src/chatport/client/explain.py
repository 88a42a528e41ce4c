"""`explain`: the request that would go out, and which plugin changed which field of it, and why.

The chain is run as it grows: the standard dialect alone, then with one more plugin at a time. What a plugin changes
is the difference it makes. Hooks are pure, so running them several times shows nothing else than running them once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from .. import jsoncodec
from ..basics.version import __version__
from ..errors import ChatportError
from ..plugins.installed import package_of
from ..plugins.registry import build_plan, plugin_name
from ..setup.protocols import in_protocol
from ..setup.shaping import shape
from ..setup.targets import split_target
from ..types import Adjustment

if TYPE_CHECKING:
    from ..call import Call, Context, WireRequest
    from ..setup.routes import Routes
    from ..setup.vendor import Vendor

__all__ = ["Change", "Explanation", "explain_call"]


@attrs.frozen
class Change:
    """A difference that one plugin makes. `field` is a body field, `path`, `stream`, or `header NAME`.

    `plugin` is the module or class with the hooks, `package` its distribution and version where it has one.
    `before` and `after` are None where the field is absent.
    """

    field: str
    before: Any
    after: Any
    plugin: str
    package: str = ""

    def __str__(self) -> str:
        whose = f"{self.plugin} ({self.package})" if self.package else self.plugin
        if self.before is None:
            return f"{self.field} = {_short(self.after)}  set by {whose}"
        if self.after is None:
            return f"{self.field}  removed by {whose} (was {_short(self.before)})"
        return f"{self.field} = {_short(self.after)}  changed by {whose} (was {_short(self.before)})"


@attrs.frozen
class Explanation:
    """The request as it would be sent, without the key.

    `changes` say which plugin made which difference, in order, the standard dialect first. `adjustments` say what
    differs from what was asked, and why; they become the reply's warnings. `protocol` is the one of the vendor's
    protocols that the call takes, `protocol_reason` why.
    """

    target: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    stream: bool
    adjustments: tuple[Adjustment, ...]
    changes: tuple[Change, ...] = ()
    protocol: str = "chat"
    protocol_reason: str = ""

    def __str__(self) -> str:
        said = [f"In the protocol {self.protocol}: {self.protocol_reason}."] if self.protocol_reason else []
        lines = [f"{self.method} {self.url}", *said, *(f"{name}: {value}" for name, value in self.headers.items()), ""]
        lines.append(jsoncodec.pretty(self.body))
        if self.adjustments:
            lines += ["", "What differs from what was asked:", *(f"  {note}" for note in self.adjustments)]
        changes = [str(change) for change in self.changes]
        return "\n".join([*lines, "", "Where each field comes from:", *(f"  {change}" for change in changes)])


def explain_call(
    routes: Routes,
    call: Call,
    target: str,
    timeouts: Mapping[str, float],
    options: Mapping[str, Any],
    *,
    changes: bool = True,
) -> Explanation:
    """Return the explanation of a call to a target. Nothing is sent, and no key is needed."""
    vendor = routes.vendors.provider_to_explain(split_target(target)[0])
    route = routes.route(call, target, timeouts=timeouts, options=options, looked_at=vendor)
    vendor = in_protocol(vendor, route.context.provider.protocol)
    headers = dict(route.request.headers) | {name: "***" for name, _ in route.request.secret_headers}
    if route.request.auth is not None:
        headers[route.request.auth[0]] = f"{route.request.auth[1]}***"
    elif vendor.provider.auth.required:
        headers[vendor.provider.auth.header] = f"{vendor.provider.auth.prefix}(no key is set)"
    return Explanation(
        route.context.target,
        route.request.method,
        route.request.shown_url,
        headers,
        route.wire.body,
        route.wire.stream,
        route.wire.adjustments,
        tuple(_changes(vendor, route.call or call, route.context)) if changes else (),
        route.context.provider.protocol,
        route.why,
    )


def _changes(vendor: Vendor, call: Call, context: Context) -> Iterator[Change]:
    before = _parts(_shaped(vendor, 0, call, context))
    for field, value in before.items():
        if value is not None:
            yield Change(field, None, value, "the standard dialect", f"chatport-core {__version__}")
    plugins = (*vendor.provider.hooks, *vendor.patches)
    for count, plugin in enumerate(plugins, 1):
        wire = _shaped(vendor, count, call, context)
        after = _parts(wire) if wire is not None else before
        for field in {**before, **after}:
            if before.get(field) != after.get(field):
                name = plugin_name(plugin)
                yield Change(field, before.get(field), after.get(field), name, package_of(name))
        before = after


def _shaped(vendor: Vendor, count: int, call: Call, context: Context) -> WireRequest | None:
    """Return the request as the first `count` plugins shape it, None where they need the ones after them."""
    try:
        if count not in vendor.layers:
            provider = attrs.evolve(vendor.provider, hooks=vendor.provider.hooks[:count])
            patches = vendor.patches[: max(count - len(vendor.provider.hooks), 0)]
            vendor.layers[count] = build_plan(provider, patches)
        return shape(vendor.layers[count], call, context)[0]
    except ChatportError:
        return None


def _parts(wire: WireRequest | None) -> dict[str, Any]:
    if wire is None:
        return {}
    parts: dict[str, Any] = {**wire.body, "path": wire.path, "stream": wire.stream or None}
    return parts | {f"header {name}": value for name, value in wire.headers.items()}


def _short(value: Any) -> str:
    text = jsoncodec.encode_text(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
