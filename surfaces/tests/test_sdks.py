"""The official SDKs on four vendors: in process here, and through the gateway in `gateway/tests/test_sdks.py`.

The tests are the same ones. What differs is the `entrance`, by which an SDK comes to the surfaces.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import anyio
import attrs
import pytest

import chatport
import chatport_surfaces
from chatport.testing import Emulator, faults

from .conftest import VENDORS
from .talkers import BACKENDS, PIXEL, TALKERS, Talker, each, entered, first, run, soon

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")
pydantic = pytest.importorskip("pydantic")

SDK_MODULES: Any = {"openai": openai, "anthropic": anthropic}
SDKS = {"openai": (openai.OpenAI, openai.AsyncOpenAI), "anthropic": (anthropic.Anthropic, anthropic.AsyncAnthropic)}
RETRY = {"attempts": 1}
on_backends = pytest.mark.parametrize("backend", BACKENDS)
on_vendors = pytest.mark.parametrize("vendor", VENDORS)
in_protocols = pytest.mark.parametrize("talker", TALKERS.values(), ids=TALKERS)
whole_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@attrs.frozen
class Door:
    """An SDK that has come in, the vendor behind, and the names of what calls have gone through so far."""

    sdk: Any
    emulator: Emulator
    seen: list[str]

    @property
    def sent(self) -> Any:
        return self.emulator.requests[-1].json()


Entrance: TypeAlias = Callable[[str, str, str], AbstractAsyncContextManager[Door]]
"""Opens a door for an SDK, on a backend, to a vendor, whose model is `main`."""


@pytest.fixture
def entrance() -> Entrance:
    """By an HTTP client that answers in this process."""
    return in_process


@asynccontextmanager
async def in_process(sdk: str, backend: str, vendor: str) -> AsyncIterator[Door]:
    emulator, seen = Emulator(vendor), list[str]()
    config = emulator.config(aliases={"main": [f"{vendor}:{VENDORS[vendor]}"]}, retry=RETRY)
    options: Any = {"transport": emulator, "observers": [lambda name, fields: seen.append(name)]}
    make = SDKS[sdk][backend != "sync"]
    client: Any
    http: Any
    if backend == "sync":
        client, http = chatport.Client(config, **options), chatport_surfaces.http_client
    else:
        client, http = chatport.AsyncClient(config, **options), chatport_surfaces.async_http_client
    async with entered(client), entered(make(api_key="-", http_client=http(client))) as made:
        yield Door(made, emulator, seen)


def lost(headers: Any) -> list[str]:
    """Return what was told as left out or changed."""
    told = json.loads(headers.get("x-chatport-warnings", "[]"))
    return [text for text in told if not re.search(r"QW-T3|QW-P10", text)]  # this vendor only knows on and off


@on_backends
@on_vendors
@in_protocols
@whole_and_streamed
def test_text(entrance: Entrance, backend: str, vendor: str, talker: Talker, *, stream: bool) -> None:
    async def work() -> None:
        async with entrance(talker.sdk, backend, vendor) as door:
            said = await talker.ask(door.sdk, [talker.user("say: one two three")], stream=stream)
        assert said.text == "one two three"
        assert said.end in ("stop", "end_turn", "completed")
        assert said.headers["x-chatport-target"] == f"{vendor}:{VENDORS[vendor]}"
        if talker is not TALKERS["chat"] or not stream:  # where a stream tells them to who asks for it
            assert min(said.tokens) > 0

    run(backend, work)


@on_backends
@on_vendors
@in_protocols
@whole_and_streamed
def test_parallel_tools_with_thinking_over_three_turns(
    entrance: Entrance, backend: str, vendor: str, talker: Talker, *, stream: bool
) -> None:
    """What the vendor wants back comes back to it by what the client keeps: nothing is lost, and thinking stays on."""
    question = 'think: Two.\ncall: get_weather {"city": "Rome"}\ncall: get_weather {"city": "Oslo"}'

    async def work() -> None:
        async with entrance(talker.sdk, backend, vendor) as door:
            talk: list[Any] = [talker.user(question)]
            for turn in range(3):
                said = await talker.ask(door.sdk, talk, stream=stream, tools=True, thinking=True)
                assert not lost(said.headers)
                assert [(call.name, call.arguments["city"]) for call in said.calls] == [
                    ("get_weather", "Rome"),
                    ("get_weather", "Oslo"),
                ]
                assert len({call.id for call in said.calls}) == 2
                talk += [*said.turns, *talker.results(said.calls, f"sunny {turn}")]
                if turn < 2:
                    talk.append(talker.user(question))
            said = await talker.ask(door.sdk, talk, stream=stream, tools=True, thinking=True)
            assert "sunny 2" in said.text
            assert not lost(said.headers)
            check_thoughts(vendor, door.sent)

    run(backend, work)


def check_thoughts(vendor: str, sent: Any) -> None:
    """Assert that a vendor has got its own thoughts of three turns, as it wants them, and nothing of ours."""
    assert "cp1." not in json.dumps(sent)
    answers = [turn for turn in sent.get("messages", ()) if turn["role"] == "assistant"]
    match vendor:
        case "anthropic":
            kinds = [[block["type"] for block in turn["content"]] for turn in answers]
            assert kinds == [["thinking", "tool_use", "tool_use"]] * 3
        case "openai":
            assert len([item for item in sent["input"] if item.get("encrypted_content")]) == 3
        case "deepseek":
            assert [turn.get("reasoning_content") for turn in answers] == ["Two."] * 3
        case "qwen":
            assert len(answers) == 3


@on_backends
@on_vendors
@in_protocols
def test_thoughts_are_shown(entrance: Entrance, backend: str, vendor: str, talker: Talker) -> None:
    """Whole and streamed alike, where their vendor shows any."""

    async def work() -> None:
        async with entrance(talker.sdk, backend, vendor) as door:
            talk = [talker.user("think: hm hm\nsay: so")]
            both = [await talker.ask(door.sdk, talk, stream=stream, thinking=True) for stream in (False, True)]
        assert [said.text for said in both] == ["so", "so"]
        assert both[0].thoughts == both[1].thoughts
        if vendor in ("deepseek", "qwen"):
            assert both[0].thoughts == "hm hm"

    run(backend, work)


@on_backends
@on_vendors
@in_protocols
def test_structured_output(entrance: Entrance, backend: str, vendor: str, talker: Talker) -> None:
    shape = pydantic.create_model("City", name=(str, ...), people=(int, ...))

    async def work() -> None:
        async with entrance(talker.sdk, backend, vendor) as door:
            parsed = await talker.parsed(door.sdk, 'say: {"name": "Rome", "people": 3}', shape)
        assert parsed == shape(name="Rome", people=3)

    run(backend, work)


@on_backends
@on_vendors
@in_protocols
def test_an_image(entrance: Entrance, backend: str, vendor: str, talker: Talker) -> None:
    async def work() -> None:
        async with entrance(talker.sdk, backend, vendor) as door:
            said = await talker.ask(door.sdk, [talker.user("say: seen", PIXEL)])
            assert said.text == "seen"
            assert PIXEL in json.dumps(door.sent)

    run(backend, work)


ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    429: "RateLimitError",
    500: "InternalServerError",
}


@on_backends
@on_vendors
@in_protocols
@whole_and_streamed
def test_errors_are_the_sdks_own_and_it_does_not_ask_again(
    entrance: Entrance, backend: str, vendor: str, talker: Talker, *, stream: bool
) -> None:
    async def work() -> None:
        async with entrance(talker.sdk, backend, vendor) as door:
            for status, name in ERRORS.items():
                before = len(door.emulator.requests)
                with pytest.raises(getattr(SDK_MODULES[talker.sdk], name)) as raised:
                    await talker.ask(door.sdk, [talker.user(f"error: {status}")], stream=stream)
                assert raised.value.response.headers["x-should-retry"] == "false"
                assert len(door.emulator.requests) - before == 1

    run(backend, work)


@on_backends
@on_vendors
@in_protocols
def test_a_stream_that_breaks_off_raises(entrance: Entrance, backend: str, vendor: str, talker: Talker) -> None:
    async def work() -> None:
        async with entrance(talker.sdk, backend, vendor) as door:
            door.emulator.misbehave([faults.cut(after_events=9)])
            stream = await talker.open(door.sdk, "say: " + "word " * 30)
            with pytest.raises(SDK_MODULES[talker.sdk].APIError):
                async for _ in each(stream):
                    pass

    run(backend, work)


@on_backends
@on_vendors
@in_protocols
def test_leaving_a_stream_early_stops_the_vendor(entrance: Entrance, backend: str, vendor: str, talker: Talker) -> None:
    async def work() -> None:
        async with entrance(talker.sdk, backend, vendor) as door:
            door.emulator.misbehave([faults.stall(after_events=9)])
            stream = await talker.open(door.sdk, "say: " + "word " * 30)
            await first(stream)
            await soon(stream.close())
            await until(backend, lambda: "call_cancelled" in door.seen)

    run(backend, work)


async def until(backend: str, is_so: Callable[[], bool], seconds: float = 5) -> None:
    """Wait until something is so: what is in another thread takes a moment."""
    pause = time.sleep if backend == "sync" else anyio.sleep
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        await soon(pause(0.002))
