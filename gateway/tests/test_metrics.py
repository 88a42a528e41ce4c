"""Metrics: what is counted of each request, under which names, for whom, and at which price."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.databases import running_redis

import chatport
from chatport.otel import ATTRIBUTES, METRICS
from chatport.testing import Emulator, faults
from chatport_gateway import Gateway, GatewaySettings
from chatport_gateway.keys import hash_of
from chatport_gateway.metrics.counting import Counting
from chatport_gateway.watching import Visit
from chatport_surfaces import Asked
from chatport_surfaces.chat import ChatSurface

from .asking import PROTOCOLS
from .team.conftest import MODEL, opened

pytestmark = pytest.mark.anyio
READER = "a-reader-of-metrics"
PRICES = [{"match": "*", "input": 10.0, "output": 100.0}]
CALLS = "chatport_gateway_requests_total"
DURATION = "gen_ai_client_operation_duration_seconds"


@pytest.fixture
def anyio_backend() -> str:
    """The gateway runs on uvicorn, and so on asyncio."""
    return "asyncio"


class Observed:
    """A gateway without a port, whose metrics have one."""

    def __init__(self, gateway: Gateway, emulator: Emulator) -> None:
        self.gateway, self.emulator = gateway, emulator
        assert gateway.metrics is not None
        self.metrics = gateway.metrics

    async def post(self, path: str, body: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.gateway)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
            return await http.post(path, json=body)

    async def ask(self, text: str = "say: hi", model: str = "main", **options: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **options}
        return await self.post("/v1/chat/completions", body)

    async def read(self, path: str = "/metrics", **options: Any) -> httpx.Response:
        async with httpx.AsyncClient() as http:
            return await http.get(f"http://127.0.0.1:{self.metrics.beside.port}{path}", **options)

    async def samples(self, **options: Any) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Return all that is told, by name."""
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families((await self.read(**options)).text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    async def value(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over the series with these labels."""
        series = (await self.samples()).get(name, [])
        return sum(value for known, value in series if labels.items() <= known.items())


@asynccontextmanager
async def observed(
    emulator: Emulator | None = None, *, is_on_port: bool = False, **tables: Any
) -> AsyncIterator[Observed]:
    emulator = emulator or Emulator("compatible")
    tables.setdefault("aliases", {"main": [MODEL]})
    tables.setdefault("metrics", {"port": 0})
    config = emulator.config(models={MODEL: {"prices": PRICES}}, **tables)
    async with chatport.AsyncClient(config, transport=None if is_on_port else emulator) as client:
        gateway = Gateway(client=client)
        await gateway.open()
        try:
            yield Observed(gateway, emulator)
        finally:
            await gateway.aclose()


async def test_what_is_counted_of_a_call() -> None:
    """Requests, duration, tokens, cost, attempts: of plain calls and streams, on each protocol."""
    async with observed() as one:
        for protocol in PROTOCOLS:
            for stream in (False, True):
                answer = await one.post(protocol.path, protocol.body("say: one two", stream=stream))
                assert protocol.seen(answer, stream=stream).outcome == "whole"
        labels = {"gen_ai_provider_name": "compatible", "gen_ai_request_model": "emulated-model"}
        for protocol in PROTOCOLS:
            of = {"surface": protocol.name, "gen_ai_request_model": "main", "status": "200", "outcome": "ok"}
            assert await one.value(CALLS, **of) == 2
        assert await one.value(f"{DURATION}_count", gen_ai_operation_name="chat", error_type="", **labels) == 6
        assert await one.value("gen_ai_client_operation_time_to_first_chunk_seconds_count", **labels) == 3
        for kind in ("input", "output"):
            tokens = await one.value(
                "gen_ai_client_token_usage_sum", gen_ai_token_type=kind, gen_ai_operation_name="chat", **labels
            )
            assert tokens > 6
        assert await one.value("chatport_gateway_cost_total", currency="USD", **labels) > 0
        assert await one.value("chatport_gateway_attempts_total", outcome="ok", **labels) == 6
        assert await one.value("chatport_gateway_requests_in_flight") == 0


async def test_what_is_counted_of_embeddings() -> None:
    async with observed(Emulator("openai"), aliases={"main": ["openai:text-embedding-3-small"]}) as one:
        assert (await one.post("/v1/embeddings", {"model": "main", "input": "canary"})).status_code == 200
        labels = {"gen_ai_operation_name": "embeddings", "gen_ai_request_model": "text-embedding-3-small"}
        assert await one.value(f"{DURATION}_count", **labels) == 1
        assert await one.value("gen_ai_client_token_usage_sum", gen_ai_token_type="input", **labels) > 0
        assert await one.value(CALLS, surface="embeddings", outcome="ok") == 1
        assert "canary" not in (await one.read()).text


async def test_failures_fallbacks_and_who_left() -> None:
    other = "compatible:another-model"
    emulator = Emulator("compatible", faults=[faults.status(500)], models=("emulated-model", "another-model"))
    aliases = {"main": [MODEL], "two": [MODEL, other]}
    async with observed(emulator, aliases=aliases, retry={"attempts": 1}) as one:
        assert (await one.ask(model="two")).status_code == 200
        assert await one.value("chatport_gateway_fallbacks_total", gen_ai_request_model="two") == 1
        assert await one.value("chatport_gateway_attempts_total", outcome="ServerError") == 1
        await one.ask("error: 400")
        assert await one.value(CALLS, outcome="failed", status="400") == 1
        assert await one.value(f"{DURATION}_count", error_type="BadRequestError") == 1
        assert (await one.ask(model="")).status_code == 400
        assert await one.value(CALLS, outcome="refused", status="400") == 1
        assert await one.value("chatport_gateway_refused_total", reason="request") == 1


async def test_a_stream_that_is_left() -> None:
    """It is under way as long as it is read, and then one that its client has left."""
    with Emulator("compatible", faults=[faults.stall(after_events=2)]) as emulator:
        await leave(emulator)


async def leave(emulator: Emulator) -> None:
    """Leave a stream whose vendor has stopped in the middle of it."""
    async with observed(emulator, is_on_port=True) as one:
        told = asyncio.Event()
        sent = asyncio.Event()
        body = b'{"model": "main", "stream": true, "messages": [{"role": "user", "content": "say: one two three"}]}'
        asked = iter([{"type": "http.request", "body": body}])

        async def receive() -> Any:
            for message in asked:
                return message
            await told.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                sent.set()

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
        task = asyncio.create_task(one.gateway(scope, receive, send))
        await sent.wait()
        assert await one.value("chatport_gateway_requests_in_flight") == 1
        told.set()
        await task
        assert await one.value("chatport_gateway_requests_in_flight") == 0
        assert await one.value(CALLS, outcome="left", status="499") == 1
        assert await one.value("chatport_gateway_attempts_total", outcome="cancelled") <= 1
        assert await one.value(f"{DURATION}_count") == 0


async def test_what_clients_make_up_makes_no_series() -> None:
    """Only names of the configuration are labels, whatever is asked for: the others are one."""
    async with observed() as one:
        await one.ask()
        await one.ask(model="unheard-of")
        await one.ask(model="compatible:made-up")
        await one.ask(model="nobody:made-up")
        before = {name: len(series) for name, series in (await one.samples()).items()}
        for number in range(20):
            await one.ask(model=f"made-up-{number}")
            await one.ask(model=f"compatible:made-up-{number}")
            await one.ask(model=f"nobody-{number}:x")
        after = {name: len(series) for name, series in (await one.samples()).items()}
        assert after == before
        page = (await one.read()).text
        assert "made-up" not in page
        assert "nobody" not in page
        assert await one.value(CALLS, gen_ai_request_model="other") == 63
        labels = {"gen_ai_provider_name": "compatible", "gen_ai_request_model": "other"}
        assert await one.value("chatport_gateway_attempts_total", **labels) == 21


async def test_nothing_that_was_said_and_no_key_is_told() -> None:
    async with observed() as one:
        await one.ask("say: canary-of-the-answer canary-of-the-prompt")
        page = (await one.read()).text
        assert "canary" not in page
        assert "emulated" in page  # the model's name


def test_the_names_are_those_of_the_conventions() -> None:
    """What core calls them for OpenTelemetry, as Prometheus writes it: dots, and the unit at the end."""

    def written(metric: Any) -> str:
        return str(metric.name).replace(".", "_") + ("_seconds" if metric.unit == "s" else "")

    counting = Gateway({"metrics": {}}).metrics.counting  # type: ignore[union-attr]  # there is a table
    ours = {"duration": counting._duration, "tokens": counting._tokens, "first_chunk": counting._first}
    for name, metric in METRICS.items():
        assert ours[name]._name == written(metric)
        assert tuple(ours[name]._upper_bounds[:-1]) == metric.boundaries
        assert ours[name]._documentation == metric.description
    assert counting._duration._labelnames[0] == ATTRIBUTES["call_started"]["operation"].replace(".", "_")


# --- how things stand


async def test_breakers_and_queues_are_looked_up() -> None:
    emulator = Emulator("compatible", faults=[faults.status(500)] * 2)
    tables: dict[str, Any] = {"retry": {"attempts": 1}, "breaker": {"failures": 2}, "pacing": {"concurrency": 5}}
    async with observed(emulator, **tables) as one:
        labels = {"gen_ai_provider_name": "compatible", "gen_ai_request_model": "emulated-model"}
        await one.ask()
        assert await one.value("chatport_gateway_breaker_state", **labels) == 0
        await one.ask()
        assert await one.value("chatport_gateway_breaker_state", **labels) == 2
        assert ("chatport_gateway_pacing_queue" in await one.samples()) is True
        (health,) = one.gateway.client.health()
        assert (health.target, health.breaker, health.waiting, health.active) == (MODEL, "open", 0, 0)
        assert 0 < health.open_for_seconds <= 10


async def test_the_event_loop_is_watched() -> None:
    """A task that does not give way for a tenth of a second is seen."""
    async with observed() as one:
        for _ in range(20):
            time.sleep(0.1)  # noqa: ASYNC251  # this is what is to be seen
            await asyncio.sleep(0.02)
            if await one.value("chatport_gateway_event_loop_lag_seconds_sum") > 0.02:
                break
        assert await one.value("chatport_gateway_event_loop_lag_seconds_sum") > 0.02
        assert await one.value("process_cpu_seconds_total") > 0


async def test_a_team_is_told_of(tmp_path: Path) -> None:
    """Why calls are refused, and what waits in the journal."""
    async with opened(tmp_path / "team", metrics={"port": 0}, team={"usd_total": 100.0}) as world:
        one = Observed(world.gateway, world.emulator)
        key = await world.key("limited", requests_per_minute=1, models=["main"])
        poor = await world.key("poor", usd_total=0.0)
        assert (await world.ask(key)).status_code == 200
        assert (await world.ask(key)).status_code == 429
        assert (await world.ask(key, model="other")).status_code == 403
        assert (await world.ask(poor)).status_code == 429
        assert (await world.ask("wrong")).status_code == 401
        for reason in ("requests_per_minute", "permission", "budget", "key"):
            assert await one.value("chatport_gateway_refused_total", reason=reason) == 1
        assert await one.value(CALLS, outcome="refused") == 4
        await world.team.records.flush()
        assert await one.value("chatport_gateway_journal_waiting_bytes") == 0
        assert await one.value("chatport_gateway_database_behind") == 0
        assert (await one.samples())["chatport_gateway_records_lost_total"] == [({}, 0.0)]


async def test_what_a_key_embeds_is_counted_for_who_was_asked(tmp_path: Path) -> None:
    """Vectors do not say who has made them."""
    model = "openai:text-embedding-3-small"
    async with opened(tmp_path / "team", Emulator("openai"), model=model, metrics={"port": 0}) as world:
        one = Observed(world.gateway, world.emulator)
        key = await world.key("ci")
        async with world.client(key) as client:
            assert (await client.post("/v1/embeddings", json={"model": "", "input": "a"})).status_code == 200
        labels = {"gen_ai_provider_name": "openai", "gen_ai_request_model": "text-embedding-3-small"}
        assert await one.value(f"{DURATION}_count", gen_ai_operation_name="embeddings", **labels) == 1


async def test_names_are_those_of_the_configuration_that_holds() -> None:
    """A name that a new one has is no other one any more; and what is opened twice is opened once."""
    async with observed() as one:
        port = one.metrics.beside.port
        await one.gateway.open()
        assert one.metrics.beside.port == port
        tables = {"aliases": {"new": [MODEL]}, "metrics": {"port": 0}}
        config = one.emulator.config(models={MODEL: {"prices": PRICES}}, **tables)
        async with chatport.AsyncClient(config, transport=one.emulator) as client:
            assert (await one.ask()).status_code == 200
            assert (await one.ask(model="new")).status_code == 404
            await one.gateway.reload(client=client)
            assert (await one.ask(model="new")).status_code == 200
            assert (await one.ask()).status_code == 404
            for name, status in (("main", "200"), ("new", "200"), ("other", "404")):
                assert await one.value(CALLS, gen_ai_request_model=name, status=status) == (2 if name == "other" else 1)


async def test_a_cache_is_told_of() -> None:
    async with observed(cache={}) as one:
        for _ in range(3):
            await one.ask()
        assert one.gateway.cache is not None
        one.gateway.cache.failures = 4
        assert (await one.samples())["chatport_gateway_cache_failures_total"] == [({}, 4.0)]
        assert await one.value("chatport_gateway_cache_requests_total", result="miss") == 1
        assert await one.value("chatport_gateway_cache_requests_total", result="hit") == 2
        assert await one.value(f"{DURATION}_count") == 1  # a hit is nobody's


async def test_a_store_of_limits_is_told_of(tmp_path: Path) -> None:
    with running_redis() as server:
        team = {"redis": server.url, "on_store_down": "local"}
        async with opened(tmp_path / "team", metrics={"port": 0}, team=team) as world:
            one = Observed(world.gateway, world.emulator)
            key = await world.key("ci", concurrency=5)
            assert (await world.ask(key)).status_code == 200
            assert (await one.samples())["chatport_gateway_limits_store_down"] == [({}, 0.0)]
            server.kill()
            assert (await world.ask(key)).status_code == 200
            assert (await one.samples())["chatport_gateway_limits_store_down"] == [({}, 1.0)]


# --- who may read it


async def test_it_is_on_an_address_of_its_own() -> None:
    """The gateway's port has no metrics, and theirs has nothing else."""
    async with observed() as one:
        reply = await one.read()
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/plain; version=")
        assert (await one.read("/")).status_code == 404
        assert (await one.read("/v1/models")).status_code == 404
        opened_text = await one.read(headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert opened_text.text.endswith("# EOF\n")
        transport = httpx.ASGITransport(one.gateway)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
            assert (await http.get("/metrics")).status_code == 404
        port = one.metrics.beside.port
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port or 0)) != 0  # it has ended with the gateway


async def test_a_key_guards_it() -> None:
    async with observed(metrics={"port": 0, "host": "0.0.0.0", "key_hashes": [hash_of(READER)]}) as one:
        assert (await one.read()).status_code == 401
        assert (await one.read(headers={"authorization": "Bearer wrong"})).status_code == 401
        assert (await one.read(headers={"authorization": f"Bearer {READER}"})).status_code == 200
        assert (await one.read("/nowhere")).status_code == 401


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"host": "0.0.0.0"}, "no key is set"),
        ({"prot": 1}, "no 'prot'"),
        ({"port": "9464"}, "port is a number"),
        ({"port": 70000}, "port is a number"),
        ({"port": True}, "port is a number"),
        ({"host": ""}, "host is a text"),
        ({"key_env": "NOT_SET_ANYWHERE"}, "which is not set"),
        ({"key_hashes": ["md5:x"]}, "64 hex digits"),
        ({"key_hashes": "sha256:x"}, "list of texts"),
    ],
)
def test_a_table_that_cannot_be_meant(table: Any, words: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match=words):
        Gateway({"metrics": table})


