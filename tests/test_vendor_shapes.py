"""What is some vendor's own goes out whole to every vendor, or a note or a refusal tells: no crash, and no silence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

import chatport
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator

from .in_chat_words import in_chat_words
from .independent_wishes import caller_of, untold

pytestmark = pytest.mark.slow

PROVIDERS = ["compatible", *(name for name in installed_providers() if load_provider(name).emulator is not None)]
OTHER_PROTOCOLS = ("anthropic",)
"""Whose bodies have another form: what is told of them must be told all the same."""

FUNCTION = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}
PDF, MP4 = "https://h.example/x.pdf", "https://h.example/x.mp4"
PARTS: list[dict[str, Any]] = [
    {"type": "document_url", "document_url": PDF},
    {"type": "input_audio", "input_audio": "ZkxhQw=="},
    {"type": "input_audio", "input_audio": {"data": "https://h.example/x.wav"}},
    {"type": "audio_url", "audio_url": {"url": "https://h.example/x.wav"}},
    {"type": "video_url", "video_url": {"url": MP4}, "fps": 2},
    {"type": "video", "video": ["https://h.example/1.jpg"]},
    {"type": "file", "file_id": "file-1"},
    {"type": "file", "file": {"file_url": PDF}},
    {"type": "image_url", "image_url": {"url": "gs://bucket/x.png"}},
    {"type": "image_url", "image_url": {"url": "data:application/octet-stream;base64,eA=="}},
    {"type": "image_url", "image_url": {"file_id": "f"}},
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
    {"type": "reference", "reference_ids": [1]},
    {"type": "document", "source": {"type": "url", "url": PDF}},
    {"image": "https://h.example/x.png"},
]
TOOLS: list[dict[str, Any]] = [
    {"type": "web_search"},
    {"type": "web_search_20250305", "name": "web_search"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "mcp", "server_url": "https://mcp.example"},
    {"type": "custom", "custom": {"name": "sh"}},
    {"type": "builtin_function", "function": {"name": "$web_search"}},
    {"google_search": {}},
]
CHOICES: list[Any] = [
    "any",
    "sometimes",
    {"function": {"name": "f"}},
    {"type": "tool", "name": "f"},
    {"type": "any"},
    {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FUNCTION]}},
    {"type": "web_search"},
]
HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
ASKED = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give requests with one thing that is some vendor's own, by name."""
    for number, part in enumerate(PARTS):
        for role in ("user", "assistant"):
            message = {"role": role, "content": [{"type": "text", "text": "a"}, part, {"type": "text", "text": "b"}]}
            yield f"{role} part {number} {part.get('type')}", {"messages": [*HI, message, *HI]}
        result = {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "a"}, part]}
        yield f"tool part {number} {part.get('type')}", {"messages": [*HI, ASKED, result], "tools": [FUNCTION]}
    for tool in TOOLS:
        kind = tool.get("type", "nameless")
        yield f"only the tool {kind}", {"messages": HI, "tools": [tool]}
        yield f"the tool {kind} among functions", {"messages": HI, "tools": [tool, FUNCTION]}
    for choice in CHOICES:
        yield f"choice {json.dumps(choice)[:40]}", {"messages": HI, "tools": [FUNCTION], "tool_choice": choice}
        yield (
            f"choice {json.dumps(choice)[:40]} of its own",
            {"messages": HI, "tools": TOOLS[:1], "tool_choice": choice},
        )
    yield "required without tools", {"messages": HI, "tool_choice": "required"}
    for field, value in (("temperature", 3), ("temperature", -1), ("top_p", 2), ("max_tokens", 0), ("max_tokens", -1)):
        yield f"{field} {value}", {"messages": HI, field: value}
    for effort in ("default", "ultra", "auto"):
        yield f"effort {effort}", {"messages": HI, "reasoning_effort": effort}
    turns: tuple[dict[str, Any], ...] = ({}, {"content": ""}, {"content": []})
    for turn in turns:
        yield f"user turn {turn}", {"messages": [*HI, {"role": "assistant", "content": "a"}, {"role": "user", **turn}]}
    yield "role function", {"messages": [*HI, {"role": "function", "name": "f", "content": "7"}]}
    yield "role wizard", {"messages": [{"role": "wizard", "content": "w"}, *HI]}
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    yield "function_call", {"messages": [*HI, call, *HI]}
    for call_id in ("", "c9"):
        result = {"role": "tool", "tool_call_id": call_id, "content": "7"}
        yield f"result of {call_id!r}", {"messages": [*HI, ASKED, result], "tools": [FUNCTION]}


BODIES = dict(bodies())


@cache
def client_of(provider: str) -> tuple[chatport.Client, list[str]]:
    """Return a client for a provider that sends nothing, and some of its targets."""
    if provider == "compatible":
        config = {"providers": {"x": {"kind": "compatible", "base_url": "https://x.example/v1"}}}
        return chatport.Client(config=config), ["x:m"]
    emulator = Emulator(provider)
    facts = load_provider(provider).facts
    known = [entry.match for entry in facts.models if "*" not in entry.match] if facts is not None else []
    return chatport.Client(config=emulator.config()), [f"{provider}:{model}" for model in [*known[:1], "unheard-of"]]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_vendors_own_goes_out_or_is_told(provider: str) -> None:
    """With `raise` nothing is left out at all: the call fails before it is sent, in our own words."""
    client, targets = client_of(provider)
    faults = [
        f"{target}, {name}: {fault}"
        for target in targets
        for name, body in BODIES.items()
        for fault in faults_of(client, target, body)
    ]
    assert not faults, "\n  ".join(["", *faults])


def faults_of(client: chatport.Client, target: str, body: dict[str, Any]) -> Iterator[str]:
    """Give what is wrong with the request that is made of a body for a target."""
    messages, options = caller_of(body)
    is_plain = target == "x:m"
    try:
        explained = client.explain(messages, model=target, **options)
    except chatport.BadRequestError as error:
        if is_plain:
            yield f"the plain standard refuses it: {error}"
        return
    except Exception as error:
        yield f"{type(error).__name__}: {error}"
        return
    if is_plain and explained.adjustments:
        yield f"the plain standard changes it: {explained.adjustments}"
    if target.partition(":")[0] not in OTHER_PROTOCOLS:
        sent = json.dumps(explained.body)
        said = in_chat_words(explained.body)
        lost = [wish for wish in untold(body, said, explained.adjustments) if not is_within(wish.what, sent)]
        yield from (f"lost without a word: {wish.what}" for wish in lost)
    if any(note.kind in ("dropped", "lowered") for note in explained.adjustments):
        try:
            client.explain(messages, model=target, on_unsupported="raise", **options)
        except chatport.UnsupportedFeatureError:
            return
        yield "something is left out although that was to raise"


def is_within(what: str, sent: str) -> bool:
    """Whether the address in a wish went out in a part of another type, which the facts name."""
    address = re.search(r"https://[^\"]+", what)
    return address is not None and address[0] in sent
