"""The response cache: what is given again, to whom, as what, for how long; and that it never fails a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import structlog

import chatport
from chatport.testing import Emulator, faults
from chatport_gateway import Gateway, GatewaySettings
from chatport_gateway.caching.cache import Cache
from chatport_gateway.caching.kept import vectors_from_bytes, vectors_to_bytes
from chatport_gateway.caching.settings import CacheSettings
from chatport_gateway.caching.store import Entry, Store
from chatport_gateway.caching.worth import Wish, is_worth_keeping, wish_of
from chatport_gateway.keys import hash_of

from .asking import PROTOCOLS, Protocol
from .conftest import VENDORS
from .team.conftest import MODEL, opened

pytestmark = pytest.mark.anyio
BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}
CUT = chatport.Alternative("y", finish_reason="length")
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def anyio_backend() -> str:
    """The gateway runs on uvicorn, and so on asyncio."""
    return "asyncio"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


class Caching:
    """A gateway that caches, asked without a port. What it makes up, ids and the time, is the same each time."""

    def __init__(self, gateway: Gateway, emulator: Emulator) -> None:
        self.gateway, self.emulator, self.clock = gateway, emulator, Clock()
        assert gateway.cache is not None
        self.cache: Cache = gateway.cache
        self.cache._now = self.clock
        context = attrs.evolve(gateway.surfaces.context, new_id=lambda prefix: f"{prefix}1", unix_seconds=lambda: 1)
        gateway.surfaces.context = context

    @property
    def sent(self) -> int:
        """How often the vendor was asked."""
        return len(self.emulator.requests)

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Ask once, and let what is kept be written."""
        transport = httpx.ASGITransport(self.gateway)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            answer = await http.post(path, json=body, headers=sent)
        await self.cache.written()
        return answer

    async def ask(self, text: str = "say: hi", *, stream: bool = False, headers: Any = None, **options: Any) -> str:
        """Ask in chat completions; return whether that was a `hit` or a `miss`, or what else became of it."""
        body = {"model": "main", "messages": [{"role": "user", "content": text}], "stream": stream, **options}
        answer = await self.post("/v1/chat/completions", body, **(headers or {}))
        return str(answer.headers.get("x-chatport-cache", answer.status_code))


@asynccontextmanager
async def caching(
    vendor: str = "deepseek",
    *,
    emulator: Emulator | None = None,
    settings: GatewaySettings | None = None,
    model: str | None = None,
    **tables: Any,
) -> AsyncIterator[Caching]:
    emulator = emulator or Emulator(vendor)
    tables.setdefault("aliases", {"main": [model or f"{vendor}:{VENDORS.get(vendor, 'emulated-model')}"]})
    config = emulator.config(cache=tables.pop("cache", {}), **tables)
    async with chatport.AsyncClient(config, transport=emulator) as client:
        gateway = Gateway(client=client, settings=settings or GatewaySettings())
        await gateway.open()
        try:
            yield Caching(gateway, emulator)
        finally:
            await gateway.aclose()


# --- what is given again


SAID = {
    "text": "say: one two three, größer 🙂",
    "reasoning": "think: first this\nsay: then that",
    "tools": 'call: look_up {"a": 1}\ncall: look_up {"b": [2, 3]}',
}


def body_of(protocol: Protocol, said: str, *, stream: bool) -> dict[str, Any]:
    body = protocol.body(SAID[said], stream=stream)
    if said == "tools":
        function: Any = TOOL["function"]
        tools = {
            "chat": TOOL,
            "responses": {"type": "function", "name": function["name"], "parameters": function["parameters"]},
            "messages": {"name": function["name"], "input_schema": function["parameters"]},
        }
        body["tools"] = [tools[protocol.name]]
    return body


@pytest.mark.parametrize("said", list(SAID))
@pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
async def test_the_same_bytes_come_again(vendor: str, said: str) -> None:
    """On each protocol, native and translated, plain and streamed; and the vendor hears nothing of it."""
    for stream in (False, True):
        async with caching(vendor) as one:
            for protocol in PROTOCOLS:
                body = body_of(protocol, said, stream=stream)
                first = await one.post(protocol.path, body)
                sent = one.sent
                again = await one.post(protocol.path, body)
                assert first.status_code == 200
                assert one.sent == sent
                assert again.content == first.content
                assert again.headers["x-chatport-cache"] == "hit"
                told = {k: v for k, v in first.headers.items() if k not in ("x-chatport-cache", "x-request-id")}
                assert told.items() <= again.headers.items()


