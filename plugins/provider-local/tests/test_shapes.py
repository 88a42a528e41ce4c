"""What the twins send has the keys and types of what the servers were seen to send, or a source is named."""

# Compared with every recording at once: D4, VL-S1, VL-S4, VL-T5, LC-S3, LC-T4.

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatport.testing import EmulatedRequest, Emulator

TRACES = Path(__file__).resolve().parents[3].parent / "shared" / "traces"
if not TRACES.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

FOLDERS = {
    "vllm": "vllm",
    "ollama": "ollama",
    "lmstudio": "lmstudio",
    "llamacpp": "llamacpp",
    "mistralrs": "mistralrs",
    "transformers": "transformers-serve",
    "mlx": "mlx-lm",
    "local": "llama-cpp-python",
}

# Paths that no recording has, with the fact that says so. A path ends in its JSON type.
CITED: dict[str, dict[str, str]] = {
    "vllm": {"data[]": "VL-M1", "data list": "VL-M1"},
    "ollama": {"data[]": "OL-M1", "data list": "OL-M1"},
    "lmstudio": {
        "data[]": "LM-M2",
        "data list": "LM-M2",
        "error.": "LM-E1",
        "error dict": "LM-E1",
        "choices[].delta.tool_calls": "LM-S2",
        "choices[].message.tool_calls[]": "LM-T2",
    },
    "mistralrs": {
        "data[]": "MR-M1",
        "data list": "MR-M1",
        "message str": "MR-E1",
        "error": "MR-E2",
        "choices[].delta.tool_calls list": "MR-T1",
        "choices[].delta.tool_calls[]": "MR-T1",
        "choices[].message.content null": "MR-T1",
        "step int": "MR-S1",
    },
    "transformers": {"choices[].delta.reasoning_content": "TS-E1"},
    "local": {"data[]": "D3", "data list": "D3", "error.code str": "LP-E2"},
}

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("get_time", "get_weather")
]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {}}}}


def paths(value: Any, at: str = "") -> Iterator[str]:
    """Give each path in a JSON value with its type; numbers are one type, since `1` and `1.0` are the same to JSON."""
    if isinstance(value, dict):
        if at:
            yield f"{at} dict"
        for key, item in value.items():
            yield from paths(item, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        yield f"{at} list"
        for item in value:
            yield from paths(item, f"{at}[]")
    else:
        kinds = {bool: "bool", int: "int", float: "int", str: "str", type(None): "null"}
        yield f"{at} {kinds[type(value)]}"


def documents(text: str) -> Iterator[Any]:
    """Give the JSON documents of a body or an event stream."""
    for line in text.splitlines() if "data:" in text else [text]:
        try:
            yield json.loads(line.removeprefix("data:"))
        except ValueError:
            continue


def recorded(folder: str) -> set[str]:
    found: set[str] = set()
    for path in (TRACES / folder).glob("*.json"):
        response = json.loads(path.read_text("utf-8"))["response"]
        for document in documents(response.get("sse_text") or response.get("body_text") or ""):
            if isinstance(document, dict):
                found.update(paths(document))
    return found


def requests(emulator: Emulator) -> Iterator[dict[str, Any]]:
    """Give requests of every kind that the server answers."""
    call = 'call: get_time {"zone": "UTC"}\ncall: get_weather {"city": "Paris"}'
    for text, more in (
        ("say: two words", {}),
        ("think: hm\nsay: yes", {"chat_template_kwargs": {"enable_thinking": True}}),
        ("think: hm\nsay: yes", {"reasoning_effort": "high"}),
        (call, {"tools": TOOLS}),
        ("hi", {"tools": TOOLS[:1], "tool_choice": {"type": "function", "function": {"name": "get_time"}}}),
        ("say: {}", {"response_format": SCHEMA}),
        ("say: one two three", {"max_tokens": 2}),
        ("error: 400", {}),
        ("error: 401", {}),
        ("error: 404", {}),
        ("error: 500", {}),
        ("error: 503", {}),
        ("x" * 30_000, {}),
    ):
        base = {"model": emulator.vendor.models[0], "messages": [{"role": "user", "content": text}], **more}
        yield base
        yield {**base, "stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("provider", FOLDERS)
def test_the_twin_sends_what_the_server_sends(provider: str) -> None:
    known = recorded(FOLDERS[provider])
    assert known
    emulator = Emulator(provider)
    bodies = [json.dumps(body).encode() for body in requests(emulator)]
    sent = [EmulatedRequest("POST", "/v1/chat/completions", {}, body) for body in bodies]
    sent += [EmulatedRequest("GET", "/v1/models", {}, b""), EmulatedRequest("GET", "/v1/nope", {}, b"")]
    emitted: set[str] = set()
    for request in sent:
        for document in documents(emulator.vendor.respond(request).body.decode()):
            emitted.update(paths(document))
    cited = tuple(CITED.get(provider, {}))
    assert {path for path in emitted - known if not path.startswith(cited)} == set()
    unused = {start for start in cited if not any(path.startswith(start) for path in emitted - known)}
    assert unused == set(), "cited, though recorded or never sent"
