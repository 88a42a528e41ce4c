"""A conversation with tools and reasoning moves from any vendor to any other, in the middle, and back.

The same vendor gets back exactly what it wants; another one gets none of it. The emulators refuse what the vendors
refuse, so that a missing or a foreign field is a failed call here too.
"""

from __future__ import annotations

from typing import Any

import pytest

import chatport
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator

THOUGHT = "Quokkas ponder zephyrs."  # words that nothing else in a request has
CHOSEN = {"openai": "gpt-6-sol"}  # where the emulator's first model cannot call tools


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def _names() -> list[str]:
    """All providers, and behind a slash their further protocols.

    But not `local`, whose own emulator is a server that leaves calls in the text.
    """
    known = {name: load_provider(name) for name in installed_providers() if name != "local"}
    spoken = [(name, provider) for name, provider in known.items() if provider.emulator is not None]
    further = [f"{name}/{protocol.name}" for name, provider in spoken for protocol in provider.protocols]
    return [*(name for name, _ in spoken), *further]


class Vendor:
    """A provider, its emulator, and a client that speaks to it, in the protocol that is named behind a slash."""

    def __init__(self, spoken: str) -> None:
        name, _, protocol = spoken.partition("/")
        self.name = name
        self.emulator = Emulator(name)
        config = self.emulator.config()
        config["providers"][name] |= {"protocol": protocol} if protocol else {}
        self.client = chatport.Client(config=config, transport=self.emulator)
        self.target = f"{name}:{CHOSEN.get(name) or self.emulator.vendor.models[0]}"

    def ask(self, messages: list[Any], **options: Any) -> chatport.Reply:
        return self.client.chat(messages, model=self.target, tools=[get_weather], **options)

    @property
    def last_request(self) -> str:
        return self.emulator.requests[-1].content.decode()


def _first_turn(vendor: Vendor) -> list[Any]:
    """Return a conversation up to the result of a tool that the vendor called, with whatever reasoning it showed."""
    messages: list[Any] = [chatport.Message.user(f'think: {THOUGHT}\ncall: get_weather {{"city": "Oslo"}}')]
    reply = vendor.ask(messages, reasoning="high", max_tokens=4000)
    assert [call.name for call in reply.tool_calls] == ["get_weather"]
    return [*messages, reply, chatport.Message.tool(reply.tool_calls[0], "sunny in Oslo")]


def _without_the_question(request: str) -> str:
    return request.replace(f"think: {THOUGHT}", "")


@pytest.mark.parametrize("name", _names())
def test_another_vendor_goes_on_and_gets_none_of_the_reasoning(name: str) -> None:
    """From this vendor to every other one: the call goes through, and the first one's thoughts stay behind."""
    messages = _first_turn(Vendor(name))
    for other in _names():
        if other.partition("/")[0] == name.partition("/")[0]:
            continue
        vendor = Vendor(other)
        reply = vendor.ask(messages, max_tokens=4000)
        assert "sunny in Oslo" in reply.text, f"{name} → {other}"
        assert THOUGHT not in _without_the_question(vendor.last_request), (
            f"{name} → {other}: foreign reasoning was sent"
        )


@pytest.mark.parametrize("name", _names())
def test_a_vendor_takes_its_own_conversation_back_after_another_one(name: str) -> None:
    """To another vendor and back again, with a further question: what the first one wants back is still there."""
    vendor = Vendor(name)
    messages = _first_turn(vendor)
    other = Vendor("deepseek" if vendor.name != "deepseek" else "openai")
    messages.append(other.ask(messages, max_tokens=4000))
    messages.append(chatport.Message.user("say: back again"))
    assert vendor.ask(messages, reasoning="high", max_tokens=4000).text == "back again"


@pytest.mark.parametrize("name", _names())
def test_a_conversation_survives_being_stored(name: str) -> None:
    """Pickled and read again, a conversation goes on as if it had never left memory."""
    import pickle

    vendor = Vendor(name)
    messages = _first_turn(vendor)
    stored = pickle.loads(pickle.dumps([m.message if isinstance(m, chatport.Reply) else m for m in messages]))
    direct = vendor.ask(messages, reasoning="high", max_tokens=4000)
    again = vendor.ask(stored, reasoning="high", max_tokens=4000)
    assert direct.text == again.text
    assert vendor.emulator.requests[-1].content == vendor.emulator.requests[-2].content
