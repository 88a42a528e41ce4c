"""What a vendor refuses by its facts: the rules of a facts file, read from the vendor's side.

The standard dialect shapes a request so that the rules are kept; here they are held against the request that came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..facts.models import ModelFacts
from ..facts.rules import FieldRule, HistoryRule, MessageRule, OutputRule, PartRule, ReasoningRule, Rules, ToolRule
from ..standard.choices import choice_kind, function_name
from ..standard.parts import PART_KINDS
from ..standard.paths import at, has, is_same

if TYPE_CHECKING:
    from .facts_emulator import FactsEmulator

__all__ = ["check_by_facts"]


def check_by_facts(vendor: FactsEmulator, body: Mapping[str, Any]) -> None:
    """Raise `Refusal` for the first thing in a request that the vendor does not take, by its facts."""
    facts, rules = vendor.known(str(body["model"])), vendor.rules(body)
    problems = (
        *_of_messages(vendor, body, facts, rules),
        *_of_reasoning(vendor, body, facts, rules.reasoning or ReasoningRule()),
        *_of_tools(vendor, body, facts, rules),
        *_of_output(vendor, body, facts, rules.output or OutputRule()),
        *_of_fields(vendor, body, rules),
        *_of_caps(vendor, body, facts),
    )
    for problem in problems:
        raise vendor.refuse(400, problem)


# --- messages


def _of_messages(vendor: FactsEmulator, body: Mapping[str, Any], facts: ModelFacts, rules: Rules) -> Iterator[str]:
    dialect = vendor.provider.dialect
    roles = {dialect.system_role, dialect.developer_role, "user", "assistant", "tool"}
    for number, message in enumerate(body["messages"]):
        place = f"messages[{number}]"
        if message.get("role") not in roles:
            yield f"{place}.role: {message.get('role')!r} is not known"
        yield from (f"{place}: {problem}" for problem in _of_message(message, rules.messages or MessageRule()))
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            yield from (f"{place}: {problem}" for problem in _of_part(part, facts, rules.parts))
        yield from (f"{place}: {problem}" for problem in _of_ids(message, rules))
    if rules.messages is not None and not rules.messages.orphan_results:
        yield from _of_results(body["messages"])
    if rules.messages is not None and rules.messages.bridge is not None:
        yield from _of_bridges(body["messages"])
    if rules.history is not None and dialect.reasoning_field is not None:
        yield from _of_history(vendor, body, rules.history, dialect.reasoning_field)


def _of_bridges(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for before, message in pairwise(messages):
        if before.get("role") == "tool" and message.get("role") not in ("tool", "assistant"):
            yield f"the role {message.get('role')!r} cannot follow a tool's result"


def _of_results(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    called: set[Any] = set()
    for number, message in enumerate(messages):
        called.update(call.get("id") for call in message.get("tool_calls") or ())
        if message.get("role") == "tool" and message.get("tool_call_id") not in called:
            yield f"messages[{number}] answers no tool call"


def _of_message(message: Mapping[str, Any], rule: MessageRule) -> Iterator[str]:
    content, is_result = message.get("content"), message.get("role") == "tool"
    if not rule.names and "name" in message:
        yield "messages have no names"
    if not rule.nulls and None in message.values():
        yield "null is no value here"
    if rule.keys is not None and not message.keys() <= set(rule.keys):
        yield f"unknown keys {sorted(message.keys() - set(rule.keys))}"
    if isinstance(content, list) and rule.part_types:
        unknown = {str(part.get("type")) for part in content} - set(rule.part_types)
        yield from (f"unknown part type {kind!r}" for kind in sorted(unknown))
    yield from _of_keys(message, content, rule)
    if isinstance(content, list) and rule.joined_text and all(part.get("type") == "text" for part in content):
        yield "a text is no list of parts"
    if isinstance(content, list) and is_result and rule.text_results and any(p.get("type") != "text" for p in content):
        yield "a tool's result is only text"
    stands = rule.empty_result if is_result else rule.empty
    if stands is not None and content == "":
        yield "the content is empty"


def _of_keys(message: Mapping[str, Any], content: Any, rule: MessageRule) -> Iterator[str]:
    """Give the keys of parts and calls that the vendor does not know, where it takes no others."""
    for part in content if rule.part_keys is not None and isinstance(content, list) else ():
        yield from (f"a part has no key {key!r}" for key in part if key not in (rule.part_keys or ()))
    for call in message.get("tool_calls") or () if rule.call_keys is not None else ():
        inner = [key for key in call.get("function") or {} if key not in ("name", "arguments")]
        yield from (
            f"a call has no key {k!r}" for k in (*call, *inner) if k in inner or k not in (rule.call_keys or ())
        )


def _of_part(part: Mapping[str, Any], facts: ModelFacts, rules: Mapping[str, PartRule]) -> Iterator[str]:
    own = {rule.type: kind for kind, rule in rules.items() if rule.type is not None}
    kind = own.get(str(part.get("type"))) or PART_KINDS.get(str(part.get("type")))
    if kind is None:
        return
    rule = rules.get(kind, PartRule())
    if facts.input and kind not in facts.input:
        yield f"this model takes no {kind}"
    if rule.type is not None and part.get("type") != rule.type:
        yield f"a part is called {rule.type}, not {part.get('type')}"
    inner = part.get(rule.field or str(part.get("type")))
    source = inner if isinstance(inner, Mapping) else {}
    place = str(source.get("url") or source.get("file_data") or source.get("data") or "")
    is_address = place.startswith(("http://", "https://"))
    if (is_address and not rule.addresses) or (place and not is_address and not rule.inline):
        yield f"no {kind} in this form"
    if source.get("file_id") is not None and not rule.uploads:
        yield f"no uploads of {kind}"
    if rule.keys is not None and not source.keys() <= set(rule.keys):
        yield f"unknown keys {sorted(source.keys() - set(rule.keys))} of {kind}"
    if rule.data_url is False and place.startswith("data:"):
        yield f"{kind} is bare base64, and no data URL"
    if not rule.text_files and place.startswith("data:text/"):
        yield f"a {kind} is no text"


def _of_ids(message: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    rule = rules.call_ids
    ids = [call.get("id") for call in message.get("tool_calls") or ()] + [message.get("tool_call_id")]
    for call_id in (call_id for call_id in ids if rule is not None and call_id is not None):
        assert rule is not None
        if (rule.longest is not None and len(call_id) > rule.longest) or (
            rule.fits is not None and not re.fullmatch(rule.fits, call_id)
        ):
            yield f"the id {call_id!r} is not of the form that is taken"


def _of_history(vendor: FactsEmulator, body: Mapping[str, Any], rule: HistoryRule, field: str) -> Iterator[str]:
    messages = body["messages"]
    answers = [message for message in messages if message.get("role") == "assistant"]
    if messages[-1].get("role") == "assistant":
        answers.pop()  # the beginning of the answer that is asked for
    for message in answers:
        wanted = rule.keep == "all" or (rule.keep == "calls" and message.get("tool_calls"))
        if not wanted and message.get(field) not in (None, rule.blank):
            yield f"{field} does not go back"
    in_use = "tools" in body or any(message.get("tool_calls") for message in answers)
    if rule.blank is None or not vendor.reasons(body) or (rule.blank_for == "tool_use" and not in_use):
        return
    if any(not m.get(field) for m in answers if rule.blank_for != "calls" or m.get("tool_calls")):
        yield f"{field} must go back"


# --- reasoning, tools, output


def _of_reasoning(
    vendor: FactsEmulator, body: Mapping[str, Any], facts: ModelFacts, rule: ReasoningRule
) -> Iterator[str]:
    effort = None if rule.effort is None else at(body, rule.effort)
    if rule.effort != "reasoning_effort" and "reasoning_effort" in body:
        yield "reasoning_effort is not known"
    if facts.reasoning is False and (effort not in (None, "none") or vendor.reasons(body)):
        yield "this model does not reason"
    known = {rule.words.get(word, word) for word in (*facts.efforts, *rule.words)}
    if effort is not None and facts.efforts and effort not in known:
        yield f"the effort {effort!r} is not known"
    budget = None if rule.budget is None else at(body, rule.budget)
    if budget is not None and not _between(budget, rule.least_budget or 0, rule.most_budget):
        yield f"{rule.budget} is out of range"
    if vendor.reasons(body):
        excluded = (*rule.gives_way_to, *rule.wins_over)
        yield from (f"not while the model reasons: {name}" for name in excluded if _asks_for(name, body))


def _between(value: Any, least: float, most: float | None) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value >= least and (most is None or value <= most)


def _asks_for(condition: str, body: Mapping[str, Any]) -> bool:
    choice, form = body.get("tool_choice"), (body.get("response_format") or {}).get("type")
    asked: Mapping[str, bool] = {
        "forced_choice": choice == "required" or isinstance(choice, Mapping),
        "required_choice": choice == "required",
        "named_choice": isinstance(choice, Mapping),
        "tools": bool(body.get("tools")),
        "prefix": body["messages"][-1].get("role") == "assistant",
    }
    return asked.get(condition, bool(form == condition))


def _of_tools(vendor: FactsEmulator, body: Mapping[str, Any], facts: ModelFacts, rules: Rules) -> Iterator[str]:
    tools, rule = body.get("tools") or [], rules.tools or ToolRule()
    if tools and facts.tools is False:
        yield "this model cannot call tools"
    if facts.max_tools is not None and len(tools) > facts.max_tools:
        yield f"at most {facts.max_tools} tools"
    for tool in tools:
        name = function_name(tool) if tool.get("type") == "function" else None
        if rule.kinds and tool.get("type") not in rule.kinds:
            yield f"tools of type {tool.get('type')!r} are not known"
        if not rule.strict and "strict" in (tool.get("function") or {}):
            yield "strict is not known"
        if rule.function_keys is not None:
            yield from (f"a tool has no key {key!r}" for key in tool if key not in ("type", "function"))
            inner = tool.get("function") or {}
            yield from (f"a function has no key {key!r}" for key in inner if key not in rule.function_keys)
        if isinstance(name, str) and (name in rule.reserved or (rule.letter_first and not name[:1].isalpha())):
            yield f"no tool may be called {name!r}"
    if facts.parallel_tools is False and body.get("parallel_tool_calls"):
        yield "one call at a time"
    choice = body.get("tool_choice")
    kind = choice_kind(choice) if choice is not None else None
    unforced = ("auto", "none") if facts.forced_tool_choice is False else None
    taken: tuple[str, ...] | None = (*rule.choices, *rule.hints) if rule.choices else unforced
    if kind is not None and taken is not None and kind not in ("auto", *taken):
        yield f"tool_choice {kind} is not supported"


def _of_output(vendor: FactsEmulator, body: Mapping[str, Any], facts: ModelFacts, rule: OutputRule) -> Iterator[str]:
    kind = (body.get("response_format") or {}).get("type")
    if kind in (None, "text"):
        return
    formats = facts.output_formats
    if rule.while_reasoning is not None and vendor.reasons(body):
        formats = rule.while_reasoning
    if (formats is not None and kind not in formats) or (not rule.beside_tools and body.get("tools")):
        yield f"the response_format {kind} is not available here"
    said = str([message.get("content") for message in body["messages"]]).lower()
    if rule.say_json and kind == "json_object" and "json" not in said:
        yield "the messages must say json"


# --- fields


def _of_fields(vendor: FactsEmulator, body: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    for table in (vendor.provider.dialect.fields, rules.fields):
        for field, given in table.items():
            for rule in given if isinstance(given, tuple) else (given,):
                if has(body, field) and _holds(vendor, rule, body) and not _is_taken(at(body, field), rule, body):
                    yield f"{field}: {rule.reason or 'not taken like this'}"


def _holds(vendor: FactsEmulator, rule: FieldRule, body: Mapping[str, Any]) -> bool:
    return (
        (rule.streamed is None or rule.streamed == bool(body.get("stream")))
        and (rule.reasoning is None or rule.reasoning == vendor.reasons(body))
        and (rule.beside is None or has(body, rule.beside))
        and (rule.without is None or not has(body, rule.without))
    )


def _is_taken(value: Any, rule: FieldRule, body: Mapping[str, Any]) -> bool:
    """Whether a field may be sent like this, by a rule that holds for the request."""
    if any(is_same(value, same) for same in rule.same):
        return True
    if (rule.fits is not None and not re.fullmatch(rule.fits, str(value))) or (
        rule.values and value not in rule.values
    ):
        return False
    if rule.rename is not None:
        return False
    if rule.least is not None or rule.most is not None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        least, most = (value if bound is None else bound for bound in (rule.least, rule.most))
        return not is_number or least <= value <= most
    if rule.brings:
        return all(at(body, name) not in (None, False) for name in rule.brings)
    return rule.noted or rule.fits is not None or bool(rule.values)


def _of_caps(vendor: FactsEmulator, body: Mapping[str, Any], facts: ModelFacts) -> Iterator[str]:
    dialect, stop = vendor.provider.dialect, body.get("stop")
    limit = body.get(dialect.max_tokens_field)
    if dialect.max_tokens_field != "max_tokens" and "max_tokens" in body:
        yield f"max_tokens is called {dialect.max_tokens_field}"
    if facts.max_output_tokens is not None and isinstance(limit, int) and limit > facts.max_output_tokens:
        yield f"{dialect.max_tokens_field} is at most {facts.max_output_tokens}"
    if dialect.stop_limit is not None and isinstance(stop, list) and len(stop) > dialect.stop_limit:
        yield f"at most {dialect.stop_limit} stop strings"
