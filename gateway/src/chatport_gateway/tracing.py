"""The trace of a client goes on here: the span of a call has for its parent the one that the client sent.

Only where OpenTelemetry is in use, which whoever made the client's `Telemetry` has imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from chatport import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .settings import GatewaySettings

__all__ = ["observers_of", "traced"]

_NOTHING: AbstractContextManager[None] = nullcontext()


def observers_of(settings: GatewaySettings) -> list[Callable[[str, Mapping[str, Any]], None]]:
    """Return the observers of the gateway's own client. Raises ConfigurationError where OpenTelemetry is missing."""
    if not settings.telemetry:
        return []
    try:
        from chatport.otel import Telemetry
    except ImportError:
        raise ConfigurationError(
            '[gateway] telemetry needs OpenTelemetry: pip install "chatport-gateway[otel]".'
        ) from None
    return [Telemetry()]


def traced(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Have what runs inside belong to the trace that `traceparent` and `tracestate` of a request name."""
    if "traceparent" not in headers or "opentelemetry.trace" not in sys.modules:
        return _NOTHING
    return _in_trace(headers)


@contextmanager
def _in_trace(headers: Mapping[str, str]) -> Iterator[None]:
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if trace.get_current_span().get_span_context().is_valid:  # an application around this one has read them already
        yield
        return
    token = context.attach(TraceContextTextMapPropagator().extract(headers))
    try:
        yield
    finally:
        context.detach(token)
