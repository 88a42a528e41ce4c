"""The facts file is complete: sources, dates, currencies, known words, and no entry that can never hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from datetime import date
from fnmatch import fnmatchcase

import pytest

from ...facts.file import Facts
from ...standard.efforts import EFFORTS
from .subject import ConformanceTests

__all__ = ["FactTests"]

_PLACE = "the facts file"


class FactTests(ConformanceTests):
    """Limits and prices change weekly: an entry without source and date cannot be checked by anybody."""

    context_unknown: Mapping[str, str]

    def test_every_fact_has_a_source_and_every_date_is_one(self) -> None:
        facts = self._facts()
        for kind, entries in (("models", facts.models), ("prices", facts.prices), ("retired", facts.retired)):
            for entry in entries:
                given = f"{kind}: {getattr(entry, 'match', None) or getattr(entry, 'id', '')}"
                self._check_entry(entry.source, given, "it has no source", "say where it is from, and when")
        for given, day in _dates(facts):
            self._check_entry(_is_date(day), given, f"{day!r} is no date", "write YYYY-MM-DD")

    def test_every_price_has_a_currency(self) -> None:
        for price in self._facts().prices:
            known = re.fullmatch("[A-Z]{3}", price.currency)
            self._check_entry(
                known, f"prices: {price.match}", f"the currency is {price.currency!r}", "write its ISO 4217 code"
            )

    def test_every_effort_is_a_known_word(self) -> None:
        for entry in self._facts().models:
            words = (*entry.facts.get("efforts", ()), *filter(None, [entry.facts.get("default_effort")]))
            unknown = sorted(set(words) - set(EFFORTS))
            change = f"use {', '.join(EFFORTS)}; a word of the vendor's own belongs into quirks"
            self._check_entry(not unknown, f"models: {entry.match}", f"efforts {unknown} are not known", change)

    def test_no_entry_is_hidden_by_another(self) -> None:
        """Of two models or retired names with one pattern, and two prices with one beginning, one can never hold."""
        facts = self._facts()
        self._check_once("models", ((entry.match, entry.hosts) for entry in facts.models))
        self._check_once("prices", ((price.match, price.hosts, price.since) for price in facts.prices))
        self._check_once("retired", (entry.id for entry in facts.retired))

    def test_every_succession_ends(self) -> None:
        successors = {entry.id: entry.successor for entry in self._facts().retired}
        for name in successors:
            seen, current = [name], successors[name]
            while current in successors and current not in seen:
                seen.append(current)
                current = successors[current]
            self._check_entry(
                current not in seen, f"retired: {name}", f"its succession is a circle: {' → '.join(seen)}"
            )

    def test_every_model_of_the_emulator_is_described(self) -> None:
        it, facts, unused = self.subject, self._facts(), dict(self.context_unknown)
        for model in it.emulator().vendor.models:
            described = facts.describe(model, it.provider.base_url)
            reasons = [pattern for pattern in self.context_unknown if fnmatchcase(model, pattern)]
            self._check_entry(described.source, model, "no entry of `models` describes it", "add one")
            if described.context_tokens is None:
                change = 'give context_tokens, or a reason: conformance(…, context_unknown={"PATTERN": "why"})'
                self._check_entry(reasons, model, "its context window is not known", change)
                for pattern in reasons:
                    unused.pop(pattern, None)
        self._check_entry(not unused, str(unused), "the context windows of all these models are known", "take them out")

    # --- tools for the tests

    def _facts(self) -> Facts:
        facts = self.subject.provider.facts
        if facts is None:
            pytest.skip(f"{self.subject.name} has no facts file")
        return facts

    def _check_entry(self, kept: object, given: str, found: str, change: str = "") -> None:
        __tracebackhide__ = True
        self.subject.check(kept, _PLACE, given, found, change)

    def _check_once(self, kind: str, keys: Iterable[Hashable]) -> None:
        twice = [key for key, count in Counter(keys).items() if count > 1]
        self._check_entry(
            not twice, f"{kind}: {twice}", "one entry hides another that is meant for the same", "keep one"
        )


def _dates(facts: Facts) -> Iterable[tuple[str, str]]:
    yield "date", facts.date
    for entry in facts.retired:
        yield f"retired: {entry.id}", entry.since
    for price in facts.prices:
        for day in (price.since, price.until):
            if day is not None:
                yield f"prices: {price.match}", day


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
