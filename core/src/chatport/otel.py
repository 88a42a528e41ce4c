"""Spans and metrics of calls, by OpenTelemetry's conventions for generative AI: `Client(observers=[Telemetry()])`.

Needs `pip install chatport-core[otel]`. Without an SDK that the program has set up, OpenTelemetry records nothing.

Only what the tables name is recorded: names, counts, settings and times. Keys are in no event, and a vendor's own error
text, which may quote a prompt, is in no table. Prompts and replies are in the events, and so in the spans, of a client
whose configuration says `[log] content = true`, and of no other.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from . import jsoncodec
from .basics.bounded import MOST_METRIC_MODELS
from .basics.forks import new_lock
from .basics.log import short
from .basics.version import __version__

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
except ImportError as error:
    raise ImportError("chatport.otel needs OpenTelemetry: pip install chatport-core[otel]") from error

__all__ = ["ATTRIBUTES", "CONTENT", "CONVENTIONS_COMMIT", "CONVENTIONS_VERSION", "METRICS", "Metric", "Telemetry"]

# --- the table

CONVENTIONS_VERSION = "1.42.0"
CONVENTIONS_COMMIT = "004902b8cb70aa5ae6ca4ae07132b7daabcd3e10"
"""Of open-telemetry/semantic-conventions-genai. Its names are not stable yet, and move without a release."""

_SCHEMA_URL = f"https://opentelemetry.io/schemas/gen-ai/{CONVENTIONS_VERSION}"

_OPERATION = "gen_ai.operation.name"
_PROVIDER = "gen_ai.provider.name"
_REQUEST_MODEL = "gen_ai.request.model"
_RESPONSE_MODEL = "gen_ai.response.model"
_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
_TOKEN_TYPE = "gen_ai.token.type"
_SERVER = {"server_address": "server.address", "server_port": "server.port"}
_ERROR = {"error": "error.type"}

ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "call_started": {
        "operation": _OPERATION,
        "stream": "gen_ai.request.stream",
        "max_tokens": "gen_ai.request.max_tokens",
        "temperature": "gen_ai.request.temperature",
        "top_p": "gen_ai.request.top_p",
        "seed": "gen_ai.request.seed",
        "call_id": "chatport.call.id",
        "tools": "chatport.call.tools",
        "targets": "chatport.call.targets",
    },
    "attempt_started": {"target": "chatport.target", "attempt": "chatport.attempt.number"},
    "attempt_failed": {
        **_ERROR,
        "status": "http.response.status_code",
        "retryable": "chatport.attempt.retryable",
        "wait_seconds": "chatport.attempt.wait_seconds",
    },
    "first_event": {"seconds": _FIRST_CHUNK},
    "call_finished": {
        "model": _RESPONSE_MODEL,
        "reply_id": "gen_ai.response.id",
        "finish_reason": "gen_ai.response.finish_reasons",
        "input_tokens": "gen_ai.usage.input_tokens",
        "output_tokens": "gen_ai.usage.output_tokens",
        "cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
        "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
        "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
        "request_id": "chatport.request.id",
        "attempts": "chatport.call.attempts",
        "cost_amount": "chatport.cost.amount",
        "cost_currency": "chatport.cost.currency",
    },
    "call_failed": {**_ERROR, "attempts": "chatport.call.attempts"},
    "call_cancelled": {"attempts": "chatport.call.attempts"},
}
"""Event -> field -> attribute. What the conventions have no name for is under `chatport.`."""

CONTENT: Mapping[str, str] = {
    "input_messages": "gen_ai.input.messages",
    "output_messages": "gen_ai.output.messages",
    "left_out_messages": "chatport.content.left_out_messages",
}
"""Field -> attribute of what is asked and answered, which events have where a client is told to. Lists become JSON."""


@attrs.frozen
class Metric:
    """A histogram of the conventions, with the bucket boundaries they advise."""

    name: str
    unit: str
    description: str
    boundaries: tuple[float, ...]


_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(float(4**power) for power in range(14))

METRICS: Mapping[str, Metric] = {
    "duration": Metric("gen_ai.client.operation.duration", "s", "GenAI operation duration.", _SECONDS),
    "tokens": Metric("gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", _TOKENS),
    "first_chunk": Metric(
        "gen_ai.client.operation.time_to_first_chunk", "s", "Time to receive the first chunk.", _SECONDS
    ),
}

# --- the observer


@attrs.define
class _OpenCall:
    """A call that has not ended. `common` are the attributes that span and metrics share."""

    span: trace.Span
    context: Context
    target: str
    common: dict[str, Any]
    stream: bool
    started: float
    attempts: dict[int, trace.Span] = attrs.field(factory=dict)

    def end(self, attributes: Mapping[str, Any], attempt_attributes: Mapping[str, Any]) -> None:
        """End the span, and those of the attempts that are still open."""
        for span in self.attempts.values():
            _end(span, attempt_attributes)
        _end(self.span, attributes)


class Telemetry:
    """Observer of a client that records one span and the conventions' metrics for each call.

    `tracer_provider` and `meter_provider` default to the program's global ones. `provider_names` maps the providers of
    your configuration to the conventions' own names where the two differ. A call that is never heard of again is ended
    as abandoned after `longest_call_seconds`, or when `most_open_calls` younger ones are open. Metrics name the first
    thousand models or so; the others are counted together as "_OTHER", while spans name them all. `content=False`
    leaves what is asked and answered out of the spans of a client whose events have it.

    One CLIENT span covers a call with all its attempts, as the conventions ask. Each attempt is an INTERNAL child span
    without `gen_ai.*` names: an error that was retried does not belong on the span of the call, and a second GenAI
    span would be counted as a second call.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        provider_names: Mapping[str, str] | None = None,
        content: bool = True,
        most_open_calls: int = 10_000,
        longest_call_seconds: float = 3600.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tracer = trace.get_tracer("chatport", __version__, tracer_provider, _SCHEMA_URL)
        meter = metrics.get_meter("chatport", __version__, meter_provider, _SCHEMA_URL)
        self._histograms = {
            key: meter.create_histogram(
                metric.name,
                metric.unit,
                metric.description,
                explicit_bucket_boundaries_advisory=metric.boundaries,
            )
            for key, metric in METRICS.items()
        }
        self._provider_names = dict(provider_names or {})
        self._takes_content = content
        self._most_open_calls = most_open_calls
        self._longest_call_seconds = longest_call_seconds
        self._monotonic = monotonic
        self._open: OrderedDict[str, _OpenCall] = OrderedDict()  # oldest first
        self._models: set[str] = set()  # those that metrics have named
        self._lock = new_lock()  # one observer may serve clients in several threads

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Record an event of a call's life. Events that are not in the table are left alone."""
        if event == "call_started":
            self._call_started(fields)
        elif event in ("call_finished", "call_failed", "call_cancelled"):
            with self._lock:
                ended = self._open.pop(fields["call_id"], None)
            if ended is not None:
                self._call_ended(ended, event, fields)
        elif event in ATTRIBUTES:
            with self._lock:
                call = self._open.get(fields["call_id"])
            if call is not None:
                self._call_goes_on(call, event, fields)

    def _call_started(self, fields: Mapping[str, Any]) -> None:
        common = self._common(fields["operation"], fields)
        name = " ".join(common[key] for key in (_OPERATION, _REQUEST_MODEL) if key in common)
        attributes = {**_attributes("call_started", fields), **common}
        # No context is given, so the parent is the span that is current for the caller.
        span = self._tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)
        self._add_content(span, fields)
        context = trace.set_span_in_context(span)
        call = _OpenCall(span, context, fields["target"], common, bool(fields.get("stream")), self._monotonic())
        with self._lock:
            self._open[fields["call_id"]] = call
            abandoned = self._overdue(call.started)
        for other in abandoned:  # outside the lock: ending a span runs the program's own span processors
            other.end({"chatport.call.abandoned": True}, {})

    def _add_content(self, span: trace.Span, fields: Mapping[str, Any]) -> None:
        """Record what is asked or answered, as JSON: spans have no structured attributes."""
        if not (self._takes_content and span.is_recording()):
            return
        for field, name in CONTENT.items():
            value = fields.get(field)
            if value is not None:
                span.set_attribute(name, value if isinstance(value, int) else jsoncodec.encode_anything(value).decode())

    def _overdue(self, now: float) -> list[_OpenCall]:
        """Take out the calls that have been open for too long, and the oldest where there are too many."""
        overdue = []
        while self._open:
            call_id, oldest = next(iter(self._open.items()))
            if len(self._open) <= self._most_open_calls and now - oldest.started <= self._longest_call_seconds:
                break
            overdue.append(self._open.pop(call_id))
        return overdue

    def _call_goes_on(self, call: _OpenCall, event: str, fields: Mapping[str, Any]) -> None:
        attributes = _attributes(event, fields)
        if event == "attempt_started":
            self._follow(call, fields)
            call.attempts[fields["attempt"]] = self._tracer.start_span(
                f"attempt {fields['target']}", call.context, attributes=attributes
            )
        elif event == "attempt_failed":
            span = call.attempts.pop(fields["attempt"], None)
            if span is not None:
                _end(span, attributes)
        elif call.stream:
            call.span.set_attributes(attributes)

    def _call_ended(self, call: _OpenCall, event: str, fields: Mapping[str, Any]) -> None:
        self._follow(call, fields)
        attributes = _attributes(event, fields)
        self._add_content(call.span, fields)
        if event == "call_cancelled":  # no duration: its time says when the program lost interest
            call.end({**attributes, "chatport.call.cancelled": True}, {})
            return
        if event == "call_finished":
            self._record_reply(call, fields, attributes)
        self._record("duration", fields["seconds"], call, _only(attributes, "error.type", _RESPONSE_MODEL))
        call.end(attributes, _attributes("attempt_failed", fields))  # one that is still open failed with the call

    def _record_reply(self, call: _OpenCall, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        answered = _only(attributes, _RESPONSE_MODEL)
        for kind in ("input", "output"):
            tokens = fields.get(f"{kind}_tokens")
            if tokens is not None:
                self._record("tokens", tokens, call, {**answered, _TOKEN_TYPE: kind})
        first = fields.get("first_event_seconds")
        if call.stream and first is not None:
            self._record("first_chunk", first, call, answered)

    def _record(self, key: str, amount: float, call: _OpenCall, attributes: Mapping[str, Any]) -> None:
        named = {**call.common, **attributes}
        for name in (_REQUEST_MODEL, _RESPONSE_MODEL):
            if name in named:
                named[name] = self._metric_model(named[name])
        self._histograms[key].record(amount, named, call.context)

    def _metric_model(self, model: str) -> str:
        """Return a model's name for a metric; one of too many is "_OTHER", as the conventions say it elsewhere.

        A meter keeps a sum for each name that it has ever seen, and callers and vendors choose these names.
        """
        with self._lock:
            if len(self._models) < MOST_METRIC_MODELS:
                self._models.add(model)
            return model if model in self._models else "_OTHER"

    def _follow(self, call: _OpenCall, fields: Mapping[str, Any]) -> None:
        """Name the target that has its turn now: tokens and errors are those of the vendor that was asked last."""
        if fields["target"] != call.target:
            call.target = fields["target"]
            call.common = self._common(call.common[_OPERATION], fields)
            call.span.set_attributes(call.common)

    def _common(self, operation: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        provider, _, model = fields["target"].partition(":")
        common = {_OPERATION: operation, _PROVIDER: self._provider_names.get(provider, provider)}
        if model not in ("", "*"):  # a list of models is asked of no model
            common[_REQUEST_MODEL] = model
        return common | _named(_SERVER, fields)


def _attributes(event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return _named(ATTRIBUTES[event], fields)


def _named(names: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are known, under their attributes' names."""
    found = {name: _value(field, fields.get(field)) for field, name in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def _value(field: str, value: Any) -> Any:
    if field == "stream":
        return value or None  # set if and only if the request streams
    if field == "finish_reason":
        return value and [value]  # the conventions have one for each choice
    return short(value)


def _only(attributes: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: attributes[name] for name in names if name in attributes}


def _end(span: trace.Span, attributes: Mapping[str, Any]) -> None:
    """End a span; it has failed if the attributes name an error."""
    span.set_attributes(attributes)
    if "error.type" in attributes:
        span.set_status(trace.StatusCode.ERROR)
    span.end()
