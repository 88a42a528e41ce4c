"""The counts and the charge of a vendor that puts them in places of its own, which its facts say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import chatport
from chatport import Provider
from chatport.facts import Facts
from chatport.testing import Emulator, Script, VendorEmulator

RULE = {"output_tokens": "out.all", "reasoning_tokens": "out.thought", "cost": "bill.ticks", "cost_factor": 1e-10}
COUNTED = {"prompt_tokens": 7, "completion_tokens": 1, "out": {"all": 5, "thought": 2}, "bill": {"ticks": 37_756_000}}


class Counting(VendorEmulator):
    """A vendor whose own counts are given by its test."""

    name = "sample"
    models = ("m",)
    counted: dict[str, Any] = COUNTED

    def usage(self, body: Any, script: Script) -> dict[str, Any]:
        return self.counted


def reply_of(rule: dict[str, Any] | None, counted: dict[str, Any], stream: bool) -> chatport.Reply:
    facts = msgspec.convert({"provider": "sample", "date": "2026-11-29", "usage": rule}, Facts)
    provider = Provider("sample", "Sample", "https://x.example/v1", facts=facts, emulator=f"{__name__}:Counting")
    served = Emulator(provider, counted=counted)
    with chatport.Client(served.config(), providers=[provider], transport=served) as client:
        if not stream:
            return client.chat("say: fine", model="sample:m")
        with client.stream("say: fine", model="sample:m") as events:
            for _ in events:
                pass
            return events.reply


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_counts_and_charge_are_read_where_the_facts_say(stream: bool) -> None:
    reply = reply_of(RULE, COUNTED, stream)
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.reasoning_tokens) == (7, 5, 2)
    assert reply.cost is not None
    assert reply.cost.currency == "USD"
    assert reply.cost.amount == pytest.approx(0.0037756)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_without_the_rule_they_are_the_standards(stream: bool) -> None:
    reply = reply_of(None, COUNTED, stream)
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens, reply.cost) == (1, None, None)


REST = {"rest_is_reasoning": True}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("counted", "output", "reasoned"),
    [
        ({"completion_tokens": 6, "prompt_tokens": 66, "total_tokens": 100}, 34, 28),
        ({"completion_tokens": 6, "prompt_tokens": 66, "total_tokens": 72}, 6, None),
        ({"completion_tokens": 6, "prompt_tokens": 66, "total_tokens": 70}, 6, None),
        ({"completion_tokens": 6, "prompt_tokens": 66}, 6, None),
        ({"prompt_tokens": 66, "total_tokens": 100}, None, None),
        (
            {"completion_tokens": 6, "prompt_tokens": 66, "total_tokens": 100,
             "completion_tokens_details": {"reasoning_tokens": 28}}, 34, 28,
        ),
    ],
)  # fmt: skip
def test_the_rest_of_a_total_is_reasoning_where_the_facts_say_so(
    counted: dict[str, Any], output: int | None, reasoned: int | None, stream: bool
) -> None:
    usage = reply_of(REST, counted, stream).usage
    assert (usage.output_tokens, usage.reasoning_tokens) == (output, reasoned)
    assert usage.raw == counted


@pytest.mark.parametrize("odd", [None, True, "5", -1, {}, 1e300])
def test_what_is_no_count_and_no_amount_stays_unknown(odd: Any) -> None:
    reply = reply_of(RULE, {**COUNTED, "out": {"all": odd}, "bill": {"ticks": odd}}, False)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (7, None)
    assert reply.cost is None or odd == 1e300
