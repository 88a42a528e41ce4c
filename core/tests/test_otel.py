"""Telemetry: one span and the conventions' metrics for each call, whatever happens to it."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

import anyio
import attrs
import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import chatport
from chatport.otel import ATTRIBUTES, CONTENT, METRICS, Telemetry
from chatport.testing import Emulator

STARTED: dict[str, Any] = {
    "target": "acme:big",
    "provider": "acme",
    "model": "big",
    "server_address": "api.acme.example",
    "server_port": 443,
    "operation": "chat",
    "stream": True,
    "max_tokens": 100,
    "temperature": 0.5,
    "top_p": None,
    "seed": 7,
    "tools": 2,
    "targets": 1,
    "seconds": 0,
}
FINISHED: dict[str, Any] = {
    "target": "acme:big",
    "provider": "acme",
    "model": "big-2026",
    "request_id": "req-1",
    "reply_id": "r-1",
    "finish_reason": "stop",
    "attempts": 1,
    "input_tokens": 12,
    "output_tokens": 34,
    "cached_input_tokens": 5,
    "cache_write_tokens": None,
    "reasoning_tokens": 20,
    "cost_amount": 0.25,
    "cost_currency": "USD",
    "seconds": 2.5,
    "first_event_seconds": 0.75,
}
COMMON = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "acme",
    "gen_ai.request.model": "big",
    "server.address": "api.acme.example",
    "server.port": 443,
}


@attrs.define
class Recorded:
    """An observer, with what it has recorded so far."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    provider: TracerProvider
    telemetry: Telemetry
    now: list[float]

    def send(self, event: str, call_id: str = "c1", **fields: Any) -> None:
        self.telemetry(event, {"call_id": call_id, "target": "acme:big", "seconds": 0.0, **fields})

    def start(self, call_id: str = "c1", **changes: Any) -> None:
        self.telemetry("call_started", {"call_id": call_id, **STARTED, **changes})

    def finish(self, call_id: str = "c1", **changes: Any) -> None:
        self.telemetry("call_finished", {"call_id": call_id, **FINISHED, **changes})

    def spans(self, kind: SpanKind = SpanKind.CLIENT) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.kind is kind]

    def span(self) -> ReadableSpan:
        (span,) = self.spans()
        return span

    def points(self) -> dict[str, list[HistogramDataPoint]]:
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        found = [m for r in data.resource_metrics for scope in r.scope_metrics for m in scope.metrics]
        return {m.name: [p for p in m.data.data_points if isinstance(p, HistogramDataPoint)] for m in found}


def recorder(**options: Any) -> Recorded:
    exporter, reader, now = InMemorySpanExporter(), InMemoryMetricReader(), [0.0]
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    return Recorded(exporter, reader, provider, Telemetry(provider, meters, monotonic=lambda: now[0], **options), now)


@pytest.fixture
def seen() -> Recorded:
    return recorder()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


# --- the span of a call


def test_a_streamed_call_is_one_span_with_the_names_of_the_conventions(seen: Recorded) -> None:
    seen.start()
    seen.send("attempt_started", attempt=1, provider="acme", model="big")
    seen.send("first_event", attempt=1, seconds=0.75)
    seen.finish()
    span = seen.span()
    assert span.name == "chat big"
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/gen-ai/1.42.0"
    assert attributes(span) == {
        **COMMON,
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 7,
        "gen_ai.response.model": "big-2026",
        "gen_ai.response.id": "r-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.75,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 34,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "chatport.call.id": "c1",
        "chatport.call.tools": 2,
        "chatport.call.targets": 1,
        "chatport.call.attempts": 1,
        "chatport.request.id": "req-1",
        "chatport.cost.amount": 0.25,
        "chatport.cost.currency": "USD",
    }


