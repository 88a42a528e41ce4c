"""What is counted: tokens, cost, and headroom, each under its own name."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from ...facts import Price, PriceTier
from ...types import RateLimits, Usage
from .subject import ConformanceTests, Exchange, Subject

__all__ = ["CountingTests"]

_INPUT, _CACHED = 3_211, 1_234  # fewer than the smallest window of an emulator
_READ = "read each count from its own field; input includes what came from the cache, output the reasoning"
_KEEP = "report UsageReported from this chunk too; a wrapper keeps all events that its `yield` gave"


class CountingTests(ConformanceTests):
    """The emulator says numbers that nothing else has; a swap, a sum or a loss shows at once."""

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_the_usage_is_what_the_vendor_counted(self, stream: bool) -> None:
        hook = "decode_chunk" if stream else "decode_reply"
        for it in self.subject.each():
            done = it.exchange(
                "think: one two three\nsay: four five six seven",
                stream,
                says={"input_tokens": _INPUT, "cached_tokens": _CACHED},
            )
            if done.reply is None:
                continue
            usage, said = done.reply.usage, done.answered.decode("utf-8", "replace")
            if not any(count in _numbers(said) for count in (_INPUT, _INPUT - _CACHED)):
                it.leave(f"{it.model}: usage", "the emulator does not tell the `input_tokens` of its script")
                continue
            given = f"{it.model}: {said[-700:]}"
            self._check_counts(it, hook, given, usage, done, said)

    def _check_counts(self, it: Subject, hook: str, given: str, usage: Usage, done: Exchange, said: str) -> None:
        script = done.script
        found = f"of {_INPUT} input and {script.output_tokens} output tokens became {usage!r}"
        it.check(usage.input_tokens == _INPUT, hook, given, found, _READ)
        if script.output_tokens in _numbers(said):
            it.check(usage.output_tokens == script.output_tokens, hook, given, found, _READ)
        if _CACHED in _numbers(said):
            it.check(usage.cached_input_tokens == _CACHED, hook, given, f"{_CACHED} cached tokens: {found}", _READ)
        within = (usage.reasoning_tokens or 0) <= (usage.output_tokens or 0)
        it.check(within, hook, given, f"more reasoning than output: {found}", _READ)
        told = re.findall(r'(?:reasoning|thinking)_tokens": (\d+)', said)
        named = str(script.reasoning_tokens) in told
        if script.reasoning and named:
            found = f"of {script.reasoning_tokens} reasoning tokens became {usage!r}"
            it.check(usage.reasoning_tokens == script.reasoning_tokens, hook, given, found, _READ)

    def test_the_usage_is_the_same_plain_and_streamed(self) -> None:
        for it in self.subject.each():
            plain, streamed = (
                it.exchange("say: one two three", stream, says={"input_tokens": _INPUT}) for stream in (False, True)
            )
            if plain.reply is not None and streamed.reply is not None:
                one, other = plain.reply.usage, streamed.reply.usage
                found = f"{one!r} in a plain reply, {other!r} in a stream"
                it.check(one == other, "decode_chunk", f"{it.model}: {streamed.answered[-600:]!r}", found, _KEEP)

    def test_the_cost_is_the_price_of_what_was_counted(self) -> None:
        for it in self.subject.each():
            if it.provider.facts is None or not it.provider.facts.prices:
                pytest.skip(f"{it.name} has no prices")
            done = it.exchange("say: one two three", says={"input_tokens": 1_000_000, "cached_tokens": 250_000})
            prices = it.provider.facts.describe(it.model, it.provider.base_url).prices
            if done.reply is None or done.reply.cost is None or done.reply.usage.input_tokens != 1_000_000:
                continue
            cost = done.reply.cost
            rates = [price for price in prices if price.currency == cost.currency]
            if not rates:
                it.leave(f"{it.model}: cost", f"no list price in {cost.currency}")
                continue
            bounds = [_bounds(price, done.reply.usage) for price in rates]
            least, most = min(low for low, _ in bounds), max(high for _, high in bounds)
            found = f"the cost is {cost}, and by the prices from {least:g} to {most:g}"
            within = least * 0.999 <= cost.amount <= most * 1.001
            it.check(
                within, "decode_*, Dialect.cost_field", done.reply.usage, found, "mind the unit, and what is cached"
            )

    def test_a_price_is_plausible(self) -> None:
        """What is cached costs no more than what is new."""
        facts = self.subject.provider.facts
        for price in facts.prices if facts is not None else ():
            tiers: tuple[Price | PriceTier, ...] = (price, *price.tiers)
            wrong = [rate for rate in tiers if rate.cached_input is not None and rate.cached_input > rate.input]
            found = "the rate of what is cached is above that of new input"
            self.subject.check(not wrong, "the facts file", f"prices: {price.match}", found, "are two rates swapped?")

    def test_headroom_is_not_mixed_up(self) -> None:
        """Every number of the emulator's headers gets one of its own, and must come back under its own name."""
        it, emulator = self.subject, self.subject.emulator()
        it.ask(it.client(emulator), "say: fine", False)
        headers = {name.lower(): value for name, value in emulator.vendor.headers("application/json").items()}
        counts = {name: 1000 + number for number, name in enumerate(headers) if _kind(name) and headers[name].isdigit()}
        if not counts:
            pytest.skip(f"the emulator of {it.name} sends no headers with limits and what remains of them")
        port, context = it.opened()
        limits = port.plan.read_rate_limits(
            {**headers, **{name: str(value) for name, value in counts.items()}}, context
        )
        known = any(name.startswith("x-ratelimit-") for name in counts)
        it.check(
            limits or not known,
            "read_rate_limits",
            counts,
            "nothing was read",
            "read the headers that the emulator sends",
        )
        if limits is None:
            it.leave("headroom", f"nothing is read of {', '.join(counts)}")
        else:
            self._check_limits(it, limits, counts)

    def _check_limits(self, it: Subject, limits: RateLimits, counts: Mapping[str, int]) -> None:
        for field in ("requests_limit", "requests_remaining", "tokens_limit", "tokens_remaining"):
            value = getattr(limits, field)
            own = [number for name, number in counts.items() if _kind(name) == field]
            found = f"{field} became {value}, and its headers say {own}"
            kept = (
                value in (*own, None)
                if own
                else value is None or value in [n for m, n in counts.items() if "_" not in _kind(m)]
            )
            it.check(kept, "read_rate_limits", dict(counts), found, "give each number to its own field")

    def test_the_models_are_listed(self) -> None:
        it, emulator = self.subject, self.subject.emulator()
        if it.provider.dialect.models_path is None:
            pytest.skip(f"{it.name} lists no models")
        with it.trying("parse_models", "the emulator's list of models", "give a ModelInfo for each entry"):
            listed = {model.id for model in it.client(emulator).models(it.name)}
        shown = b"".join(emulator.vendor.respond(emulator.requests[-1]).pieces).decode("utf-8", "replace")
        missing = [model for model in emulator.vendor.models if f'"{model}"' in shown and model not in listed]
        if not any(model in shown for model in emulator.vendor.models):
            pytest.skip(f"the emulator of {it.name} lists none of its models")
        it.check(listed, "parse_models", shown[:600], "no model was read", "read the list as the emulator gives it")
        it.check(not missing, "parse_models", shown[:600], f"{missing} are in the list, and were not read")

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_the_request_id_is_read(self, stream: bool) -> None:
        it, emulator = self.subject, self.subject.emulator()
        reply = it.ask(it.client(emulator), "say: fine", stream)
        headers = {name.lower(): value for name, value in emulator.vendor.headers("application/json").items()}
        named = [name for name in headers if re.search(r"request-?id|trace-?id|correlation-?id", name)]
        if not named:
            pytest.skip(f"the emulator of {it.name} sends no header with a request id")
        change = "name the header in Dialect.request_id_headers"
        it.check(reply.request_id, "Dialect.request_id_headers", named, "the reply has no request id", change)