def said_in(answer: httpx.Response, protocol: Protocol, *, stream: bool) -> str:
    seen = protocol.seen(answer, stream=stream)
    assert seen.outcome == "whole"
    return seen.text


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_plain_answer_is_given_as_a_stream_and_the_other_way_round(vendor: str, stream: bool) -> None:
    async with caching(vendor) as one:
        for protocol in PROTOCOLS:
            first = await one.post(protocol.path, protocol.body(SAID["text"], stream=stream))
            sent = one.sent
            other = await one.post(protocol.path, protocol.body(SAID["text"], stream=not stream))
            assert (other.headers["x-chatport-cache"], one.sent) == ("hit", sent)
            text = said_in(first, protocol, stream=stream)
            assert said_in(other, protocol, stream=not stream) == text == "one two three, größer 🙂"


async def test_calls_of_tools_as_a_stream() -> None:
    """Of a plain answer with two calls, the stream has both."""
    async with caching("deepseek") as one:
        chat = BY_NAME["chat"]
        plain = await one.post(chat.path, body_of(chat, "tools", stream=False))
        stream = await one.post(chat.path, body_of(chat, "tools", stream=True))
        calls = plain.json()["choices"][0]["message"]["tool_calls"]
        assert [call["function"]["arguments"] for call in calls] == ['{"a": 1}', '{"b": [2, 3]}']
        events = [json.loads(line[6:]) for line in stream.text.split("\n") if line.startswith("data: {")]
        begun = [call for event in events for c in event["choices"] for call in c["delta"].get("tool_calls", ())]
        assert [(call["index"], call["id"], call["function"]) for call in begun] == [
            (at, call["id"], call["function"]) for at, call in enumerate(calls)
        ]


async def test_vectors_are_given_again() -> None:
    async with caching("openai", model="openai:text-embedding-3-small") as one:
        for body in ({"input": ["a", "b"]}, {"input": ["a", "b"], "encoding_format": "base64"}):
            answers = [await one.post("/v1/embeddings", {"model": "main", **body}) for _ in range(2)]
            assert answers[0].content == answers[1].content
        assert one.sent == 1
        other = await one.post("/v1/embeddings", {"model": "main", "input": ["a", "c"]})
        assert (other.headers["x-chatport-cache"], one.sent) == ("miss", 2)


@pytest.mark.parametrize(
    "damage", [b"", b"\x95\x01", b"\x95\x07\x90\xa1m\xc0\xc0", b"\x95\x01\x91\x91\xa1x\xa1m\xc0\xc0"]
)
async def test_damaged_vectors_are_asked_again(damage: bytes) -> None:
    """Nothing at all, half of them, those of another version, and texts in the place of numbers."""
    async with caching("openai", model="openai:text-embedding-3-small") as one:
        body = {"model": "main", "input": ["a"]}
        first = await one.post("/v1/embeddings", body)
        entries = one.cache.store._entries  # type: ignore[attr-defined]  # that of the memory
        [(key, entry)] = entries.items()
        entries[key] = attrs.evolve(entry, data=damage)
        for outcome, sent in (("miss", 2), ("hit", 2)):
            answer = await one.post("/v1/embeddings", body)
            assert (answer.headers["x-chatport-cache"], one.sent) == (outcome, sent)
            assert answer.content == first.content


def test_vectors_are_kept_with_all_that_is_told_of_them_or_not_at_all() -> None:
    """What they cost is nothing now; those with warnings are few."""
    vectors = chatport.Embeddings(
        ((0.5, -1.0), (2.0, 0.0)), "m", chatport.Usage(input_tokens=3, output_tokens=None), None
    )
    kept = vectors_to_bytes(vectors)
    assert kept is not None
    assert vectors_from_bytes(kept) == attrs.evolve(vectors, cost=chatport.Cost(0.0, "USD", "cache"))
    with pytest.raises(ValueError, match=r"^These are vectors of form 7\.$"):
        vectors_from_bytes(b"\x95\x07" + kept[2:])
    with pytest.raises(ValueError, match=r"^These are no kept vectors \(\w+\)\.$"):
        vectors_from_bytes(kept[:-1])
    warned = attrs.evolve(vectors, warnings=(chatport.Adjustment("dropped", "dimensions", "It has none."),))
    assert vectors_to_bytes(warned) is None


