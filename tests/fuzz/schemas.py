"""What must hold whatever a JSON Schema is like, and whatever a model returns for it.

The body of an input of this kind is a JSON object: the `schema`, and the `value`.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema

import chatport
from chatport import BadRequestError, ConfigurationError, OutputSpec, Reply, Tool, ToolCall
from chatport.errors import MalformedReplyError
from chatport.inputs.arguments import misfits
from chatport.jsoncodec import decode
from chatport.schemas.check import MOST_STEPS, Budget, examine
from chatport.schemas.references import resolved

__all__ = ["agrees", "check_schema"]

MODELS = {
    "anthropic": "claude-opus-5-5",
    "cerebras": "gpt-oss-120b",
    "groq": "openai/gpt-oss-120b",
    "moonshot": "kimi-k3",
    "openai": "gpt-5.4",
    "openrouter": "google/gemini-3.5-flash",
}
MOST_BYTES = 300_000
GROWTH = 16  # what stands in a description is escaped once more


def check_schema(provider: str, body: bytes) -> Any:
    """Hold schema and value against every property; return the findings. Raises AssertionError."""
    try:
        given = decode(body)
    except ValueError as error:
        return chatport.MalformedReplyError(str(error))
    if not isinstance(given, Mapping):
        return chatport.MalformedReplyError("no object")
    schema, value = given.get("schema"), given.get("value")
    findings = _check_value(schema, value)
    for as_output in (False, True):
        _check_sent(provider, schema, as_output=as_output)
    return findings


# --- the answer


def _check_value(schema: Any, value: Any) -> Any:
    budget = Budget()
    findings = examine(value, schema, budget=budget)
    assert budget.given == MOST_STEPS
    assert budget.left >= 0 or not findings.is_complete
    assert findings.is_complete or findings.unchecked
    assert not any("failed" in reason for reason in findings.unchecked), findings
    for violation in findings.violations:
        assert len(str(violation).encode()) < 5_000
    if findings.is_complete and not findings.unchecked and budget.given - budget.left < 300 and _levels(value) < 5:
        assert agrees(schema, value, fits=not findings.violations), findings.violations
    _check_uses(schema, value, findings.is_complete and not findings.violations)
    return findings


def _check_uses(schema: Any, value: Any, passes: bool) -> None:
    """Nothing but an error of ours comes from asking for the value; the reply is in it."""
    if not isinstance(schema, dict):
        return  # neither a tool nor an output takes it
    text = json.dumps(value)
    notes = list(misfits([ToolCall("c", "f", text)], [Tool("f", schema=schema)]))
    assert {note.kind for note in notes} <= {"invalid", "unchecked"}
    reply, partial = Reply(text=text, finish_reason="stop", output=OutputSpec("o", schema)), None
    try:
        reply.parsed()
    except MalformedReplyError as error:
        partial = error.partial
    assert partial is (None if passes else reply)


def _levels(value: Any) -> int:
    """Return how deep a value is: the reference implementation takes 2^depth for some."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_levels, inside), default=0)


_OTHERWISE = {"$id", "id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$schema", "$vocabulary"}
_OTHERWISE |= {"unevaluatedItems", "unevaluatedProperties", "multipleOf", "dependencies", "additionalItems"}
"""What is not checked here, or by other rules: numbers as they are written, the spellings of draft 7."""


def agrees(schema: Any, value: Any, *, fits: bool) -> bool:
    """Whether the reference implementation comes to the same end, where it comes to one at all."""
    if not _is_comparable(schema, schema):
        return True
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    except (jsonschema.SchemaError, RecursionError, re.error, OverflowError, KeyError):
        return True  # a schema that is none, one that refers to itself for ever
    except Exception as error:
        if type(error).__name__ in ("_WrappedReferencingError", "Unresolvable", "PatternError"):
            return True
        raise
    return bool(expected is fits)


def _is_comparable(part: Any, root: Any) -> bool:
    if isinstance(part, list):
        return all(_is_comparable(item, root) for item in part)
    if not isinstance(part, dict):
        return not isinstance(part, str) or part.isascii()
    if _OTHERWISE & part.keys() or isinstance(part.get("items"), list):
        return False
    if "$ref" in part and resolved(part["$ref"], root) is None:
        return False
    texts = [part["pattern"]] if "pattern" in part else [*(part.get("patternProperties") or ())]
    if any(not isinstance(text, str) or len(text) > 20 or text.count("*") + text.count("+") > 1 for text in texts):
        return False  # `re` might not come to an end
    return all(_is_comparable(item, root) for item in part.values())


# --- what is sent


@cache
def _client(provider: str) -> chatport.Client:
    table = {"api_key": "recorded-no-key", "base_url": "https://recorded.invalid/v1"}
    if provider == "compatible":
        table["kind"] = "compatible"
    return chatport.Client({"providers": {provider: table}, "retry": {"attempts": 1}})


def _check_sent(provider: str, schema: Any, *, as_output: bool) -> None:
    """It has a measure, or is refused before a byte is sent by an error that blames no hook."""
    try:
        options: dict[str, Any] = {"output": OutputSpec("o", schema)}
        if not as_output:
            options = {"tools": [Tool("f", "", schema, True)]}
        sent = _client(provider).explain("JSON", model=f"{provider}:{MODELS.get(provider, 'm')}", **options)
    except (BadRequestError, ConfigurationError) as error:
        size = len(str(error))
    else:
        size = len(json.dumps(sent.body))
    assert size < max(MOST_BYTES, GROWTH * len(json.dumps(schema))), f"{size} bytes"
