"""A call to a retired model goes to its successor: what that one cannot do is said of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from chatport import BadRequestError, Client, ContextLengthError, ImagePart, Message, ModelNotFoundError, Provider, Tool
from chatport.facts.file import Facts
from chatport.testing import Emulator
from chatport.testing.facts_emulator import FactsEmulator

PICTURE = Message.user("look", ImagePart("https://example.com/a.png"))
BOTH = "old was asked for, which is retired: new answers in its place."


def provider(**facts: Any) -> Provider:
    """Return a vendor whose model `old` was retired for `mid`, and that for `new`."""
    known = {
        "provider": "acme",
        "date": "2026-11-01",
        "models": [{"match": "*", "facts": {}}, {"match": "new", "facts": facts}],
        "retired": [
            {"id": "old", "since": "2026-01-01", "successor": "mid"},
            {"id": "mid", "since": "2026-02-01", "successor": "new"},
        ],
    }
    return Provider("acme", "Acme", "https://acme.example/v1", facts=msgspec.convert(known, Facts))


CANNOT: list[tuple[Mapping[str, Any], dict[str, Any]]] = [
    ({"input": ["text"]}, {"messages": [PICTURE]}),
    ({"tools": False}, {"messages": "hi", "tools": [Tool("f")]}),
    ({"max_tools": 1}, {"messages": "hi", "tools": [Tool("f"), Tool("g")]}),
    ({"max_output_tokens": 10}, {"messages": "hi", "max_tokens": 20, "on_unsupported": "raise"}),
    ({"reasoning": False}, {"messages": "hi", "reasoning": "high", "on_unsupported": "raise"}),
]


@pytest.mark.parametrize(("facts", "options"), CANNOT, ids=str)
def test_what_a_successor_cannot_do_names_both_models(facts: Mapping[str, Any], options: dict[str, Any]) -> None:
    with Client({"providers": {"acme": {"api_key": "k"}}}, providers=[provider(**facts)]) as client:
        with pytest.raises(BadRequestError) as caught:
            client.chat(model="acme:old", **options)
        assert str(caught.value).count(BOTH) == 1
        assert caught.value.model == "new"
        with pytest.raises(BadRequestError) as caught:
            client.chat(model="acme:new", **options)
        assert "retired" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error"), [(400, BadRequestError), (404, ModelNotFoundError), (413, ContextLengthError)]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_the_vendor_says_of_a_successor_names_both_models(status: int, error: Any, streamed: bool) -> None:
    value = provider()
    emulator = Emulator(value)
    assert isinstance(emulator.vendor, FactsEmulator)
    emulator.vendor.models = ("new",)
    emulator.vendor.statuses = {413: "The prompt is too long: 9 tokens > 8 maximum"}
    config = {**emulator.config(), "retry": {"attempts": 1}}
    with Client(config, providers=[value], transport=emulator) as client:
        for model, says_both in (("old", True), ("new", False)):
            call = (lambda *a, **o: list(client.stream(*a, **o))) if streamed else client.chat
            with pytest.raises(error) as caught:
                call(f"error: {status}", model=f"acme:{model}")
            assert (str(caught.value).count(BOTH) == 1) is says_both
            assert caught.value.message.endswith(BOTH) is says_both


def test_an_error_of_another_kind_says_nothing_of_it() -> None:
    value = provider()
    emulator = Emulator(value)
    with Client({**emulator.config(), "retry": {"attempts": 1}}, providers=[value], transport=emulator) as client:
        with pytest.raises(Exception, match="503") as caught:
            client.chat("error: 503", model="acme:old")
        assert "retired" not in str(caught.value)
