"""An emulator made of a provider's facts, for a provider that ships none of its own.

It refuses what the facts say that the vendor refuses (`facts_refusals`), reasons as their switch says, and speaks the
vendor's finish words, error codes and header of the request's id. It is no second witness, as an emulator from recorded
exchanges is: a fact that is wrong is wrong in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from .. import errors as e
from ..facts import Facts, ModelFacts, estimate_cost
from ..facts.rules import ReasoningRule, Rules
from ..facts.vendor_rules import ErrorRule, LimitsRule, UsageRule
from ..provider import Provider
from ..standard.paths import at, holds
from .emulator import EmulatedRequest, EmulatedResponse, Refusal, Script, VendorEmulator
from .facts_refusals import check_by_facts

__all__ = ["FactsEmulator"]

_USAGE: Mapping[str, str] = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cached_input_tokens": "prompt_tokens_details.cached_tokens",
    "reasoning_tokens": "completion_tokens_details.reasoning_tokens",
}
"""Where the standard's usage has each count."""
_LIMITS: Mapping[str, tuple[str, str]] = {
    "requests_limit": ("x-ratelimit-limit-requests", "600"),
    "requests_remaining": ("x-ratelimit-remaining-requests", "599"),
    "tokens_limit": ("x-ratelimit-limit-tokens", "90000"),
    "tokens_remaining": ("x-ratelimit-remaining-tokens", "89000"),
}
"""The standard's header for each value, and the value."""

_STATUS_OF: Mapping[type[e.ChatportError], int] = {
    e.AuthenticationError: 401,
    e.QuotaExceededError: 402,
    e.PermissionDeniedError: 403,
    e.ModelNotFoundError: 404,
    e.RateLimitError: 429,
    e.OverloadedError: 503,
    e.ServerError: 500,
}