async def test_whatever_is_asked_otherwise_is_asked() -> None:
    """Each of these is another request, to the vendor or in its warnings."""
    async with caching("deepseek") as one:
        asked: list[dict[str, Any]] = [
            {},
            {"text": "say: ho"},
            {"temperature": 0.5},
            {"max_tokens": 100},
            {"seed": 1},
            {"tools": [TOOL]},
            {"stop": ["x"]},
            {"logit_bias": {"1": 1}},
            {"user": "somebody"},
            {"model": "deepseek:deepseek-v4-pro"},
        ]
        assert [await one.ask(**options) for options in asked] == ["miss"] * len(asked)
        assert [await one.ask(**options) for options in asked] == ["hit"] * len(asked)
        assert one.sent == len(asked)


async def test_other_settings_of_the_provider_are_another_request() -> None:
    """A cache that outlives the process finds nothing that another vendor has said."""
    store: dict[bytes, Entry] = {}
    for base_url, expected in (("http://a.example/v1", "miss"), ("http://b.example/v1", "miss")):
        emulator = Emulator("compatible")
        providers = {"acme": {"kind": "compatible", "base_url": base_url, "api_key": "k"}}
        providers["acme"]["allow_plain_http"] = True  # type: ignore[assignment]
        config = {"providers": providers, "aliases": {"main": ["acme:emulated-model"]}, "cache": {}}
        async with chatport.AsyncClient(config, transport=emulator) as client:
            one = Caching(Gateway(client=client), emulator)
            one.cache.store._entries = store  # type: ignore[attr-defined]  # that of the memory
            assert await one.ask() == expected
            assert await one.ask() == "hit"


# --- for how long


async def test_an_answer_grows_old() -> None:
    async with caching(cache={"ttl_seconds": 60}) as one:
        assert await one.ask() == "miss"
        one.clock.seconds += 59.5
        answer = await one.post("/v1/chat/completions", BY_NAME["chat"].body("say: hi", stream=False))
        assert (answer.headers["x-chatport-cache"], answer.headers["age"]) == ("hit", "59")
        one.clock.seconds += 1
        assert [await one.ask(), await one.ask()] == ["miss", "hit"]


async def test_the_oldest_makes_room() -> None:
    async with caching(cache={"most_bytes": 20_000}) as one:
        text = "word " * 100
        for number in range(40):
            assert await one.ask(f"say: {number} {text}") == "miss"
            one.clock.seconds += 1
        assert one.cache.store.size <= 20_000  # type: ignore[attr-defined]  # that of the memory
        assert await one.ask(f"say: 39 {text}") == "hit"
        assert await one.ask(f"say: 0 {text}") == "miss"
        assert await one.ask("say: " + "word " * 2000) == "miss"
        assert await one.ask("say: " + "word " * 2000, stream=True) == "miss"  # which is too large


# --- what a client wishes


@pytest.mark.parametrize(
    ("header", "wish"),
    [
        ("", Wish()),
        ("no-store", Wish(reads=False, writes=False)),
        ("No-Cache", Wish(reads=False)),
        ("private, no-cache", Wish(reads=False)),
        ("max-age=60", Wish(most_seconds=60)),
        ("max-age=0", Wish(reads=False, most_seconds=0)),
        ("max-age=-5, max-age=x, max-age=", Wish()),
        ("max-age=9, max-age=5", Wish(most_seconds=5)),
        ("no-storeroom", Wish()),
    ],
)
def test_what_the_header_says(header: str, wish: Wish) -> None:
    assert wish_of({"cache-control": header}) == wish


async def test_a_client_may_wish_otherwise() -> None:
    async with caching() as one:
        assert await one.ask(headers={"cache_control": "no-store"}) == "200"
        assert await one.ask() == "miss"  # nothing was kept
        assert await one.ask(headers={"cache_control": "no-store"}) == "200"  # and nothing is read
        one.clock.seconds += 10
        assert await one.ask(headers={"cache_control": "no-cache"}) == "miss"  # but what comes is kept
        one.clock.seconds += 10
        assert await one.ask(headers={"cache_control": "max-age=11"}) == "hit"
        assert await one.ask(headers={"cache_control": "max-age=9"}) == "miss"
        assert one.sent == 5