def _numbers(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"\d+", text) if len(number) < 12}


def _kind(name: str) -> str:
    """Return the field of `RateLimits` that a header's name speaks of; only a part of it where it says no more."""
    if "limit" not in name or "reset" in name or "retry" in name:
        return ""
    what = "tokens" if "token" in name else "requests" if "request" in name else ""
    rest = re.sub("rate-?limits?", "", name)
    which = "remaining" if "remaining" in rest else "limit" if "limit" in rest else ""
    return f"{what}_{which}" if what and which else what or which


def _bounds(price: Price, usage: Usage) -> tuple[float, float]:
    """Return the least and the most that this usage may cost by a price: whatever its tier and the hour."""
    cached, asked, answered = usage.cached_input_tokens or 0, usage.input_tokens or 0, usage.output_tokens or 0
    costs: list[float] = []
    rates: tuple[Price | PriceTier, ...] = (price, *price.tiers)
    for rate in rates:
        outputs = [rate.output, *([rate.thinking_output] if rate.thinking_output is not None else [])]
        kept = rate.input if rate.cached_input is None else rate.cached_input
        costs += [((asked - cached) * rate.input + cached * kept + answered * output) / 1e6 for output in outputs]
    factor = price.peak.factor if price.peak is not None else 1.0
    return min(costs) * min(factor, 1.0), max(costs) * max(factor, 1.0)
