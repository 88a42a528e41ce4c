"""What a stream of this protocol must be, written from its facts alone (RS-E1 to RS-E10, RS-P1, RS-P2)."""

from __future__ import annotations

from typing import Any

PROPERTIES = {
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id",
    "instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p",
    "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage", "max_output_tokens",
    "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
}  # fmt: skip
"""The 31 of RS-P1."""
_PIECES = {
    "response.output_text": ("content", "content_index", "output_text", "text", "text"),
    "response.refusal": ("content", "content_index", "refusal", "refusal", "refusal"),
    "response.reasoning_summary_text": ("summary", "summary_index", "summary_text", "text", "text"),
}
_PARTS = {"response.content_part": "content_index", "response.reasoning_summary_part": "summary_index"}
_CALLS = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
}


class Checker:
    """Takes the events one by one, and asserts that each may come."""

    def __init__(self) -> None:
        self.number = 0
        self.done: list[Any] = []
        self.item: Any = None
        self.part: Any = None
        self.text = ""
        self.is_text_done = False
        self.annotations: list[Any] = []
        self.parts: list[Any] = []
        self.ended = ""
        self.failing = False
        self.id = ""

    def take(self, event: Any) -> None:
        assert not self.ended, f"{event['type']} after {self.ended}"
        assert event["sequence_number"] == self.number
        kind = event["type"]
        begins = {0: "response.created", 1: "response.in_progress"}.get(self.number)
        assert begins is None or kind == begins
        self.number += 1
        stem, _, last = kind.rpartition(".")
        if self.failing:
            assert kind == "response.failed"
        if kind in ("response.created", "response.in_progress"):
            self.check_response(event["response"], "in_progress", [])
        elif kind == "error":
            assert event["error"]["message"]
            assert event["error"]["type"]
            self.failing = True
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            assert self.failing == (last == "failed")
            self.end(event["response"], last)
        elif kind == "response.output_item.added":
            self.begin_item(event)
        elif kind == "response.output_item.done":
            self.end_item(event)
        elif stem in _PARTS:
            self.take_part(event, stem, last)
        elif stem in _PIECES:
            self.take_piece(event, stem, last)
        elif stem in _CALLS:
            self.take_arguments(event, stem, last)
        else:
            assert kind == "response.output_text.annotation.added"
            self.check_place(event)
            assert event["annotation_index"] == len(self.annotations)
            self.annotations.append(event["annotation"])

    def check_response(self, response: Any, status: str, output: list[Any] | None) -> None:
        assert response.keys() >= PROPERTIES
        assert response["object"] == "response"
        assert response["status"] == status
        self.id = self.id or response["id"]
        assert response["id"] == self.id
        assert output is None or response["output"] == output
        assert (response["error"] is not None) == (status == "failed")
        assert (response["incomplete_details"] is not None) == (status == "incomplete")
        assert (response["completed_at"] is not None) == (status == "completed")

    def end(self, response: Any, status: str) -> None:
        self.ended = status
        if status == "failed":
            self.check_response(response, "failed", self.done)
            return
        assert self.item is None
        ids = [item["id"] for item in response["output"]]
        assert ids == [item["id"] for item in self.done]
        assert len(set(ids)) == len(ids)
        for item in self.done:  # sources may come too late for it
            for part in item.get("content") or ():
                part.pop("annotations", None)
        output = [
            {**item, "content": [{k: v for k, v in part.items() if k != "annotations"} for part in item["content"]]}
            if item.get("content")
            else item
            for item in response["output"]
        ]
        assert output == self.done
        self.check_response(response, status, None)

    def begin_item(self, event: Any) -> None:
        assert self.item is None
        assert event["output_index"] == len(self.done)
        self.item, self.parts, self.text = event["item"], [], ""
        assert self.item["id"]
        if "status" in self.item:
            assert self.item["status"] == "in_progress"

    def end_item(self, event: Any) -> None:
        item = event["item"]
        assert self.part is None
        assert event["output_index"] == len(self.done)
        assert (item["id"], item["type"]) == (self.item["id"], self.item["type"])
        if item["type"] == "reasoning":
            assert "status" not in item
            assert item["summary"] == self.parts
        else:
            assert item["status"] in ("completed", "incomplete")
        if item["type"] == "message":
            assert item["content"] == self.parts
        for kind, field in _CALLS.values():
            if item["type"] == kind:
                assert item[field] == self.text
        self.done.append(item)
        self.item = None

    def check_place(self, event: Any, index: str = "content_index") -> None:
        assert self.part is not None
        assert not self.is_text_done
        self.check_item(event)
        assert event[index] == len(self.parts)

    def check_item(self, event: Any) -> None:
        assert event["item_id"] == self.item["id"]
        assert event["output_index"] == len(self.done)

    def take_part(self, event: Any, stem: str, last: str) -> None:
        self.check_item(event)
        assert event[_PARTS[stem]] == len(self.parts)
        if last == "added":
            assert self.part is None
            self.part, self.text, self.is_text_done, self.annotations = event["part"], "", False, []
            return
        assert self.is_text_done
        part = event["part"]
        assert part["type"] == self.part["type"]
        assert part.get("text", part.get("refusal")) == self.text
        assert part.get("annotations", []) == self.annotations
        self.parts.append(part)
        self.part = None

    def take_piece(self, event: Any, stem: str, last: str) -> None:
        _, index, kind, _, name = _PIECES[stem]
        self.check_place(event, index)
        assert self.part["type"] == kind
        if last == "delta":
            assert event["delta"]
            self.text += event["delta"]
        else:
            assert event[name] == self.text
            self.is_text_done = True

    def take_arguments(self, event: Any, stem: str, last: str) -> None:
        kind, field = _CALLS[stem]
        self.check_item(event)
        assert self.item["type"] == kind
        if last == "delta":
            assert event["delta"]
            self.text += event["delta"]
        else:
            assert event[field] == self.text


def check(events: list[Any]) -> Any:
    """Assert that these are a whole stream; return the response at its end."""
    checker = Checker()
    for event in events:
        checker.take(event)
    assert checker.ended, "a stream without an end"
    return events[-1]["response"]