async def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        gateway = Gateway({"metrics": {"port": taken.getsockname()[1]}})
        with pytest.raises(chatport.ConfigurationError, match=r"is taken.*another port in \[metrics\]"):
            await gateway.open()
        await gateway.aclose()


def test_without_the_table_there_are_none() -> None:
    gateway = Gateway(settings=GatewaySettings())
    assert gateway.metrics is None
    assert gateway.watchers == []


# --- what it costs


def visits(gateway: Gateway) -> tuple[Counting, Visit]:
    """Return what counts, and a request that was answered."""
    assert gateway.metrics is not None
    visit = Visit(gateway.setup, "POST", "/v1/chat/completions", "req_1")
    visit.surface = visit.record.surface = ChatSurface()
    visit.record.asked = Asked("chat", "main")
    visit.record.reply = chatport.Reply(
        "hi",
        usage=chatport.Usage(10, 10),
        cost=chatport.Cost(0.1, "USD"),
        provider="compatible",
        model="emulated-model",
        attempts=(chatport.Attempt(MODEL, "ok", 0.1),),
    )
    return gateway.metrics.counting, visit


def test_a_request_costs_little() -> None:
    """Measured at 7 µs; here a bound that a slow and busy machine keeps too: the best of many rounds."""
    counting, visit = visits(Gateway({"metrics": {}, "aliases": {"main": [MODEL]}}))
    rounds = []
    for _ in range(30):
        began = time.process_time()
        for _ in range(200):
            counting.begun(visit)
            counting.ended(visit, 200)
        rounds.append((time.process_time() - began) / 200)
    assert min(rounds) < 30e-6