# --- what is not kept


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("error: 400", {}),
        ("error: 500", {}),
        ("refuse: no", {}),
        ("say: " + "word " * 50, {"max_tokens": 3}),
    ],
)
async def test_errors_refusals_and_halves_are_asked_again(said: str, options: Any, stream: bool) -> None:
    async with caching("openai", model="openai:gpt-4o", retry={"attempts": 1}) as one:
        first, again = [await one.ask(said, stream=stream, **options) for _ in range(2)]
        assert "hit" not in (first, again)
        assert one.sent == 2


async def test_a_stream_that_breaks_off_is_asked_again() -> None:
    emulator = Emulator("deepseek", faults=[faults.cut(after_events=3)])
    async with caching(emulator=emulator, retry={"attempts": 1}) as one:
        assert await one.ask("say: one two three four", stream=True) == "miss"
        assert await one.ask("say: one two three four", stream=True) == "miss"
        assert await one.ask("say: one two three four", stream=True) == "hit"


async def test_a_stream_that_is_left_is_asked_again() -> None:
    async with caching() as one:
        body = json.dumps(BY_NAME["chat"].body("say: one two three four", stream=True)).encode()
        messages = iter([{"type": "http.request", "body": body}])

        async def receive() -> Any:
            return next(messages, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.sleep(0.05)  # longer than it takes to see that the client has gone

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
        await one.gateway(scope, receive, send)
        await one.cache.written()
        assert await one.ask("say: one two three four", stream=True) in ("miss", "hit")
        assert await one.ask("say: one two three four", stream=True) == "hit"
        assert one.sent <= 2


async def test_what_the_vendor_looks_up_is_asked_each_time() -> None:
    """A search, a program, a thing that lies at the vendor: the same words may mean something else tomorrow."""
    async with caching("openai") as one:
        responses = BY_NAME["responses"]
        for more in ({"tools": [{"type": "web_search"}]}, {"prompt": {"id": "pmpt_1"}}):
            body = {**responses.body("say: hi", stream=False), **more}
            answers = [await one.post(responses.path, body) for _ in range(2)]
            assert ["x-chatport-cache" in answer.headers for answer in answers] == [False, False]


@pytest.mark.parametrize(
    ("reply", "is_kept"),
    [
        (chatport.Reply("x", finish_reason="stop"), True),
        (chatport.Reply("x", finish_reason="tool_calls"), True),
        (chatport.Reply("x", finish_reason="length"), False),
        (chatport.Reply("x", finish_reason="content_filter"), False),
        (chatport.Reply("x", finish_reason="error"), False),
        (chatport.Reply("x", finish_reason="stop", refusal="no"), False),
        (chatport.Reply("x", finish_reason="stop", audio={"id": "a", "data": ""}), False),
        (
            chatport.Reply(
                "x", finish_reason="stop", alternatives=(chatport.Alternative("y", finish_reason="length"),)
            ),
            False,
        ),
    ],
)
def test_which_answers_are_kept(reply: chatport.Reply, is_kept: bool) -> None:
    assert is_worth_keeping(reply) is is_kept


async def test_a_call_that_cannot_be_made_is_neither_a_hit_nor_a_miss() -> None:
    """Nobody knows what would be sent; what is wrong is said as without a cache."""
    async with caching(aliases={"main": ["nobody:m", "deepseek:deepseek-flash"]}) as one:
        for stream in (False, True):
            assert [await one.ask(stream=stream) for _ in range(2)] == ["500", "500"]
        assert (one.sent, one.cache.hits, one.cache.misses) == (0, 0, 0)


async def test_an_answer_belongs_to_the_target_that_gave_it() -> None:
    """One of a fallback is not given for the target that failed; it is found where its own is the first."""
    emulator = Emulator("compatible", faults=[faults.status(500)], models=("emulated-model", "second"))
    aliases = {"main": [MODEL, "compatible:second"], "other": ["compatible:second"]}
    async with caching("compatible", emulator=emulator, aliases=aliases, retry={"attempts": 1}) as one:
        assert await one.ask() == "miss"  # the second has answered
        assert await one.ask(model="other") == "hit"
        assert await one.ask() == "miss"  # and the first one now
        assert await one.ask() == "hit"
        assert one.sent == 3


async def test_targets_by_weight_are_found_whichever_was_drawn() -> None:
    emulator = Emulator("compatible", models=("emulated-model", "second"))
    entries = [{"target": MODEL, "weight": 1}, {"target": "compatible:second", "weight": 1}]
    async with caching("compatible", emulator=emulator, aliases={"main": {"targets": entries}}) as one:
        for _ in range(40):
            await one.ask()
        assert one.sent <= 25  # two answers are to be had; each draw of the call may be another one than the cache's
        assert await one.ask() == "hit"


# --- who sees it


async def test_two_keys_never_see_each_others_answers() -> None:
    keys = ["a-key-of-some-length", "another-of-some-length"]
    settings = GatewaySettings(key_hashes=tuple(hash_of(key) for key in keys))
    async with caching(settings=settings) as one:
        for key in keys:
            assert await one.ask(headers={"x_api_key": key}) == "miss"
            assert await one.ask(headers={"x_api_key": key}) == "hit"
        assert one.sent == 2
    async with caching(settings=settings, cache={"shared": "all"}) as one:
        assert [await one.ask(headers={"x_api_key": key}) for key in keys] == ["miss", "hit"]


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        ("key", ["miss", "miss", "miss", "hit"]),
        ("project", ["miss", "hit", "miss", "hit"]),
        ("all", ["miss", "hit", "hit", "hit"]),
    ],
)
async def test_a_team_sees_what_it_is_told_to(tmp_path: Path, shared: str, expected: list[str]) -> None:
    """Two keys of one project, one of none, and the first one again."""
    async with opened(tmp_path / "team", cache={"shared": shared}) as world:
        project = await world.team.store.create_project("web", actor="test")
        first = await world.key("first", project_id=project.id)
        second = await world.key("second", project_id=project.id)
        third = await world.key("third")
        answers = [await world.ask(key) for key in (first, second, third, first)]
        assert [answer.headers["x-chatport-cache"] for answer in answers] == expected


