"""The suite that every provider runs, for an endpoint that is nothing but the protocol."""

from __future__ import annotations

from typing import Any

import pytest

import chatport
from chatport import Provider
from chatport.testing import Emulator, VendorEmulator
from chatport.testing.conformance import conformance
from chatport_responses import protocol
from chatport_responses.emulator import ResponsesEmulator


class AcmeEmulator(ResponsesEmulator, VendorEmulator):
    """A server without anything of its own, which thinks when it is asked to."""

    name = "acme"

    def reasons(self, body: object) -> bool:
        return isinstance(body, dict) and body.get("reasoning_effort") not in (None, "none")


ACME = Provider(
    name="acme",
    title="Acme",
    base_url="https://llm.acme.example/v1",
    protocols=(protocol,),
    emulator=f"{__name__}:AcmeEmulator",
)

TestResponses = conformance(ACME, protocol="responses")


def read(client: chatport.Client, shown: list[str]) -> None:
    """Read a stream into a list, as far as it goes."""
    with client.stream(f"say: {'one two three four ' * 20}", model="acme:emulated-model") as stream:
        for event in stream:
            shown += [event.text] if isinstance(event, chatport.TextDelta) else []


@pytest.mark.parametrize(("status", "error"), [(429, chatport.RateLimitError), (500, chatport.ServerError)])
def test_an_error_in_the_middle_has_its_class_and_what_had_come(
    status: int, error: type[chatport.ChatportError]
) -> None:
    """RS-X20: the error, and then a failed response. What was handed over is not asked for again."""
    emulator = Emulator(ACME, stream_fails_with=status)
    config: dict[str, Any] = emulator.config()
    config["providers"]["acme"] |= {"protocol": "responses"}
    with chatport.Client(config=config, transport=emulator, providers=[ACME]) as client:
        shown: list[str] = []
        with pytest.raises(error) as caught:
            read(client, shown)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "".join(shown)
    assert caught.value.partial.text.startswith("one two three four one")
    assert len(emulator.requests) == 1


def test_an_answer_goes_on_from_what_the_server_keeps() -> None:
    """RS-S4"""
    emulator = Emulator(ACME)
    config: dict[str, Any] = emulator.config()
    config["providers"]["acme"] |= {"protocol": "responses"}
    with chatport.Client(config=config, transport=emulator, providers=[ACME]) as client:
        tool = chatport.Tool("look", "See.", {"type": "object", "properties": {}})
        first = client.chat("call: look {}", model="acme:emulated-model", tools=[tool], extra={"store": True})
        result = chatport.Message.tool(first.tool_calls[0], "sunny")
        on = {"previous_response_id": first.id, "store": True}
        second = client.chat([result], model="acme:emulated-model", tools=[tool], extra=on)
        assert second.text == "The tool says: sunny"
        with pytest.raises(chatport.BadRequestError, match="not found"):
            client.chat("hi", model="acme:emulated-model", extra={"previous_response_id": "resp_0"})
