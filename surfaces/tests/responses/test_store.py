"""Going on from an answer, where a store is given: and how much it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport_surfaces import ClientRequest
from chatport_surfaces.responses import MemoryStore, Stored

from .asking import World, user, world
from .validator import check

TOOL = {"type": "function", "name": "look", "strict": False, "parameters": {"type": "object", "properties": {}}}


def ask(made: World, method: str, path: str) -> tuple[int, Any]:
    answer: Any = made.surfaces.answer(ClientRequest(method, path))
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_gone_on_from(vendor: str, *, stream: bool) -> None:
    with world(vendor, store=MemoryStore()) as made:
        first = made.response("think: hm\ncall: look {}", stream=stream, tools=[TOOL], reasoning={"effort": "high"})
        assert first["store"] is True
        call = next(item for item in first["output"] if item["type"] == "function_call")
        result = [{"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}]
        more = {"previous_response_id": first["id"], "tools": [TOOL], "reasoning": {"effort": "high"}}
        second = made.response(result, stream=stream, **more)
        assert second["previous_response_id"] == first["id"]
        third = made.response("say: end", stream=stream, previous_response_id=second["id"])
        assert third["status"] == "completed"
        sent = json.dumps(made.sent)
        assert "call: look" in sent
        assert "sunny" in sent
        assert ask(made, "GET", f"/v1/responses/{second['id']}") == (200, second)
        _, listed = ask(made, "GET", f"/v1/responses/{second['id']}/input_items")
        assert listed["data"][0] == user("think: hm\ncall: look {}")
        assert listed["data"][-1] == result[0]


def test_instructions_are_not_carried_over() -> None:
    with world("deepseek", store=MemoryStore()) as made:
        first = made.whole("say: a", instructions="Be brief.")
        made.whole("say: b", previous_response_id=first["id"])
        assert [message["role"] for message in made.sent["messages"]] == ["user", "assistant", "user"]


def test_items_can_be_named() -> None:
    with world("deepseek", store=MemoryStore()) as made:
        first = made.whole("say: a")
        message = next(item for item in first["output"] if item["type"] == "message")
        made.whole([user("x"), {"type": "item_reference", "id": message["id"]}, user("say: b")])
        assert made.sent["messages"][1]["content"] == "a"


def test_what_is_not_to_be_kept_is_not() -> None:
    with world("deepseek", store=MemoryStore()) as made:
        first = made.whole("say: a", store=False)
        assert first["store"] is False
        assert ask(made, "GET", f"/v1/responses/{first['id']}")[0] == 404
        error = made.whole("x", 400, previous_response_id=first["id"])["error"]
        assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")
        assert "store" not in error["message"]


def test_a_broken_stream_is_not_kept() -> None:
    from chatport.testing import faults

    store = MemoryStore()
    with world("deepseek", store=store, faults=[faults.cut(after_events=9)]) as made:
        check(made.events("say: one two three four five six"))
    assert len(store) == 0


def test_an_answer_is_deleted() -> None:
    with world("deepseek", store=MemoryStore()) as made:
        response_id = made.whole("say: a")["id"]
        path = f"/v1/responses/{response_id}"
        assert ask(made, "DELETE", f"{path}/input_items")[0] == 404
        assert ask(made, "DELETE", path) == (200, {"id": response_id, "object": "response.deleted", "deleted": True})
        assert ask(made, "DELETE", path)[0] == 404


def test_without_a_store_that_is_said() -> None:
    with world("deepseek") as made:
        status, body = ask(made, "GET", "/v1/responses/resp_1")
        assert status == 404
        assert "no store is configured" in body["error"]["message"]


def stored(number: int, size: int = 10) -> Stored:
    output = [{"id": f"msg_{number}", "type": "message"}]
    return Stored({"id": f"resp_{number}", "output": output}, [{"content": "x" * size}])


def test_the_oldest_goes_first() -> None:
    store = MemoryStore(most=2)
    for number in range(3):
        store.put(stored(number))
    assert store.get("resp_0") is None
    assert store.item("msg_0") is None
    assert store.item("msg_2") == {"id": "msg_2", "type": "message"}
    assert len(store) == 2


def test_it_holds_so_many_bytes() -> None:
    store = MemoryStore(most_bytes=1000)
    for number in range(10):
        store.put(stored(number, 300))
    assert len(store) == 2
    store.put(stored(10, 2000))
    assert store.get("resp_10") is None
    assert len(store) == 2
    store.put(stored(9, 1))
    assert len(store) == 2
    assert len(store._homes) == 2
