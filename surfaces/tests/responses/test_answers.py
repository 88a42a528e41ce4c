"""What a client gets: of vendors of three protocols, whole and as a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport_surfaces import Answer, Seal
from chatport_surfaces.responses.annotations import annotation, logprobs_of

from .asking import events_of, results, user, world
from .validator import PROPERTIES, check

LOOK = {
    "type": "function", "name": "look", "description": "Looks.", "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}  # fmt: skip
SEE = {**LOOK, "name": "see"}
NAMESPACE = {"type": "namespace", "name": "ns", "description": "Agents.", "tools": [LOOK]}
PATCH = {"type": "custom", "name": "patch", "description": "Patches."}
THINKING = {"reasoning": {"effort": "high", "summary": "auto"}}
VENDORS = pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def said(response: Any) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part.get("text") or part.get("refusal") for part in parts)


@VENDORS
@WAYS
def test_a_text_with_all_31_properties(vendor: str, *, stream: bool) -> None:
    body = {"instructions": "Be brief.", "metadata": {"a": "b"}, "max_output_tokens": 900, "prompt_cache_key": None}
    with world(vendor) as made:
        response = made.response("say: hello there", stream=stream, **body)
    assert said(response) == "hello there"
    assert response.keys() >= PROPERTIES
    assert (response["status"], response["error"], response["incomplete_details"]) == ("completed", None, None)
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert usage["output_tokens_details"]["reasoning_tokens"] >= 0
    assert (response["instructions"], response["max_output_tokens"]) == ("Be brief.", 900)
    assert (response["store"], response["background"], response["previous_response_id"]) == (False, False, None)


@pytest.mark.parametrize("vendor", ["anthropic", "deepseek", "qwen"])
@pytest.mark.parametrize("summary", ["auto", None])
def test_a_stream_has_all_events_in_their_order(vendor: str, summary: Any) -> None:
    with world(vendor) as made:
        prompt = 'think: so be it\ncall: look {"city": "Rome"}\ncall: see {}'
        events = made.events(prompt, tools=[LOOK, SEE], reasoning={"effort": "high", "summary": summary})
    response = check(events)
    assert [item["type"] for item in response["output"]] == [
        "reasoning", "function_call", "function_call", "reasoning",
    ]  # fmt: skip
    pieces = [event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta"]
    assert "".join(pieces) == ("so be it" if summary else "")
    if summary is None:
        assert response["output"][0]["content"] == [{"type": "reasoning_text", "text": "so be it"}]


@VENDORS
@WAYS
def test_parallel_calls_and_their_results(vendor: str, *, stream: bool) -> None:
    with world(vendor) as made:
        talk: list[Any] = [user('call: look {"city": "Rome"}\ncall: see {"city": "Oslo"}')]
        output = made.response(talk, stream=stream, tools=[LOOK, SEE])["output"]
        calls = [item for item in output if item["type"] == "function_call"]
        assert [(call["name"], json.loads(call["arguments"]), call["status"]) for call in calls] == [
            ("look", {"city": "Rome"}, "completed"), ("see", {"city": "Oslo"}, "completed"),
        ]  # fmt: skip
        response = made.response([*talk, *output, *results(output)], stream=stream, tools=[LOOK, SEE])
        assert "sunny" in said(response)


@pytest.mark.parametrize("vendor", ["anthropic", "deepseek", "qwen"])
@WAYS
def test_namespaces_and_free_texts_come_back_as_the_client_knows_them(vendor: str, *, stream: bool) -> None:
    tools = [NAMESPACE, PATCH]
    text = '*** Begin\n"q" 😀\\ end'
    with world(vendor) as made:
        talk: list[Any] = [user(f'call: ns__look {{"city": "Rome"}}\ncall: patch {json.dumps({"input": text})}')]
        output = made.response(talk, stream=stream, tools=tools)["output"]
        calls = [item for item in output if item["type"].endswith("_call")]
        assert [(call["type"], call["name"], call.get("namespace")) for call in calls] == [
            ("function_call", "look", "ns"), ("custom_tool_call", "patch", None),
        ]  # fmt: skip
        assert calls[1]["input"] == text
        made.response([*talk, *output, *results(output)], stream=stream, tools=tools)
        turn = next(message for message in made.sent["messages"] if message["role"] == "assistant")
    if vendor == "anthropic":
        given = {block["name"]: block["input"] for block in turn["content"] if block["type"] == "tool_use"}
    else:
        made_calls = [call["function"] for call in turn["tool_calls"]]
        given = {call["name"]: json.loads(call["arguments"]) for call in made_calls}
    assert given == {"ns__look": {"city": "Rome"}, "patch": {"input": text}}


@WAYS
def test_a_free_text_passes_where_the_vendor_has_such_tools(*, stream: bool) -> None:
    text = '*** Begin\n"q" 😀\\ end'
    with world("openai") as made:
        talk: list[Any] = [user(f'call: patch {json.dumps({"input": text})}\ncall: look {{"city": "Rome"}}')]
        output = made.response(talk, stream=stream, tools=[LOOK, PATCH])["output"]
        calls = [item for item in output if item["type"].endswith("_call")]
        assert [call["type"] for call in calls] == ["custom_tool_call", "function_call"]
        assert calls[0]["input"] == text
        made.response([*talk, *output, *results(output)], stream=stream, tools=[LOOK, PATCH])
        sent = {item["type"]: item for item in made.sent["input"]}
    assert sent["custom_tool_call"]["input"] == text
    assert sent["custom_tool_call_output"]["output"] == "sunny"


@VENDORS
def test_thinking_goes_back_to_its_vendor_over_three_turns(vendor: str) -> None:
    """Streamed, whole, streamed; with a call in each."""
    with world(vendor) as made:
        talk: list[Any] = []
        for turn in range(3):
            talk.append(user(f'think: thought {turn}\ncall: look {{"city": "Rome {turn}"}}'))
            output = made.response(talk, stream=turn != 1, tools=[LOOK], **THINKING)["output"]
            assert any(item["type"] == "function_call" for item in output)
            talk += [*output, *results(output)]
            output = made.response(talk, stream=turn == 1, tools=[LOOK], **THINKING)["output"]
            talk += output
        sent = made.sent
        assert made.warnings == []
    if vendor == "openai":
        items = [item for item in sent["input"] if item.get("type") == "reasoning"]
        assert items[0]["summary"][0]["text"] == "thought 0"
        assert all(item["encrypted_content"].startswith("gAAAA") for item in items)
    elif vendor == "anthropic":
        blocks = [block for turn in sent["messages"] for block in turn["content"] if block["type"] == "thinking"]
        assert [block["thinking"] for block in blocks if block["signature"]][::2] == [f"thought {n}" for n in range(3)]
    else:
        kept = [message.get("reasoning_content") for message in sent["messages"] if message.get("tool_calls")]
        assert kept == [f"thought {n}" for n in range(3)]


@pytest.mark.parametrize("first", ["openai", "anthropic", "deepseek"])
@pytest.mark.parametrize("second", ["openai", "anthropic", "deepseek"])
def test_an_answer_goes_on_at_another_vendor_without_what_was_the_firsts_own(first: str, second: str) -> None:
    seal = Seal(b"the same secret for both")
    talk: list[Any] = [user('think: first thought\ncall: look {"city": "Rome"}')]
    with world(first, seal=seal) as made:
        output = made.response(talk, stream=True, tools=[LOOK], **THINKING)["output"]
    with world(second, seal=seal) as made:
        response = made.response([*talk, *output, *results(output)], stream=True, tools=[LOOK], **THINKING)
        assert "sunny" in said(response)
        sent = json.dumps(made.sent["input" if second == "openai" else "messages"][1:])
    assert "cp1." not in sent
    assert ("first thought" in sent) == (first == second)


@VENDORS
@WAYS
def test_a_picture_reaches_its_vendor(vendor: str, *, stream: bool) -> None:
    picture = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # fmt: skip # noqa: E501
    content = [{"type": "input_image", "image_url": picture, "detail": "auto"}, {"type": "input_text", "text": "say: a dot"}]  # fmt: skip # noqa: E501
    with world(vendor) as made:
        assert said(made.response([{"role": "user", "content": content}], stream=stream)) == "a dot"
        assert picture[30:80] in json.dumps(made.sent)


@VENDORS
@WAYS
def test_structured_output(vendor: str, *, stream: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "out", "schema": schema, "strict": True}
    with world(vendor) as made:
        response = made.response("hi", stream=stream, text={"format": form})
    assert json.loads(said(response)).keys() == {"a"}
    assert response["text"]["format"]["name"] == "out"


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
@WAYS
def test_a_refusal_is_a_part(vendor: str, *, stream: bool) -> None:
    with world(vendor) as made:
        response = made.response("refuse: I will not.", stream=stream)
    if vendor == "openai":
        assert response["output"][-1]["content"] == [{"type": "refusal", "refusal": "I will not."}]
    else:
        assert response["status"] in ("completed", "incomplete")


@VENDORS
@WAYS
def test_an_answer_at_its_limit_is_incomplete(vendor: str, *, stream: bool) -> None:
    with world(vendor) as made:
        words = " ".join(["word"] * 300)
        response = made.response(f"say: {words}", stream=stream, max_output_tokens=20)
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["completed_at"] is None


@WAYS
def test_sources_are_annotations_of_the_text(*, stream: bool) -> None:
    with world("compatible:emulated-model".partition(":")[0]) as made:
        made.model = "compatible:emulated-model"
        response = made.response(
            "say: a fact\ncite: https://a.example/1 One\ncite: https://a.example/2 Two", stream=stream
        )
    notes = [
        note for item in response["output"] if item["type"] == "message" for note in item["content"][0]["annotations"]
    ]
    assert [(note["type"], note["url"], note["title"]) for note in notes] == [
        ("url_citation", "https://a.example/1", "One"), ("url_citation", "https://a.example/2", "Two"),
    ]  # fmt: skip
    assert all(isinstance(note["start_index"], int) and isinstance(note["end_index"], int) for note in notes)


def test_a_source_without_an_address_is_a_file() -> None:
    from chatport import Citation

    cited = Citation(None, "a.pdf", (3, 7), extra={"file_id": "file-1"})
    assert annotation(cited, 2, 10) == {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 5}
    assert annotation(Citation("https://a.example"), 2, 10)["end_index"] == 10


def test_probabilities_have_the_protocols_form() -> None:
    entry = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [{"token": "a", "logprob": -0.1}]}
    told = [
        {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [{"token": "a", "logprob": -0.1, "bytes": []}]}
    ]
    assert logprobs_of({"content": [entry]}) == logprobs_of([entry]) == told
    assert logprobs_of(None) == logprobs_of("x") == logprobs_of({"tokens": ["a"]}) == []


def test_an_alias_is_what_the_client_hears_of() -> None:
    with world("anthropic", aliases={"main": ["anthropic:claude-sonnet-5"]}) as made:
        made.model = "main"
        assert made.whole("say: x")["model"] == "main"


@VENDORS
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(401, 401, "invalid_api_key"), (402, 429, "insufficient_quota"), (429, 429, "rate_limit_exceeded")],
)
@WAYS
def test_an_error_has_the_status_and_the_code_that_clients_act_on(
    vendor: str, error: int, status: int, code: str, *, stream: bool
) -> None:
    with world(vendor) as made:
        answer = made.answer({"input": f"error: {error}", "stream": stream})
        assert isinstance(answer, Answer)
        told = json.loads(answer.body)["error"]
        assert (answer.status, told["code"]) == (status, code)
        assert told["message"]
        assert told.keys() == {"message", "type", "param", "code"}
        assert dict(answer.headers)["x-should-retry"] == "false"


def test_events_are_named_twice() -> None:
    with pytest.raises(AssertionError):
        events_of(b'event: a\ndata: {"type":"b"}\n\n')
