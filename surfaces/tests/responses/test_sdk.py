"""The official SDK in this protocol, by the older of its HTTP families: what `test_sdks.py` does not show."""

from __future__ import annotations

from typing import Any

import pytest

import chatport
from chatport.testing import Emulator
from chatport_surfaces import async_http_client, http_client

from .asking import MODELS

openai = pytest.importorskip("openai")
pytest.importorskip("httpx")
pydantic = pytest.importorskip("pydantic")

VENDORS = pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])


class Out(pydantic.BaseModel):  # type: ignore[misc,name-defined]  # the package may be absent
    a: str


def of(vendor: str) -> tuple[chatport.Client, Any]:
    emulator = Emulator(vendor)
    client = chatport.Client(emulator.config(), transport=emulator)
    return client, openai.OpenAI(api_key="k", http_client=http_client(client, family="httpx"))


@VENDORS
def test_stream_of_a_structure(vendor: str) -> None:
    client, sdk = of(vendor)
    with client, sdk, sdk.responses.stream(model=MODELS[vendor], input="hi", text_format=Out) as stream:
        assert any(event.type == "response.output_text.delta" for event in stream)
        assert isinstance(stream.get_final_response().output_parsed, Out)


@VENDORS
def test_stream_of_text_and_thoughts(vendor: str) -> None:
    client, sdk = of(vendor)
    wish = {"reasoning": {"effort": "high", "summary": "auto"}}
    with client, sdk, sdk.responses.stream(model=MODELS[vendor], input="think: hm\nsay: one two", **wish) as stream:
        events = list(stream)
        final = stream.get_final_response()
        assert final.output_text == "one two"
        deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
        assert "".join(deltas) == "hm"


@VENDORS
@pytest.mark.anyio
async def test_without_blocking(vendor: str) -> None:
    """On asyncio and trio: create, and a stream that is left early."""
    emulator = Emulator(vendor)
    async with chatport.AsyncClient(emulator.config(), transport=emulator.asynchronous()) as client:
        http = async_http_client(client, family="httpx")
        async with openai.AsyncOpenAI(api_key="k", http_client=http) as sdk:
            reply = await sdk.responses.create(model=MODELS[vendor], input="say: one two")
            assert reply.output_text == "one two"
            async with sdk.responses.stream(model=MODELS[vendor], input="say: one two") as stream:
                final = await stream.get_final_response()
            assert final.output_text == "one two"
            parsed = await sdk.responses.parse(model=MODELS[vendor], input="hi", text_format=Out)
            assert isinstance(parsed.output_parsed, Out)
            async with sdk.responses.stream(model=MODELS[vendor], input="say: one two three") as stream:
                while (await stream.__anext__()).type != "response.output_text.delta":
                    pass