def test_a_plain_call_says_nothing_of_streaming(seen: Recorded) -> None:
    seen.start(stream=False)
    seen.send("first_event", attempt=1, seconds=0.75)
    seen.finish()
    names = set(attributes(seen.span()))
    assert not names & {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk"}
    assert METRICS["first_chunk"].name not in seen.points()


def test_what_samplers_ask_for_is_there_when_the_span_starts(seen: Recorded) -> None:
    started: list[Mapping[str, Any]] = []

    class Watch(SimpleSpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            started.append(dict(span.attributes))

    seen.provider.add_span_processor(Watch(InMemorySpanExporter()))
    seen.start()
    assert COMMON.items() <= started[0].items()


def test_a_list_of_models_has_no_model(seen: Recorded) -> None:
    seen.start(target="acme:*", model="*", operation="models", stream=False)
    seen.finish(target="acme:*", model=None)
    assert seen.span().name == "models"
    assert "gen_ai.request.model" not in attributes(seen.span())


def test_a_failed_call_names_its_error_and_not_the_words_of_the_vendor(seen: Recorded) -> None:
    seen.start()
    seen.send("attempt_started", attempt=1)
    seen.send("call_failed", error="BadRequestError", status=400, attempts=1, reason="you said: SECRET", seconds=0.5)
    span, (attempt,) = seen.span(), seen.spans(SpanKind.INTERNAL)
    assert attributes(span)["error.type"] == attributes(attempt)["error.type"] == "BadRequestError"
    assert attributes(attempt)["http.response.status_code"] == 400
    assert span.status.status_code is attempt.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert "SECRET" not in span.to_json() + attempt.to_json()


def test_a_cancelled_call_ends_without_an_error(seen: Recorded) -> None:
    seen.start()
    seen.send("attempt_started", attempt=1)
    seen.send("call_cancelled", attempts=1, seconds=0.5)
    assert seen.span().status.status_code is StatusCode.UNSET
    assert attributes(seen.span())["chatport.call.cancelled"] is True
    assert len(seen.spans(SpanKind.INTERNAL)) == 1
    assert seen.points() == {}


# --- attempts and targets


def test_an_error_that_was_retried_is_on_its_attempt_only(seen: Recorded) -> None:
    seen.start()
    seen.send("attempt_started", attempt=1)
    seen.send("attempt_failed", attempt=1, error="OverloadedError", status=503, retryable=True, wait_seconds=0.5)
    seen.send("attempt_started", attempt=2)
    seen.finish(attempts=2)
    first, second = seen.spans(SpanKind.INTERNAL)
    assert attributes(first) == {
        "chatport.target": "acme:big",
        "chatport.attempt.number": 1,
        "error.type": "OverloadedError",
        "http.response.status_code": 503,
        "chatport.attempt.retryable": True,
        "chatport.attempt.wait_seconds": 0.5,
    }
    assert first.status.status_code is StatusCode.ERROR
    assert attributes(second) == {"chatport.target": "acme:big", "chatport.attempt.number": 2}
    call = seen.span()
    assert "error.type" not in attributes(call)
    for attempt in (first, second):
        assert attempt.name == "attempt acme:big"
        assert attempt.parent is not None
        assert attempt.parent.span_id == call.context.span_id
        assert not [name for name in attributes(attempt) if name.startswith("gen_ai.")]  # or it is counted twice


def test_tokens_are_those_of_the_target_that_answered(seen: Recorded) -> None:
    seen.start(targets=2)
    seen.send("attempt_started", attempt=1)
    seen.send("attempt_failed", attempt=1, error="TransportError", status=None, retryable=True, wait_seconds=0.0)
    server: dict[str, Any] = {"server_address": "other.example", "server_port": 8443}
    seen.send("attempt_started", attempt=2, target="other:small:7b", **server)
    seen.finish(target="other:small:7b", provider="other", model="small-1")
    moved = {
        "gen_ai.provider.name": "other",
        "gen_ai.request.model": "small:7b",
        "server.address": "other.example",
        "server.port": 8443,
    }
    assert seen.span().name == "chat big"
    assert moved.items() <= attributes(seen.span()).items()
    for points in seen.points().values():
        for point in points:
            assert moved.items() <= dict(point.attributes or {}).items()


def test_a_provider_may_have_another_name_in_the_conventions() -> None:
    seen = recorder(provider_names={"acme": "acme_ai"})
    seen.start()
    seen.finish()
    assert attributes(seen.span())["gen_ai.provider.name"] == "acme_ai"


# --- metrics


def test_the_metrics_of_a_streamed_call(seen: Recorded) -> None:
    seen.start()
    seen.finish()
    points = seen.points()
    answered = {**COMMON, "gen_ai.response.model": "big-2026"}
    (duration,) = points["gen_ai.client.operation.duration"]
    assert (duration.sum, dict(duration.attributes or {})) == (2.5, answered)
    (first,) = points["gen_ai.client.operation.time_to_first_chunk"]
    assert (first.sum, dict(first.attributes or {})) == (0.75, answered)
    tokens = {str((p.attributes or {})["gen_ai.token.type"]): p for p in points["gen_ai.client.token.usage"]}
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 12, "output": 34}
    assert dict(tokens["input"].attributes or {}) == {**answered, "gen_ai.token.type": "input"}
    assert duration.explicit_bounds == METRICS["duration"].boundaries
    assert tokens["input"].explicit_bounds[:3] == (1, 4, 16)
    assert tokens["input"].explicit_bounds[-1] == 67108864


def test_unknown_counts_are_not_recorded(seen: Recorded) -> None:
    seen.start()
    seen.finish(input_tokens=None, output_tokens=0)
    (output,) = seen.points()["gen_ai.client.token.usage"]
    assert (output.count, output.sum) == (1, 0)


def test_the_duration_of_a_failed_call_has_its_error(seen: Recorded) -> None:
    seen.start()
    seen.send("call_failed", error="DeadlineError", status=None, attempts=1, seconds=30.0)
    points = seen.points()
    assert set(points) == {"gen_ai.client.operation.duration"}
    (duration,) = points["gen_ai.client.operation.duration"]
    assert (duration.sum, dict(duration.attributes or {})) == (30.0, {**COMMON, "error.type": "DeadlineError"})


# --- no span is left behind


def test_a_call_that_is_never_heard_of_again_is_ended_by_age() -> None:
    seen = recorder(longest_call_seconds=60)
    seen.start("lost")
    seen.send("attempt_started", "lost", attempt=1)
    seen.now[0] = 61.0
    seen.start("next")
    assert attributes(seen.span())["chatport.call.id"] == "lost"
    assert attributes(seen.span())["chatport.call.abandoned"] is True
    assert len(seen.spans(SpanKind.INTERNAL)) == 1
    seen.finish("lost")  # too late: it has ended, and is counted nowhere
    assert len(seen.spans()) == 1
    assert seen.points() == {}


def test_the_oldest_call_is_ended_where_there_are_too_many() -> None:
    seen = recorder(most_open_calls=2)
    for number in range(5):
        seen.start(f"c{number}")
    assert [attributes(span)["chatport.call.id"] for span in seen.spans()] == ["c0", "c1", "c2"]


def test_events_that_belong_to_no_call_are_left_alone(seen: Recorded) -> None:
    for event in ATTRIBUTES:
        if event != "call_started":
            seen.send(event, "nobody", attempt=1)
    seen.start()
    seen.send("something_new", attempt=1)
    seen.send("attempt_failed", attempt=9, error="TransportError")
    seen.finish()
    assert len(seen.exporter.get_finished_spans()) == 1


# --- threads and loops


def parents(seen: Recorded) -> dict[str, int | None]:
    return {attributes(s)["chatport.call.id"]: s.parent and s.parent.span_id for s in seen.spans()}


def test_the_parent_is_the_span_that_is_current_in_the_callers_thread(seen: Recorded) -> None:
    tracer = seen.provider.get_tracer("program")
    expected: dict[str, int | None] = {}

    def work(thread: int) -> None:
        with tracer.start_as_current_span("work") as outer:
            for number in range(50):
                call = f"{thread}-{number}"
                expected[call] = outer.get_span_context().span_id
                seen.start(call)
                seen.send("attempt_started", call, attempt=1)
                seen.finish(call)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parents(seen) == expected
    assert seen.points()["gen_ai.client.operation.duration"][0].count == 200


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_parent_is_the_span_that_is_current_in_the_callers_task(seen: Recorded, backend: str) -> None:
    tracer = seen.provider.get_tracer("program")
    expected: dict[str, int | None] = {}

    async def work(call: str) -> None:
        with tracer.start_as_current_span("work") as outer:
            expected[call] = outer.get_span_context().span_id
            seen.start(call)
            await anyio.lowlevel.checkpoint()
            seen.send("attempt_started", call, attempt=1)
            await anyio.lowlevel.checkpoint()
        seen.finish(call)  # the stream may be read to its end elsewhere

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(work, f"c{number}")

    anyio.run(main, backend=backend)
    assert parents(seen) == expected


# --- what reaches a span at all


def test_only_what_the_table_names_is_recorded(seen: Recorded) -> None:
    """A field that slips into an event, and a vendor's endless id, do not reach a span or a metric."""
    leak: dict[str, Any] = dict.fromkeys(("prompt", "messages", "api_key", "reason", "headers"), "SECRET")
    seen.start(**leak)
    seen.send("attempt_started", attempt=1, **leak)
    seen.send("attempt_failed", attempt=1, error="ServerError", status=500, **leak)
    seen.send("first_event", attempt=1, **leak)
    seen.finish(reply_id="i" * 10_000, **leak)
    spans = seen.exporter.get_finished_spans()
    assert len(spans) == 2
    assert "SECRET" not in "".join(span.to_json() for span in spans) + repr(seen.points())
    assert len(attributes(seen.span())["gen_ai.response.id"]) == 256


# --- installed or not


def test_without_opentelemetry_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; import chatport.otel"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: chatport.otel needs OpenTelemetry: pip install chatport-core[otel]" in done.stderr


def test_a_client_never_imports_opentelemetry() -> None:
    code = (
        "import sys, chatport\n"
        "chatport.Client({'providers': {'x': {'kind': 'compatible', 'base_url': 'https://h.example'}}})"
        ".explain('hi', model='x:m')\n"
        "sys.exit('opentelemetry' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_an_sdk_nothing_is_recorded_and_nothing_fails() -> None:
    code = (
        "from chatport.otel import Telemetry\n"
        "fields = {'call_id': 'c', 'target': 'x:m', 'operation': 'chat', 'attempt': 1, 'seconds': 1.0}\n"
        "telemetry = Telemetry()\n"
        "for event in ('call_started', 'attempt_started', 'attempt_failed', 'call_finished'):\n"
        "    telemetry(event, fields)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# --- the whole way


def vendor(request: httpx.Request) -> httpx.Response:
    if b"fail" in request.content:
        return httpx.Response(400, json={"error": {"message": f"bad: {request.content!r} {request.headers}"}})
    choice = {"index": 0, "message": {"role": "assistant", "content": "REPLY"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return httpx.Response(200, json={"id": "r-1", "model": "m-1", "choices": [choice], "usage": usage})


@pytest.mark.skipif(
    "observers" not in inspect.signature(chatport.Client.__init__).parameters, reason="clients take no observers yet"
)
def test_a_client_tells_its_observers(seen: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", "SECRETKEY")
    base = {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": {"env": "CANARY_KEY"}}
    options: dict[str, Any] = {"observers": [seen.telemetry]}
    with (
        httpx.Client(transport=httpx.MockTransport(vendor)) as http,
        chatport.Client({"providers": {"x": base}}, transport=http, **options) as client,
        seen.provider.get_tracer("program").start_as_current_span("work") as outer,
    ):
        client.chat("PROMPT", model="x:m")
        with pytest.raises(chatport.BadRequestError):
            client.chat("PROMPT fail", model="x:m")
    good, bad = seen.spans()
    assert good.name == bad.name == "chat m"
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "x",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.id": "r-1",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "server.address": "127.0.0.1",
        "server.port": 9,
    }
    assert expected.items() <= attributes(good).items()
    assert attributes(bad)["error.type"] == "BadRequestError"
    assert {span.parent and span.parent.span_id for span in (good, bad)} == {outer.get_span_context().span_id}
    assert len(seen.spans(SpanKind.INTERNAL)) == 3  # two attempts, and the program's own span
    written = "".join(span.to_json() for span in seen.exporter.get_finished_spans())
    for secret in ("PROMPT", "REPLY", "SECRETKEY"):
        assert secret not in written


# --- what is asked and answered

ASKED = [{"role": "user", "parts": [{"type": "text", "content": "PROMPT"}]}]
ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "REPLY"}], "finish_reason": "stop"}]


def test_content_that_a_client_tells_is_json_on_the_span_of_the_call(seen: Recorded) -> None:
    seen.start(input_messages=ASKED, left_out_messages=3)
    seen.send("attempt_started", attempt=1)
    seen.finish(output_messages=ANSWERED)
    told = attributes(seen.span())
    assert json.loads(told["gen_ai.input.messages"]) == ASKED
    assert json.loads(told["gen_ai.output.messages"]) == ANSWERED
    assert told["chatport.content.left_out_messages"] == 3
    (attempt,) = seen.spans(SpanKind.INTERNAL)
    assert not set(attributes(attempt)) & set(CONTENT.values())
    assert "PROMPT" not in repr(seen.points())


def test_what_came_of_a_call_that_failed_or_was_left_is_on_its_span(seen: Recorded) -> None:
    for number, event in enumerate(("call_failed", "call_cancelled")):
        seen.start(f"c{number}")
        seen.send(event, f"c{number}", attempts=1, error="ServerError", output_messages=ANSWERED)
    for span in seen.spans():
        assert json.loads(attributes(span)["gen_ai.output.messages"]) == ANSWERED


def test_a_telemetry_may_leave_content_out() -> None:
    seen = recorder(content=False)
    seen.start(input_messages=ASKED)
    seen.finish(output_messages=ANSWERED)
    assert "PROMPT" not in seen.span().to_json()
    assert "REPLY" not in seen.span().to_json()


def test_content_fits_the_schema_of_the_conventions(seen: Recorded) -> None:
    """Each message has `role` and `parts`, each part its `type`, and each type what the conventions require of it."""
    required = {
        "text": {"content"},
        "reasoning": {"content"},
        "tool_call": {"name", "arguments"},
        "tool_call_response": {"response"},
        "blob": {"modality", "content"},
        "uri": {"modality", "uri"},
        "file": {"modality", "file_id"},
    }
    asked = chatport.ToolCall("c1", "look", '{"a": 1}')
    pictures = (chatport.ImagePart("https://x.example/a.png"), chatport.ImagePart.from_bytes(b"\x89PNG\r\n\x1a\n"))
    messages: Any = [
        chatport.Message.system("Be short."),
        chatport.Message.user("see", *pictures, chatport.FilePart("file-1")),
        chatport.Message.assistant("", tool_calls=(asked,)),
        chatport.Message.tool(asked, "found"),
        chatport.Message.user("think: hm\nsay: yes"),
    ]
    emulator = Emulator("compatible")
    config = {**emulator.config(), "log": {"content": True}}
    with chatport.Client(config, transport=emulator, observers=[seen.telemetry]) as client:
        client.chat(messages, model="compatible:emulated-model")
    told = attributes(seen.span())
    asked_parts = json.loads(told["gen_ai.input.messages"])
    (answer,) = json.loads(told["gen_ai.output.messages"])
    assert answer["finish_reason"] == "stop"
    parts = [part for message in (*asked_parts, answer) for part in message["parts"]]
    assert {part["type"] for part in parts} >= {"text", "tool_call", "tool_call_response", "blob", "uri", "file"}
    for part in parts:
        assert required[part["type"]] <= set(part), part
