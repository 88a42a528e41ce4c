"""JSON values held against a JSON Schema: what a model returns is checked by the schema the caller gave.

The schema as sent may be weaker than the caller's, since vendors take different parts of JSON Schema; the answer is
therefore always held against the original. The rules are those of JSON Schema 2020-12, with the older spellings of
draft 7 (`items` as a list, `definitions`, `dependencies`). https://json-schema.org/draft/2020-12

Both schema and value may come from somebody hostile, so the check has an end: a budget of steps, a memory of which
value was held against which schema (else `anyOf` in a schema that refers to itself costs 2^depth), and no recursion,
so that no depth is too deep. What cannot be checked is said, and never an exception: an answer is not lost to it.

Never checked, and not said: `format` (an annotation, by the standard's own default), `unevaluated*`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from .rules import RULES, WALKS
from .walk import MOST_STEPS, Budget, Check, Exhausted, Violation

__all__ = ["MOST_STEPS", "Budget", "Findings", "Violation", "examine", "violations"]

_EVERY = 1_000_000_000


@attrs.frozen
class Findings:
    """What a check has found: the first `violations`, and what of the schema could not be held against the value.

    `is_complete` is False where the steps were used up: then there may be more violations, which are not known.
    """

    violations: tuple[Violation, ...] = ()
    unchecked: tuple[str, ...] = ()
    is_complete: bool = True


def violations(value: Any, schema: Any, root: Any = None) -> Iterator[Violation]:
    """Give every violation of a schema by a decoded JSON value that the usual steps suffice for.

    `root` is what references start from (default: the schema itself). What could not be checked counts as fitting;
    `examine` tells it.
    """
    yield from examine(value, schema, root, most=_EVERY).violations


def examine(value: Any, schema: Any, root: Any = None, *, most: int = 5, budget: Budget | None = None) -> Findings:
    """Hold a decoded JSON value against a schema; give the first `most` violations, in the order of its keywords.

    Ends within the steps of the budget, and raises nothing.
    """
    check = Check(schema if root is None else root, budget or Budget(), RULES, WALKS)
    try:
        found = check.run(value, schema, most)
    except Exhausted:
        reason = f"the check would take more than {check.budget.given} steps"
        return Findings((), (*check.unchecked.values(), reason), is_complete=False)
    except Exception as error:  # a mapping of the caller's own may raise anything: the answer is there, and stays
        reason = f"the check failed with {type(error).__name__}"
        return Findings((), (*check.unchecked.values(), reason), is_complete=False)
    return Findings(tuple(found), tuple(check.unchecked.values()))
