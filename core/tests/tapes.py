"""What the tests of tapes share: calls in three ways, and what came of them as a value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

import chatport
from chatport.engine.commands import HttpRequest, TimerExpired, TransportFailure
from chatport.testing import Emulator, Tape

MODEL = "compatible:emulated-model"
KEY = "sk-not/a+real-key-0123456789"
WAYS = ("sync", "asyncio", "trio")
ways = pytest.mark.parametrize("way", WAYS)


class Nobody:
    """A transport that must not be asked."""

    def asynchronous(self) -> Nobody:
        return self

    def send(self, *given: Any) -> Any:
        raise RuntimeError("a request went live")

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


@attrs.frozen
class Outcome:
    """What came of a call, without the seconds that it took."""

    seen: tuple[str, ...] = ()
    reply: Any = None
    error: Any = None


def outcome_of(
    way: str, tape: Any, *, messages: Any = "say: alpha beta", stream: bool = True, clock: Any = None, **config: Any
) -> Outcome:
    """Make a call in one of the three ways, and return what came of it."""
    table = {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": KEY}
    whole = {"providers": {"compatible": table}, "retry": {"attempts": 1}, **config}
    options: dict[str, Any] = {"config": whole, "transport": tape, **({} if clock is None else {"clock": clock.clock})}
    seen: list[str] = []
    try:
        if way == "sync":
            with chatport.Client(**options) as client:
                if not stream:
                    return Outcome(reply=_told(client.chat(messages, model=MODEL)))
                with client.stream(messages, model=MODEL) as pieces:
                    for event in pieces:
                        if isinstance(event, chatport.TextDelta):
                            seen.append(event.text)
                return Outcome(tuple(seen), _told(pieces.reply))

        async def main() -> Outcome:
            async with chatport.AsyncClient(**options) as client:
                if not stream:
                    return Outcome(reply=_told(await client.chat(messages, model=MODEL)))
                async with client.stream(messages, model=MODEL) as pieces:
                    async for event in pieces:
                        if isinstance(event, chatport.TextDelta):
                            seen.append(event.text)
                return Outcome(tuple(seen), _told(pieces.reply))

        return anyio.run(main, backend=way)
    except chatport.ChatportError as error:
        told = (type(error), str(error), error.status, error.retryable, error.raw, error.request_id)
        timer = error.timer if isinstance(error, chatport.DeadlineError) else None
        partial = None if error.partial is None else _told(error.partial)
        return Outcome(tuple(seen), error=(*told, timer, partial, _attempts(error.attempts)))


def _told(reply: chatport.Reply) -> Any:
    return attrs.evolve(reply, attempts=()), reply.raw, _attempts(reply.attempts)


def _attempts(attempts: Any) -> list[Any]:
    return [(attempt.outcome, attempt.status) for attempt in attempts]


def wire(way: str, transport: Any, content: bytes = b'{"model": "emulated-model"}') -> list[Any]:
    """Send a request by a transport itself; return all that it gives, piece by piece, failures too."""
    request = HttpRequest("POST", "http://127.0.0.1:9/v1/chat/completions", (("accept", "*/*"),), content)
    found: list[Any] = []

    async def main() -> None:
        if way == "sync":
            exchange = transport.send(request, 1.0, 1.0)
        else:
            exchange = await transport.asynchronous().send(request, 1.0, 1.0)
        found.extend((exchange.head.status, dict(exchange.head.headers)))
        while not found or found[-1] != b"":
            found.append(exchange.read(1.0) if way == "sync" else await exchange.read(1.0))

    try:
        anyio.run(main, backend="asyncio" if way == "sync" else way)
    except TransportFailure as failure:
        found.append((failure.stage, failure.kind, str(failure)))
    except TimerExpired as expired:
        found.append(("timer", expired.stage))
    return found


def body_of(text: str, stream: bool) -> bytes:
    messages = [{"role": "user", "content": f"say: {text}"}]
    return json.dumps({"model": "emulated-model", "messages": messages, "stream": stream}).encode()


def leave_after_first_text(way: str, tape: Tape) -> None:
    config = {"providers": {"compatible": {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": KEY}}}
    options: dict[str, Any] = {"config": config, "transport": tape}
    if way == "sync":
        with chatport.Client(**options) as client, client.stream("say: alpha beta", model=MODEL) as stream:
            assert next(event.text for event in stream if isinstance(event, chatport.TextDelta)) == "alpha"
        return

    async def main() -> None:
        async with chatport.AsyncClient(**options) as client, client.stream("say: alpha beta", model=MODEL) as stream:
            async for event in stream:
                if isinstance(event, chatport.TextDelta):
                    assert event.text == "alpha"
                    break

    anyio.run(main, backend=way)


def record(path: Path, *messages: str, faults: Any = (), **settings: Any) -> list[Outcome]:
    emulator = Emulator("compatible", faults=faults)
    with Tape(path, mode="record", transport=emulator, **settings) as tape:
        return [outcome_of("sync", tape, messages=message) for message in messages]
