"""The trace of a client goes on: with OpenTelemetry's own SDK, on each protocol, plain and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import chatport
from chatport.otel import Telemetry
from chatport.testing import Emulator, VirtualClock, faults
from chatport_gateway import Gateway
from chatport_gateway.tracing import observers_of

from .asking import PROTOCOLS, Protocol
from .conftest import Served, served

pytestmark = pytest.mark.anyio
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=abc,other=1"}


@pytest.fixture
def anyio_backend() -> str:
    """The gateway runs on uvicorn, and so on asyncio."""
    return "asyncio"


@pytest.fixture
def spans() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """Return a provider of tracers, and what it has exported."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


Spans = tuple[TracerProvider, InMemorySpanExporter]


async def ask(
    spans: Spans, protocol: Protocol, headers: dict[str, str], *, stream: bool = False, **options: Any
) -> tuple[httpx.Response, list[ReadableSpan]]:
    """Ask once; return the answer, and the spans of calls, without those of their attempts."""
    provider, exporter = spans
    clock = VirtualClock()
    emulator = Emulator("deepseek", clock=clock, **options)
    config = emulator.config(aliases={"main": ["deepseek:deepseek-flash"]})
    telemetry = Telemetry(tracer_provider=provider)
    async with chatport.AsyncClient(config, transport=emulator, clock=clock.clock, observers=[telemetry]) as client:
        transport = httpx.ASGITransport(Gateway(client=client))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
            answer = await http.post(protocol.path, json=protocol.body("say: hi", stream=stream), headers=headers)
    return answer, list(exporter.get_finished_spans())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
async def test_the_span_of_a_call_has_the_clients_for_its_parent(
    spans: Spans, protocol: Protocol, stream: bool
) -> None:
    answer, finished = await ask(spans, protocol, SENT, stream=stream)
    assert protocol.seen(answer, stream=stream).outcome == "whole"
    attempt, call = finished
    assert call.name == "chat deepseek-flash"
    assert call.parent is not None
    assert call.parent.is_remote
    assert trace.format_span_id(call.parent.span_id) == SPAN
    assert call.context is not None
    assert trace.format_trace_id(call.context.trace_id) == TRACE
    assert call.context.trace_state.get("vendor") == "abc"
    assert attempt.parent == call.context
    assert context.get_current() == {}  # and nothing of it is left to what follows


async def test_a_second_attempt_belongs_to_it_too(spans: Spans) -> None:
    answer, finished = await ask(spans, PROTOCOLS[0], SENT, faults=[faults.status(503)])
    assert answer.status_code == 200
    assert len(finished) == 3
    assert {trace.format_trace_id(one.context.trace_id) for one in finished if one.context} == {TRACE}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": ""},
        {"traceparent": "nonsense"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": "00-" + "x" * 5000},
        {"tracestate": "a=1"},
    ],
)
async def test_a_header_that_names_no_trace_is_left_alone(spans: Spans, headers: dict[str, str]) -> None:
    answer, (_, call) = await ask(spans, PROTOCOLS[0], headers)
    assert answer.status_code == 200
    assert call.parent is None


async def test_the_span_of_an_application_around_it_comes_first(spans: Spans) -> None:
    """It has read the header already, and its own span is the nearer parent."""
    provider, _ = spans
    with provider.get_tracer("app").start_as_current_span("request") as around:
        _, finished = await ask(spans, PROTOCOLS[0], SENT)
    call = next(one for one in finished if one.name.startswith("chat"))
    assert call.parent == around.get_span_context()


def test_over_a_port(spans: Spans) -> None:
    """As uvicorn calls it, and two traces at once are kept apart."""
    provider, exporter = spans
    other = TRACE[::-1]
    made: Served
    with served(observers=[Telemetry(tracer_provider=provider)]) as made:
        for name in (TRACE, other):
            headers = {"traceparent": f"00-{name}-{SPAN}-01"}
            body = PROTOCOLS[0].body("say: hi", stream=True)
            assert httpx.post(f"{made.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    calls = [one for one in exporter.get_finished_spans() if one.name.startswith("chat")]
    assert [trace.format_trace_id(one.context.trace_id) for one in calls if one.context] == [TRACE, other]


def test_the_gateway_makes_spans_where_it_is_told_to() -> None:
    gateway = Gateway({"gateway": {"telemetry": True}})
    (observer,) = observers_of(gateway.settings)
    assert isinstance(observer, Telemetry)
    assert not observers_of(Gateway({"gateway": {}}).settings)
    with pytest.raises(chatport.ConfigurationError, match="telemetry is true or false"):
        Gateway({"gateway": {"telemetry": "yes"}})
