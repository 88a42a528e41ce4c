"""A tape before every vendor's emulator: what is played is what was recorded, with all that is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

import chatport
from chatport.engine.commands import Head
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator, Tape
from chatport.testing.tapes.hiding import Hider

PROVIDERS = ["compatible", *sorted(installed_providers())]


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"Sunny in {city}"


def replies(tape: Tape, config: dict[str, Any], model: str) -> list[Any]:
    found = []
    with chatport.Client(config, transport=tape) as client:
        found.append(client.chat("say: Hello there.", model=model))
        found.append(client.chat("hi", model=model, tools=[get_weather]))
        with client.stream("think: Well.\nsay: Hello there.", model=model, reasoning="high") as stream:
            events = list(stream)
        found.append(stream.reply)
        errors = []
        try:
            client.chat("error: 429", model=model)
        except chatport.ChatportError as error:
            errors = [type(error), str(error), error.retry_after_seconds, error.raw, error.request_id]
    told = [(attrs.evolve(reply, attempts=()), reply.raw, reply.rate_limits, reply.opaque) for reply in found]
    return [*told, [event for event in events if not isinstance(event, chatport.Finished)], errors]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_played_is_what_was_recorded(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies, events, counts, headroom, request ids and errors; the client that is played to has no key."""
    emulator = Emulator(provider)
    model = f"{provider}:{emulator.vendor.models[0]}"
    config = emulator.config(retry={"attempts": 1})
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = replies(tape, config, model)
    sent = len(emulator.requests)
    del config["providers"][provider]["api_key"]
    for variable in () if provider == "compatible" else load_provider(provider).key_env:
        monkeypatch.delenv(variable, raising=False)
    with Tape(tmp_path / "a.jsonl", must_use_all=True) as tape:
        assert replies(tape, config, model) == recorded
    assert len(emulator.requests) == sent
    assert "emulated-key" not in (tmp_path / "a.jsonl").read_text("utf-8")


@pytest.mark.parametrize("provider", PROVIDERS[1:])
def test_the_headers_that_tell_a_request_id_are_kept(provider: str) -> None:
    names = load_provider(provider).dialect.request_id_headers
    head = Head(200, {name.lower(): "id" for name in names})
    assert set(Hider((), (), ()).head(head).headers) == {name.lower() for name in names}
