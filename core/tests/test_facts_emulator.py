"""The emulator made of facts refuses what the facts say is refused, and takes the rest."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

import chatport
from chatport import Dialect, Provider
from chatport.facts import Facts
from chatport.testing import EmulatedRequest, Emulator
from chatport.testing.facts_emulator import FactsEmulator

FUNCTION = {"name": "look", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "call 1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
INLINE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "data:audio/wav;base64,AAAA", "format": "wav"}}
TEXT_FILE = {"type": "file", "file": {"file_data": "data:text/plain;base64,AAAA"}}
SWITCH = {"on": {"think": True}, "off": {"think": False}}
JSON = {"response_format": {"type": "json_object"}}


def said(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "say: fine"}, *messages, {"role": "user", "content": "say: yes"}]}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def answer(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "so", **fields}


def looked(**fields: Any) -> dict[str, Any]:
    result = {"role": "tool", "tool_call_id": "call 1", "content": "seen", **fields}
    return said(answer(tool_calls=[CALL]), result)


def signed() -> dict[str, Any]:
    call = {**CALL, "function": {**CALL["function"], "inner": 1}}  # type: ignore[dict-item]  # an object
    return said(answer(tool_calls=[call]), {"role": "tool", "tool_call_id": "call 1", "content": "seen"})


def field(**rule: Any) -> dict[str, Any]:
    return {"rules": {"fields": {"seed": {"reason": "not like this", **rule}}}}


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, said({"role": "narrator", "content": "x"}), "'narrator' is not known"),
    ({"rules": {"messages": {"names": False}}}, said(answer(name="A")), "no names"),
    ({"rules": {"messages": {"nulls": False}}}, said(answer(refusal=None)), "null is no value"),
    ({"rules": {"messages": {"keys": ["role", "content"]}}}, said(answer(mood=1)), "unknown keys ['mood']"),
    ({"rules": {"messages": {"joined_text": True}}}, user({"type": "text", "text": "say: x"}), "no list of parts"),
    ({"rules": {"messages": {"text_results": True}}}, looked(content=[INLINE]), "only text"),
    ({"rules": {"messages": {"bridge": "I see."}}}, looked(), "'user' cannot follow"),
    ({"rules": {"messages": {"empty": " "}}}, said(answer(content="")), "content is empty"),
    ({"rules": {"messages": {"empty_result": " "}}}, looked(content=""), "content is empty"),
    ({"input": ["text"]}, user(INLINE), "takes no image"),
    ({"rules": {"parts": {"image": {"type": "picture"}}}}, user(INLINE), "called picture"),
    ({"rules": {"parts": {"image": {"addresses": False}}}}, user(IMAGE), "no image in this form"),
    ({"rules": {"parts": {"image": {"inline": False}}}}, user(INLINE), "no image in this form"),
    ({"rules": {"parts": {"file": {"uploads": False}}}}, user({"type": "file", "file": {"file_id": "f"}}), "uploads"),
    ({"rules": {"parts": {"image": {"keys": ["detail"]}}}}, user(INLINE), "unknown keys ['url'] of image"),
    ({"rules": {"parts": {"audio": {"data_url": False}}}}, user(SOUND), "bare base64"),
    ({"rules": {"parts": {"file": {"text_files": False}}}}, user(TEXT_FILE), "a file is no text"),
    ({"rules": {"messages": {"part_keys": ["type", "text"]}}}, user(INLINE), "a part has no key 'image_url'"),
    ({"rules": {"messages": {"call_keys": ["id", "type"]}}}, looked(), "a call has no key 'function'"),
    ({"rules": {"messages": {"call_keys": ["id", "type", "function"]}}}, signed(), "a call has no key 'inner'"),
    (
        {"rules": {"tools": {"function_keys": ["name", "parameters"]}}},
        {"tools": [{**TOOL, "cache_control": {}}]},
        "a tool has no key 'cache_control'",
    ),
    ({"rules": {"tools": {"function_keys": ["name"]}}}, {"tools": [TOOL]}, "a function has no key 'parameters'"),
    ({"rules": {"call_ids": {"fits": "[a-z0-9]+"}}}, looked(), "'call 1' is not of the form"),
    ({"rules": {"call_ids": {"longest": 3}}}, looked(), "'call 1' is not of the form"),
    ({"rules": {"history": {"keep": "none"}}}, said(answer(reasoning_content="hm")), "does not go back"),
    (
        {"default_effort": "high", "rules": {"history": {"blank": " ", "blank_for": "all"}}},
        said(answer()),
        "must go back",
    ),
    ({"rules": {"reasoning": {"effort": "think.level"}}}, {"reasoning_effort": "low"}, "reasoning_effort is not known"),
    ({"reasoning": False}, {"reasoning_effort": "low"}, "does not reason"),
    ({"efforts": ["low", "high"]}, {"reasoning_effort": "max"}, "'max' is not known"),
    ({"rules": {"reasoning": {"budget": "room", "most_budget": 9}}}, {"room": 10}, "room is out of range"),
    (
        {"rules": {"reasoning": {**SWITCH, "gives_way_to": {"forced_choice": "SA-1"}}}},
        {"think": True, "tools": [TOOL], "tool_choice": "required"},
        "while the model reasons: forced_choice",
    ),
    ({"tools": False}, {"tools": [TOOL]}, "cannot call tools"),
    ({"max_tools": 1}, {"tools": [TOOL, TOOL]}, "at most 1 tools"),
    ({"rules": {"tools": {"kinds": ["custom"]}}}, {"tools": [TOOL]}, "'function' are not known"),
    (
        {"rules": {"tools": {"strict": False}}},
        {"tools": [{**TOOL, "function": {**FUNCTION, "strict": True}}]},
        "strict is not known",
    ),
    ({"rules": {"tools": {"reserved": ["look"]}}}, {"tools": [TOOL]}, "called 'look'"),
    ({"parallel_tools": False}, {"tools": [TOOL], "parallel_tool_calls": True}, "one call at a time"),
    ({"forced_tool_choice": False}, {"tools": [TOOL], "tool_choice": "required"}, "required is not supported"),
    ({"output_formats": ["json_schema"]}, JSON, "json_object is not available"),
    ({"rules": {"output": {"beside_tools": False}}}, {**JSON, "tools": [TOOL]}, "json_object is not available"),
    ({"rules": {"output": {"say_json": True}}}, JSON, "must say json"),
    (
        {"rules": {"reasoning": SWITCH, "output": {"while_reasoning": []}}},
        {**JSON, "think": True},
        "json_object is not available",
    ),
    (field(), {"seed": 1}, "seed: not like this"),
    (field(most=5), {"seed": 6}, "seed: not like this"),
    (field(least=5), {"seed": 4}, "seed: not like this"),
    (field(values=[1, 2]), {"seed": 3}, "seed: not like this"),
    (field(fits="[0-9]"), {"seed": 12}, "seed: not like this"),
    (field(rename="random_seed"), {"seed": 1}, "seed: not like this"),
    (field(beside="top_p"), {"seed": 1, "top_p": 0.5}, "seed: not like this"),
    (field(without="top_p"), {"seed": 1}, "seed: not like this"),
    (field(streamed=False), {"seed": 1}, "seed: not like this"),
    ({"max_output_tokens": 100}, {"max_tokens": 101}, "at most 100"),
    ({}, {"stop": ["a", "b", "c"]}, "at most 2 stop strings"),
]
TAKEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"rules": {"messages": {"names": False, "nulls": False, "empty": " "}}}, said(answer())),
    ({"rules": {"parts": {"image": {"addresses": False}}}}, user(INLINE)),
    ({"rules": {"parts": {"image": {"keys": ["url"]}}}}, user(INLINE)),
    ({"rules": {"messages": {"call_keys": ["id", "type", "function"], "part_keys": ["type"]}}}, looked()),
    ({"rules": {"tools": {"function_keys": ["name", "parameters"]}}}, {"tools": [TOOL]}),
    ({"rules": {"call_ids": {"fits": "[a-z0-9 ]+", "longest": 6}}}, looked()),
    ({"rules": {"history": {"keep": "calls"}}}, looked()),
    ({"efforts": ["low", "high"]}, {"reasoning_effort": "low"}),
    (
        {"rules": {"reasoning": {**SWITCH, "gives_way_to": {"forced_choice": "SA-1"}}}},
        {"think": False, "tools": [TOOL]},
    ),
    ({"rules": {"output": {"say_json": True}}}, {**JSON, **said(answer(content="JSON"))}),
    (field(same=[1]), {"seed": 1}),
    (field(most=5, least=1), {"seed": 5}),
    (field(streamed=True), {"seed": 1}),
    (field(beside="top_p"), {"seed": 1}),
    ({"max_output_tokens": 100}, {"max_tokens": 100}),
    ({}, {"stop": ["a", "b"]}),
]


def vendor(facts: dict[str, Any], **settings: Any) -> FactsEmulator:
    raw = {"provider": "sample", "date": "2026-11-29", "models": [{"match": "m", "source": "SA-1", "facts": facts}]}
    raw |= settings
    dialect = Dialect(reasoning_field="reasoning_content", stop_limit=2, finish_reasons={"worn_out": "error"})
    return FactsEmulator(
        Provider("sample", "Sample", "https://x.example/v1", dialect=dialect, facts=msgspec.convert(raw, Facts))
    )


def asked(emulator: FactsEmulator, body: dict[str, Any], key: str = "Bearer k") -> tuple[int, str]:
    whole = {"model": "m", "messages": [{"role": "user", "content": "say: fine"}], **body}
    headers = {"authorization": key, "content-type": "application/json"}
    request = EmulatedRequest("POST", emulator.chat_path, headers, json.dumps(whole).encode())
    response = emulator.respond(request)
    return response.status, b"".join(response.pieces).decode()


@pytest.mark.parametrize(("facts", "body", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_what_the_facts_refuse_is_refused(facts: dict[str, Any], body: dict[str, Any], words: str) -> None:
    status, text = asked(vendor(facts), body)
    assert (status, words in json.loads(text)["error"]["message"]) == (400, True), text


@pytest.mark.parametrize(("facts", "body"), TAKEN)
def test_what_the_facts_allow_is_taken(facts: dict[str, Any], body: dict[str, Any]) -> None:
    status, text = asked(vendor(facts), body)
    assert status == 200, text


def test_a_key_is_wanted_where_the_provider_says_so() -> None:
    assert asked(vendor({}), {}, key="")[0] == 401


def test_errors_have_the_words_and_codes_of_the_facts() -> None:
    errors = [
        {"error": "OverloadedError", "status": [529], "words": ["come back"], "fact": "SA-2"},
        {"error": "QuotaExceededError", "code": ["1113"], "fact": "SA-3"},
    ]
    emulator = vendor({}, errors=errors)
    for directive, status, words in (("529", 529, "come back"), ("1113", 402, "1113"), ("402", 402, "1113")):
        got, text = asked(emulator, {"messages": [{"role": "user", "content": f"error: {directive}"}]})
        assert (got, words in text) == (status, True), text


def test_a_retired_model_is_gone() -> None:
    retired = [{"id": "m", "since": "2026-01-01", "successor": "n"}]
    assert asked(vendor({}, retired=retired), {})[0] == 404


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_its_answers_are_read_by_the_provider_they_are_made_of(stream: bool) -> None:
    twin = vendor({"default_effort": "high", "efforts": ["low", "high"]})
    emulator = Emulator(twin.provider)
    with chatport.Client(emulator.config(), providers=[twin.provider], transport=emulator) as client:
        if stream:
            with client.stream("think: hm\nsay: fine", model="sample:m") as events:
                for _ in events:
                    pass
                reply = events.reply
        else:
            reply = client.chat("think: hm\nsay: fine", model="sample:m")
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("fine", "hm", "stop")


USAGE = {
    "input_tokens": "in.all",
    "output_tokens": "out.all",
    "cached_input_tokens": "in.cached",
    "reasoning_tokens": "out.thought",
    "cost": "bill.ticks",
    "cost_factor": 1e-10,
}
PRICES = [{"match": "m", "input": 1.0, "output": 2.0, "source": "SA-4"}]


def shown_usage(**settings: Any) -> dict[str, Any]:
    twin = vendor({"default_effort": "high", "efforts": ["low", "high"]}, prices=PRICES, **settings)
    twin.cached_tokens = 2
    return dict(json.loads(asked(twin, {})[1])["usage"])


def test_usage_stands_where_the_facts_say() -> None:
    usage = shown_usage(usage=USAGE)
    assert usage.keys() == {"in", "out", "bill", "total_tokens"}
    assert usage["in"] == {"all": usage["in"]["all"], "cached": 2}
    assert usage["out"]["all"] > usage["out"]["thought"] > 0
    charged = (usage["in"]["all"] + 2 * usage["out"]["all"]) / 1_000_000
    assert usage["bill"]["ticks"] * 1e-10 == pytest.approx(charged, rel=1e-3)


def test_reasoning_stands_in_the_total_alone_where_the_facts_say_so() -> None:
    usage = shown_usage(usage={"rest_is_reasoning": True})
    assert usage["total_tokens"] > usage["prompt_tokens"] + usage["completion_tokens"]
    assert "completion_tokens_details" not in usage


def test_without_a_rule_usage_stands_where_the_standard_has_it() -> None:
    usage = shown_usage()
    assert usage.keys() == {
        "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"
    }  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_what_the_emulator_counts_and_charges_reaches_the_caller(stream: bool) -> None:
    facts = {"default_effort": "high", "efforts": ["low", "high"]}
    provider = vendor(facts, usage=USAGE, prices=PRICES).provider
    emulator = Emulator(provider, cached_tokens=2)
    with chatport.Client(emulator.config(), providers=[provider], transport=emulator) as client:
        if stream:
            with client.stream("say: fine", model="sample:m") as events:
                list(events)
            reply = events.reply
        else:
            reply = client.chat("say: fine", model="sample:m")
    usage = reply.usage
    assert usage.input_tokens is not None
    assert usage.output_tokens is not None
    assert (usage.cached_input_tokens, usage.reasoning_tokens) == (2, 10)
    assert reply.cost is not None
    assert reply.cost.amount == pytest.approx((usage.input_tokens + 2 * usage.output_tokens) / 1_000_000, rel=1e-3)


def limits_of(**rule: Any) -> dict[str, str]:
    twin = vendor({}, limits=rule) if rule else vendor({})
    return {name: value for name, value in twin.headers("application/json").items() if "limit" in name}


def test_limits_stand_in_the_headers_that_the_facts_name() -> None:
    standard = limits_of()
    assert standard["x-ratelimit-limit-requests"] == "600"
    assert len(standard) == 4
    own = limits_of(requests_limit=["acme-limit-a", "acme-limit-b"], tokens_limit=[])
    assert own == {
        "acme-limit-a": "600", "x-ratelimit-remaining-requests": "599", "x-ratelimit-remaining-tokens": "89000"
    }  # fmt: skip


def test_a_refusal_says_how_long_to_wait_where_the_facts_have_a_header_for_it() -> None:
    assert vendor({}, limits={"wait": ["acme-wait"]}).error_for(429).headers == {"acme-wait": "1"}
    assert vendor({}).error_for(429).headers == {}


@pytest.mark.parametrize(("today", "status"), [("2026-12-31", 200), ("2027-01-01", 404)])
def test_a_model_is_there_until_its_day(today: str, status: int) -> None:
    retired = [{"id": "m", "since": "2027-01-01", "successor": "n"}]
    twin = vendor({}, retired=retired)
    twin.today = today
    assert asked(twin, {})[0] == status
