"""What OpenAI has really sent and got, through the surface with its twin behind: nothing of it is lost or changed."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from chatport.testing import Fault, Performance
from chatport_surfaces import StreamedAnswer
from chatport_surfaces.responses.turns import bare

from .asking import SHARED, World, user, world

FOLDER = SHARED / "traces-responses" / "openai"
RECORDINGS = sorted(FOLDER.glob("*.json"))
_STATE = ("previous_response_id", "conversation", "background")
_FITTED = {"reasoning": {"effort"}}
"""What the facts of a model may fit."""


@cache
def recorded(path: Path) -> Any:
    return json.loads(path.read_bytes())


def asked(path: Path) -> Any:
    """Return a recorded request. Skips the test where it needs a server that keeps things, or failed."""
    recording = recorded(path)
    body = recording["request"]["body"]
    if int(recording["response"]["status"]) != 200 or not isinstance(body, dict):
        pytest.skip("it was refused")
    if any(body.get(name) for name in _STATE):
        pytest.skip("it goes on from what OpenAI has kept")
    return body


def answering(path: Path) -> Fault:
    """Return what makes the twin answer as OpenAI has."""
    response = recorded(path)["response"]
    text = response.get("sse_text") or response["body_text"]
    kind = "text/event-stream" if "sse_text" in response else "application/json"
    return Fault("recorded", lambda scene: Performance(200, {"content-type": kind}, [text.encode()]))


def item_of(item: Any) -> Any:
    """Return an input item in its one form."""
    if "role" in item:
        item = {"type": "message", **item}
        if item["role"] == "assistant":
            content = item["content"]
            content = [{"type": "output_text", "text": content}] if isinstance(content, str) else content
            item["content"] = [{k: v for k, v in part.items() if k != "logprobs"} for part in content]
    return bare(item)


def said(path: Path, made: World) -> None:
    """Assert that the twin got what the client had said."""
    body, sent = asked(path), made.sent
    for name, value in body.items():
        if name in ("model", "store", "stream", "input"):
            continue
        if name == "include":
            assert set(value) <= set(sent[name])
        elif name == "max_output_tokens":
            assert sent[name] == max(value, 16)  # RS-R5
        elif value is not None and value != []:
            assert sent.get(name) == value, name
    known = [item_of(item) for item in (body["input"] if isinstance(body["input"], list) else [user(body["input"])])]
    kept = [i for i in known if i["type"] != "reasoning" or i.get("encrypted_content") or i.get("content")]  # RS-O8
    assert sent["input"] == kept


def events(text: str) -> list[Any]:
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.startswith("data: ")]
    return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


def opened(value: Any, made: World) -> Any:
    """Return a value as OpenAI gave it: what was sealed for its client is opened, which proves that it was."""
    if isinstance(value, list):
        return [opened(inner, made) for inner in value]
    if not isinstance(value, dict):
        return value
    secret = value.get("encrypted_content")
    if secret:
        sealed = made.surfaces.context.seal.open(secret)
        assert sealed is not None
        assert sealed.origin == "openai"
        value = {**value, "encrypted_content": sealed.text}
    return {key: opened(inner, made) for key, inner in value.items()}


def is_said_by(old: Any, new: Any) -> bool:
    """Whether a value has all that another one has, which may leave out properties of the response and of tools."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(is_said_by(value, new.get(key)) for key, value in old.items())
    if isinstance(old, list):
        return isinstance(new, list) and len(old) == len(new) and all(map(is_said_by, old, new))
    return bool(old == new) or old is None


@pytest.mark.parametrize("path", RECORDINGS or [None], ids=lambda path: path.stem if path else "none")
def test_a_recorded_exchange_passes_through(path: Path | None) -> None:
    if path is None:
        pytest.skip("no recordings of OpenAI's Responses")
    body = asked(path)
    with world("openai", faults=[answering(path)]) as made:
        answer = made.answer({**body, "model": f"openai:{body['model']}"})
        old = recorded(path)["response"]
        if isinstance(answer, StreamedAnswer):
            new = events(b"".join(answer).decode())
            assert answer.error is None
            answer.close()
            told = events(old["sse_text"])
            assert [event["type"] for event in new] == [event["type"] for event in told]
            assert all(map(is_said_by, told, opened(new, made)))
        else:
            assert is_said_by(json.loads(old["body_text"]), opened(json.loads(answer.body), made))
        said(path, made)
