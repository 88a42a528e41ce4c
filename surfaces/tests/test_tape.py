"""A tape below the official SDKs, in process: it stands in the Chatport client beneath, and they know nothing of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import anyio
import pytest

import chatport
import chatport_surfaces
from chatport.testing import Break, Emulator, Fault, Tape, TapeMissError

from .talkers import BACKENDS

openai = pytest.importorskip("openai")

CONFIG: dict[str, Any] = {
    "aliases": {"main": ["anthropic:claude-opus-4-8"]},
    "providers": {"anthropic": {"base_url": "http://127.0.0.1:9/v1"}},
    "retry": {"attempts": 1},
}


def texts(way: str, tape: Tape, *prompts: str, key: str | None = None) -> list[str]:
    """Return what the SDK gives for each prompt, streamed; "!" and the name of the error where one ended it."""
    config = {**CONFIG, "providers": {"anthropic": {**CONFIG["providers"]["anthropic"], "api_key": key}}}
    if key is None:
        config = CONFIG
    found: list[str] = []

    def asked(prompt: str) -> Any:
        return {"model": "main", "messages": [{"role": "user", "content": prompt}], "stream": True}

    if way == "sync":
        with chatport.Client(config, transport=tape) as client:
            sdk = openai.OpenAI(api_key="-", http_client=chatport_surfaces.http_client(client), max_retries=0)
            for prompt in prompts:
                found.append("")
                try:
                    for chunk in sdk.chat.completions.create(**asked(prompt)):
                        found[-1] += (chunk.choices[0].delta.content or "") if chunk.choices else ""
                except openai.OpenAIError as error:
                    found[-1] += f"! {type(error).__name__} {error}"
        return found

    async def main() -> list[str]:
        async with chatport.AsyncClient(config, transport=tape) as client:
            http = chatport_surfaces.async_http_client(client)
            async with openai.AsyncOpenAI(api_key="-", http_client=http, max_retries=0) as sdk:
                for prompt in prompts:
                    found.append("")
                    try:
                        async with await sdk.chat.completions.create(**asked(prompt)) as chunks:
                            async for chunk in chunks:
                                found[-1] += (chunk.choices[0].delta.content or "") if chunk.choices else ""
                    except openai.OpenAIError as error:
                        found[-1] += f"! {type(error).__name__} {error}"
            return found

    return anyio.run(main, backend=way)


@pytest.mark.parametrize("way", BACKENDS)
def test_an_sdk_gets_the_same_again_with_the_break_in_the_middle(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    broken = Fault("reset", lambda scene: scene.with_body([*scene.events[:7], Break("reset")]))
    emulator = Emulator("anthropic", faults=[None, broken], api_key="a-key-of-anthropic")
    prompts = ("say: Hello from below.", "say: one two three four five six")
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = texts(way, tape, *prompts, key="a-key-of-anthropic")
    assert recorded[0] == "Hello from below."
    assert recorded[1].startswith("one two")
    assert "! APIError" in recorded[1]
    with Tape(tmp_path / "a.jsonl", must_use_all=True) as tape:
        assert texts(way, tape, *prompts) == recorded


@pytest.mark.parametrize("way", BACKENDS)
def test_a_miss_that_a_program_above_an_sdk_swallows_is_raised_at_the_end(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with Tape(tmp_path / "a.jsonl", mode="record", transport=Emulator("anthropic")) as tape:
        texts(way, tape, "say: a", key="a-key-of-anthropic")
    tape = Tape(tmp_path / "a.jsonl")
    with contextlib.suppress(Exception):
        texts(way, tape, "say: b")
    with pytest.raises(TapeMissError, match='"say: b", and "say: a" on the tape'):
        tape.close()