class FactsEmulator(VendorEmulator):
    """The twin of a provider, from its value alone. Settings: those of `VendorEmulator`, and `cached_tokens`."""

    cached_tokens = 0

    def __init__(self, provider: Provider, **settings: Any) -> None:
        self.provider = provider
        self.name = provider.name
        self.chat_path = provider.dialect.chat_path.partition("?")[0].rpartition("{model}")[2]
        self.facts = provider.facts or Facts(provider.name, "")
        self.models = self._named = _named_models(self.facts)
        self.needs_key = provider.auth.required
        super().__init__(**settings)

    # --- what is known of a request

    def known(self, model: str) -> ModelFacts:
        """Return the facts of a model."""
        return self.facts.describe(model, self.provider.base_url)

    def rules(self, body: Mapping[str, Any]) -> Rules:
        """Return the rules for the model of a request."""
        return self.known(str(body.get("model"))).rules or Rules()

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """Whether the model reasons about this request: by its switch, else by its default."""
        facts, rule = self.known(str(body.get("model"))), self.rules(body).reasoning or ReasoningRule()
        if facts.reasoning is False or (rule.off and holds(body, rule.off)):
            return False
        effort = None if rule.effort is None else at(body, rule.effort)
        if effort is not None:
            return bool(effort != rule.words.get("none", "none"))
        if (rule.on and holds(body, rule.on)) or (rule.budget is not None and at(body, rule.budget) is not None):
            return True
        return facts.default_effort not in (None, "none")

    @property
    def models_are_given(self) -> bool:
        """Whether `models` is not what the facts name."""
        return self.models is not self._named

    def retired_since(self, model: str) -> str | None:
        """Return the day from which on a model is switched off, by the facts."""
        retired = self.known(model).retired
        return None if retired is None else retired.since

    # --- refusals

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse a key that is missing, wrong, or not where the provider's `auth` says."""
        auth = self.provider.auth
        sent = request.headers.get(auth.header.lower(), "")
        is_wrong = self.api_key is not None and sent != f"{auth.prefix}{self.api_key}"
        if (self.needs_key and not sent.startswith(auth.prefix)) or is_wrong:
            raise self.error_for(401)

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what everybody does, and what the facts do not allow."""
        super().check(body)
        check_by_facts(self, body)

    def error_for(self, status: int) -> Refusal:
        """Return an error with the code or the words that the facts know for it; a code may stand for a status."""
        for rule in self.facts.errors:
            if str(status) in rule.code:
                return self._error(_status(rule), rule, str(status))
        for rule in self.facts.errors:
            if _status(rule) == status:
                return self._error(status, rule, rule.code[0] if rule.code else None)
        return self._with_wait(super().error_for(status))

    def _error(self, status: int, rule: ErrorRule, code: str | None) -> Refusal:
        words = rule.words[0] if rule.words else f"An emulated error with status {status}."
        return self._with_wait(self.refuse(status, words, code=code))

    def _with_wait(self, refusal: Refusal) -> Refusal:
        """Say how long to wait, if the facts name a header for that."""
        wait = () if self.facts.limits is None else self.facts.limits.wait
        if refusal.status == 429 and wait:
            refusal.headers[wait[0]] = "1"
        return refusal

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: the request id under the provider's name for it, and the limits where the facts say."""
        name = next(iter(self.provider.dialect.request_id_headers), "x-request-id")
        return {"content-type": content_type, name: f"req-{self.serial:08d}", **self._limits()}

    def _limits(self) -> dict[str, str]:
        """Return the headers of rate limits: the first that a rule names for a value, else the standard's."""
        rule, found = self.facts.limits or LimitsRule(), {}
        for meaning, (standard, value) in _LIMITS.items():
            names = getattr(rule, meaning)
            for name in (standard,) if names is None else names[:1]:
                found[name] = value
        return found

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says: limited by the vendor's field, after a beginning that is not repeated."""
        dialect, seen = self.provider.dialect, dict(body)
        seen["max_tokens"] = body.get(dialect.max_tokens_field)
        script = super().script(seen)
        last = body["messages"][-1]
        if last.get("role") == "assistant" and isinstance(last.get("content"), str):
            script = attrs.evolve(script, text=script.text.removeprefix(last["content"]))
        return attrs.evolve(script, cached_tokens=min(self.cached_tokens, script.input_tokens))

    def finish(self, word: str) -> str:
        """Return the vendor's word for an end, where it has one of its own."""
        own = self.provider.dialect.finish_reasons
        return word if word in own else next((theirs for theirs, ours in own.items() if ours == word), word)

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        """Return the answer, whose usage goes without being asked for where the dialect cannot ask."""
        if body.get("stream") and not self.provider.dialect.include_usage:
            body = {**body, "stream_options": {"include_usage": True}}
        return super().chat(body)

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the only choice of a chunk."""
        return super().choice(delta, finish and self.finish(finish))

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply."""
        return super().completion(body, attrs.evolve(script, finish=self.finish(script.finish)))

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply, its reasoning in the field in which it goes back."""
        shown = {self.reasoning_field: script.reasoning} if script.reasoning else {}
        return {**super().message(body, script), **shown}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the deltas of a stream: the reasoning, then the answer."""
        for piece in self.cut(script.reasoning):
            yield {self.reasoning_field: piece}
        yield from super().deltas(body, script)

    @property
    def reasoning_field(self) -> str:
        """The field of a message that has its reasoning."""
        return self.provider.dialect.reasoning_field or "reasoning_content"

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the usage: each count where the facts say that the vendor has it, else where the standard does."""
        counts: dict[str, int] = {"input_tokens": script.input_tokens, "output_tokens": script.output_tokens}
        counts |= {"cached_input_tokens": script.cached_tokens} if script.cached_tokens else {}
        counts |= {"reasoning_tokens": script.reasoning_tokens} if script.reasoning else {}
        if self._usage_rule.rest_is_reasoning:
            counts["output_tokens"] -= counts.pop("reasoning_tokens", 0)
        usage: dict[str, Any] = {}
        for name, count in counts.items():
            _put(usage, getattr(self._usage_rule, name) or _USAGE[name], count)
        usage["total_tokens"] = script.input_tokens + script.output_tokens
        self._charge(usage, body, script)
        return usage

    @property
    def _usage_rule(self) -> UsageRule:
        return self.facts.usage or UsageRule()

    def _charge(self, usage: dict[str, Any], body: Mapping[str, Any], script: Script) -> None:
        """Say what was charged, by the list prices, where the facts or the dialect have a place for it."""
        place = self._usage_rule.cost or self.provider.dialect.cost_field
        prices = self.known(str(body.get("model"))).prices
        cost = None if place is None else estimate_cost(prices, script.input_tokens, script.output_tokens)
        if place is not None and cost is not None:
            factor = self._usage_rule.cost_factor if self._usage_rule.cost else 1
            amount = cost.amount / factor
            _put(usage, place, round(amount) if factor != 1 else amount)


def _put(table: dict[str, Any], place: str, value: Any) -> None:
    """Set what a path leads to, through objects that are made on the way."""
    *outer, name = place.split(".")
    for step in outer:
        table = table.setdefault(step, {})
    table[name] = value


def _named_models(facts: Facts) -> tuple[str, ...]:
    """Return the models that the facts name; a pattern stands for one that it matches."""
    named = [entry.match for entry in facts.models if not set("*?[") & set(entry.match)]
    patterns = [entry.match.replace("*", "emulated").replace("?", "x") for entry in facts.models]
    return tuple(dict.fromkeys(named or patterns)) or ("emulated-model",)


def _status(rule: ErrorRule) -> int:
    """Return the status with which an error of this rule comes."""
    error = getattr(e, rule.error)
    return next(iter(rule.status), _STATUS_OF.get(error, 400))