async def test_a_hit_is_a_record_that_costs_nothing(tmp_path: Path) -> None:
    """It reserves nothing, so it is answered where the money is spent; what it shows is that of the first answer."""
    async with opened(tmp_path / "team", cache={}, metrics={"port": 0}) as world:
        key = await world.key("poor", usd_total=0.003)
        for stream in (False, True):
            first = await world.ask(key, "say: hi", stream=stream, max_tokens=20)
            assert first.status_code == 200
        assert first.headers["x-chatport-cache"] == "hit"
        await world.team.store.set_limits(f"key:{key.key.id}", (await limits_of(world, key)), actor="test")
        await world.team.directory.refresh()
        assert (await world.ask(key, "say: something else")).status_code == 429
        assert (await world.ask(key, "say: hi", max_tokens=20)).status_code == 200
        rows = await world.rows()
        hits = [row for row in rows if row["cost_basis"] == "cache"]
        assert len(hits) == 2
        for row in hits:
            assert (row["outcome"], row["usd_nano"], row["reserved_nano"]) == ("ok", 0, None)
            assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (0, 0, 0.0)
            assert row["target"] == MODEL
            assert row["attempts"] is None
        [paid] = [row for row in rows if row["outcome"] == "ok" and row["cost_basis"] != "cache"]
        assert paid["usd_nano"] > 0
        assert len(world.emulator.requests) == 1
        assert world.gateway.metrics is not None
        counted = world.gateway.metrics.registry.get_sample_value
        assert counted("chatport_gateway_cache_requests_total", {"result": "hit"}) == 2


async def limits_of(world: Any, key: Any) -> Any:
    """Return limits that let nothing more be spent."""
    from chatport_gateway.team.values import Limits

    return Limits.of(usd_total=0.0)


async def test_a_key_is_not_answered_by_a_provider_that_it_may_not_use(tmp_path: Path) -> None:
    async with opened(tmp_path / "team", cache={"shared": "all"}) as world:
        assert (await world.ask(await world.key("any"))).headers["x-chatport-cache"] == "miss"
        refused = await world.ask(await world.key("narrow", providers=["acme"]))
        assert refused.status_code == 403


# --- it never fails a call


