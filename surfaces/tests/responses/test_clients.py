"""What real clients send goes to every vendor without a refusal, and without a loss that is not told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chatport_surfaces import Answer

from .asking import MODELS, World, events_of, shared, user, world
from .validator import check

VENDORS = pytest.mark.parametrize("vendor", MODELS)
_LOST = {
    "client_metadata": "client_metadata",
    "prompt_cache_key": "prompt_cache_key",
    "web_search": "tools.web_search",
    "reasoning": "messages.content.reasoning",
}
"""What Codex says that only this protocol has, and the field by which its loss is told."""


def requests(*files: str) -> Iterator[Any]:
    for file in files:
        for path in shared("clients", f"{file}.jsonl"):
            for line in path.read_text().splitlines():
                request = json.loads(line)
                if request["path"] == "/v1/responses":
                    yield request["body"]


def answered(made: World, body: Any) -> Any:
    """Return the response that a client gets; its stream is checked."""
    if not body.get("stream"):
        rest = {key: value for key, value in body.items() if key not in ("input", "model")}
        return made.whole(body["input"], **rest)
    answer = made.answer({**body, "model": made.model})
    assert not isinstance(answer, Answer), answer.body
    events = events_of(b"".join(answer))
    made.warnings = [warning.field for warning in answer.stream.reply.warnings if warning.kind == "dropped"]
    answer.close()
    return events[-1]["response"] if made.emulator.provider == "openai" else check(events)


@VENDORS
@pytest.mark.parametrize("file", ["codex-text", "codex-tool-loop", "codex-reasoning"])
def test_codex(vendor: str, file: str) -> None:
    """Its thoughts of the second turn are those that it got in the first: a vendor knows its own."""
    with world(vendor) as made:
        thoughts: list[Any] = []
        for body in requests(file):
            items = [item if item["type"] != "reasoning" else None for item in body["input"]]
            place = items.index(None) if None in items else len(items)
            body = {**body, "input": [*items[:place], *thoughts, *items[place + 1 :]] if None in items else items}
            response = answered(made, body)
            thoughts = [item for item in response["output"] if item["type"] == "reasoning"]
            expected = {_LOST["client_metadata"]}
            if vendor != "openai":
                expected |= {_LOST["prompt_cache_key"], _LOST["web_search"]}
            if vendor == "anthropic" and None in items:  # signed for another answer than that of the recording
                expected |= {"messages.thinking"}
            assert set(made.warnings) == expected
            assert response["status"] == "completed"
        sent = json.dumps(made.sent)
        assert "lorem ipsum" in sent.lower()
        if file != "codex-text":
            assert "echo hi-from-tool" in sent


@pytest.mark.parametrize("vendor", [vendor for vendor in MODELS if vendor != "openai"])
def test_codexs_thoughts_of_another_server_stay_away_and_that_is_told(vendor: str) -> None:
    with world(vendor) as made:
        for body in requests("codex-reasoning"):
            answered(made, body)
        assert _LOST["reasoning"] in made.warnings
        assert "b3BhcXVl" not in json.dumps(made.sent)


@pytest.mark.parametrize("vendor", [vendor for vendor in MODELS if vendor != "openai"])
def test_codexs_namespace_comes_back_to_it(vendor: str) -> None:
    with world(vendor) as made:
        body = next(requests("codex-text"))
        call = user('call: multi_agent_v1__close_agent {"target": "a"}')
        output = answered(made, {**body, "input": [*body["input"], call]})["output"]
        item = next(item for item in output if item["type"] == "function_call")
        assert (item["name"], item["namespace"]) == ("close_agent", "multi_agent_v1")
        result = {"type": "function_call_output", "call_id": item["call_id"], "output": "closed"}
        response = answered(made, {**body, "input": [*body["input"], call, *output, result]})
        assert response["status"] == "completed"
        assert "multi_agent_v1__close_agent" in json.dumps(made.sent["messages"])


@VENDORS
def test_other_clients(vendor: str) -> None:
    with world(vendor) as made:
        bodies = list(requests("node-sdks", "openai-agents-js", "python-sdks"))
        assert len(bodies) == 6
        for body in bodies:
            assert answered(made, body)["status"] == "completed"
            assert made.warnings == []