class Broken(Store):
    """A store that does what it should not."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs
        self.asked = 0

    async def get(self, key: bytes) -> Entry | None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        raise OSError("canary-of-the-store")

    async def put(self, key: bytes, entry: Entry, ttl_seconds: float) -> None:
        raise OSError("canary-of-the-store")


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_store_that_fails_is_left_alone_for_a_while(hangs: bool, stream: bool) -> None:
    async with caching() as one:
        store = one.cache.store = Broken(hangs=hangs)
        now = Clock()
        one.cache._monotonic = now
        with structlog.testing.capture_logs() as logs:
            assert [await one.ask(stream=stream) for _ in range(3)] == ["miss"] * 3
        assert (store.asked, one.sent) == (1, 3)
        [told] = [line for line in logs if line["event"] == "cache_failed"]
        assert "canary" not in str(told)
        now.seconds += 3
        assert await one.ask(stream=stream) == "miss"
        assert store.asked == 2


async def test_a_store_that_cannot_be_written_to_is_left_alone_too() -> None:
    """What was asked is answered; and nothing is written, or asked for, until the time is over."""
    async with caching() as one:
        store = one.cache.store = Full()
        now = Clock()
        one.cache._monotonic = now
        with structlog.testing.capture_logs() as logs:
            assert [await one.ask() for _ in range(3)] == ["miss"] * 3
            assert (store.asked, store.written, one.cache.failures) == (1, 1, 1)
            now.seconds += 1.999
            assert await one.ask() == "miss"
            assert store.asked == 1
            now.seconds += 0.001
            assert await one.ask() == "miss"
        assert (store.asked, store.written, one.cache.failures) == (2, 2, 2)
        told = [line for line in logs if line["event"] == "cache_failed"]
        assert [line["error"] for line in told] == ["OSError"] * 2
        assert "canary" not in str(told)


class Full(Store):
    """A store that is empty, and takes nothing."""

    asked = written = 0

    async def get(self, key: bytes) -> Entry | None:
        self.asked += 1
        return None

    async def put(self, key: bytes, entry: Entry, ttl_seconds: float) -> None:
        self.written += 1
        raise OSError("canary-of-the-store")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, b"\x94\x01\xa2{}\xc0\x90", b"\x94\x07\xa2{}\xc0\x90"])
async def test_what_is_damaged_is_not_there(damage: bytes) -> None:
    """Where a disk or somebody else has changed what is kept, the vendor is asked, and it is kept anew."""
    for stream in (False, True):
        async with caching() as one:
            await one.ask()
            entries = one.cache.store._entries  # type: ignore[attr-defined]  # that of the memory
            [(key, entry)] = entries.items()
            entries[key] = attrs.evolve(entry, data=damage)
            assert await one.ask(stream=stream) == "miss"
            assert await one.ask(stream=stream) == "hit"


async def test_at_once_the_same_is_asked_as_often() -> None:
    """Who comes before the first answer is there is not made to wait for it."""
    async with caching() as one:
        assert await asyncio.gather(*[one.ask() for _ in range(5)]) == ["miss"] * 5
        assert await one.ask() == "hit"


async def test_nothing_that_was_said_is_logged() -> None:
    with structlog.testing.capture_logs() as logs:
        async with caching() as one:
            await one.ask("say: canary-of-the-cache")
            await one.ask("say: canary-of-the-cache")
    assert logs
    assert "canary" not in str(logs)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"ttl": 1}, "no 'ttl'"),
        ({"ttl_seconds": 0}, "number above 0"),
        ({"most_bytes": 1.5}, "number above 0"),
        ({"most_bytes": True}, "number above 0"),
        ({"shared": "everybody"}, "one of key, project, all"),
        ({"shared": "project"}, r"needs a \[team\] table"),
        ({"store": ""}, "is a text"),
        ({"redis": "http://x"}, "is an address like"),
        ({"redis": "redis://:secret@x"}, "password does not stand in the file"),
        ({"redis_env": "NOT_SET_ANYWHERE"}, "which is not set"),
        ({"redis": "redis://x", "store": "memory"}, "name one of them"),
    ],
)
def test_a_table_that_cannot_be_meant(table: Any, words: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match=words) as raised:
        Gateway({"cache": table})
    assert "secret" not in str(raised.value)


def test_without_the_table_there_is_none() -> None:
    assert Gateway(settings=GatewaySettings()).cache is None


def test_keys_of_other_lengths_are_other_keys() -> None:
    """What is hashed is told apart: no end of one part is the beginning of the next."""
    cache = Cache.of(CacheSettings(), structlog.get_logger())
    digest = bytes(32)
    assert cache.key(b"key:1", b"2" + digest) != cache.key(b"key:12", digest)
