"""The conformance suite sees the bugs that authors of providers make: each is planted by itself into a healthy one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec
import pytest

from chatport import (
    BadRequestError,
    CitationReported,
    Dialect,
    ErrorReported,
    FinishReported,
    MediaAdded,
    OpaqueReported,
    Provider,
    QuotaExceededError,
    RateLimitError,
    ReasoningDelta,
    ServerError,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    Verdict,
    WireRequest,
    hookimpl,
)
from chatport.facts import Facts
from chatport.testing import EmulatedRequest, Refusal, Script, VendorEmulator
from chatport.testing.conformance import conformance
from chatport.testing.pytest_plugin import isolated_fixture

FACTS: dict[str, Any] = {
    "provider": "sample",
    "date": "2026-11-29",
    "errors": [{"code": ["credits_gone"], "error": "QuotaExceededError", "fact": "SA-1"}],
    "models": [
        {
            "match": "sample-*",
            "source": "sample.example, 2026-11-29",
            "facts": {
                "context_tokens": 64_000,
                "max_output_tokens": 8000,
                "input": ["text", "image"],
                "tools": True,
                "forced_tool_choice": True,
                "output_formats": ["json_schema", "json_object"],
                "reasoning": True,
                "efforts": ["low", "high"],
                "default_effort": "high",
                "rules": {
                    "reasoning": {
                        "on": {"thinking": {"type": "enabled"}},
                        "off": {"thinking": {"type": "disabled"}},
                        "effort": "thinking.effort",
                    },
                    "fields": {"temperature": {"most": 1, "reason": "goes to 1 here"}},
                    "call_ids": {"longest": 40, "fits": "[A-Za-z0-9_]+"},
                },
            },
        }
    ],
    "prices": [
        {"match": "sample-*", "input": 1.0, "cached_input": 0.1, "output": 4.0, "source": "sample.example, 2026-11-29"}
    ],
    "retired": [
        {"id": "sample-0", "since": "2026-05-01", "successor": "sample-large", "source": "sample.example, 2026-11-29"}
    ],
}


class SampleEmulator(VendorEmulator):
    """A vendor that thinks, counts, and has limits."""

    name = "sample"
    models: Sequence[str] = ("sample-large", "sample-mini")
    roles = ("system", "user", "assistant", "tool")
    ranges: Mapping[str, tuple[float, float]] = {"temperature": (0, 1), "top_p": (0, 1), "max_tokens": (1, 8000)}
    types: Mapping[str, Any] = {"stop": list, "seed": int, "thinking": dict}
    refused_fields: Mapping[str, str] = {"reasoning_effort": "Unknown field reasoning_effort."}
    call_id_form: str | None = "[A-Za-z0-9_]{1,40}"

    def reasons(self, body: Mapping[str, Any]) -> bool:
        return bool((body.get("thinking") or {}).get("type") != "disabled")

    def check(self, body: Mapping[str, Any]) -> None:
        super().check(body)
        if (body.get("thinking") or {}).get("effort") not in (None, "low", "high"):
            raise self.refuse(400, "thinking.effort is low or high")

    def error_for(self, status: int) -> Refusal:
        if status == 402:
            return self.refuse(429, "Your credits are gone.", code="credits_gone")
        return super().error_for(status)

    def headers(self, content_type: str) -> dict[str, str]:
        limits = {
            "limit-requests": "600", "remaining-requests": "599", "limit-tokens": "9000", "remaining-tokens": "8000",
        }  # fmt: skip
        return {**super().headers(content_type), **{f"x-ratelimit-{name}": value for name, value in limits.items()}}

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().message(body, script), **self._thought(script, script.reasoning)}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        for piece in self.cut(script.reasoning):
            yield self._thought(script, piece)
        yield from super().deltas(body, script)

    def _thought(self, script: Script, piece: str) -> dict[str, Any]:
        signed = [{"type": "signed", "signature": f"signature-of-{self.serial:08d}"}]
        return {"reasoning_content": piece, "reasoning_details": signed} if script.reasoning else {}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {
            **super().usage(body, script),
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
        }


class Signatures:
    """What the healthy provider does by a hook: the signature goes back with its message."""

    @staticmethod
    @hookimpl(wrapper=True)
    def shape_request(call: Any, context: Any) -> Generator[None, Any, Any]:
        wire = yield
        messages = []
        for message, own in zip(wire.body["messages"], call.messages, strict=False):
            details = own.opaque.get("reasoning_details") if own.origin == context.provider.name else None
            messages.append({**message, "reasoning_details": details} if details else message)
        return wire.set("messages", [*messages, *wire.body["messages"][len(messages) :]])


def sample(**facts: Any) -> Facts:
    return msgspec.convert({**FACTS, **facts}, Facts)


SAMPLE = Provider(
    name="sample",
    title="Sample",
    base_url="https://api.sample.example/v1",
    key_env=("SAMPLE_API_KEY",),
    dialect=Dialect(reasoning_field="reasoning_content", finish_reasons={"worn_out": "error"}),
    facts=sample(),
    hooks=(Signatures,),
    emulator=f"{__name__}:SampleEmulator",
)

TestSample = conformance(SAMPLE, statuses=(400, 401, 402, 403, 404, 413, 422, 429, 500, 503, 529))
"""Healthy, it passes all of it: whatever is seen below was planted."""

isolated = isolated_fixture(SAMPLE)


# --- planting


def request(change: Callable[..., Any]) -> Provider:
    """Return the provider with `change(wire, call)` behind its own hooks."""

    class Planted:
        @staticmethod
        @hookimpl(wrapper=True)
        def shape_request(call: Any) -> Generator[None, Any, Any]:
            wire = yield
            return change(wire, call)

    return attrs.evolve(SAMPLE, hooks=(Signatures, Planted))


def events(change: Callable[[Any], Any], *, plain: bool = True, stream: bool = True) -> Provider:
    """Return the provider with `change(events)` where answers are decoded."""

    class Planted:
        if plain:

            @staticmethod
            @hookimpl(wrapper=True)
            def decode_reply() -> Generator[None, Any, Any]:
                return change((yield))

        if stream:

            @staticmethod
            @hookimpl(wrapper=True)
            def decode_chunk() -> Generator[None, Any, Any]:
                return change((yield))

    return attrs.evolve(SAMPLE, hooks=(Signatures, Planted))


def each(kind: type[Any], change: Callable[[Any], Any], **where: bool) -> Provider:
    """Return the provider with each event of a kind changed; None takes it out."""

    def changed(given: Any) -> list[Any]:
        made = [change(event) if isinstance(event, kind) else event for event in given]
        return [event for event in made if event is not None]

    return events(changed, **where)


def errors(change: Callable[[Any], Any]) -> Provider:
    """Return the provider with `change(failure)` in place of its reading of errors; None leaves it to the standard."""

    class Planted:
        @staticmethod
        @hookimpl(tryfirst=True)
        def classify_error(failure: Any) -> Any:
            return change(failure)

    return attrs.evolve(SAMPLE, hooks=(Signatures, Planted))


def hook(name: str, change: Callable[[Any], Any]) -> Provider:
    """Return the provider with `change(result)` around a hook."""
    planted: dict[str, Any] = {}

    def wrapped() -> Generator[None, Any, Any]:
        return change((yield))

    wrapped.__name__ = name
    planted[name] = staticmethod(hookimpl(wrapper=True)(wrapped))
    return attrs.evolve(SAMPLE, hooks=(Signatures, type("Planted", (), planted)))


def dialect(**fields: Any) -> Provider:
    return attrs.evolve(SAMPLE, dialect=attrs.evolve(SAMPLE.dialect, **fields))


def facts(*path: str, value: Any) -> Provider:
    """Return the provider with another value in the facts of its models."""
    models = json.loads(json.dumps(FACTS["models"]))
    place = models[0]["facts"]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return attrs.evolve(SAMPLE, facts=sample(models=models))


def messages(change: Callable[[dict[str, Any]], Any]) -> Provider:
    """Return the provider with each message changed; None takes it out."""

    def made(wire: WireRequest, call: Any) -> WireRequest:
        changed = (change(dict(message)) for message in wire.body["messages"])
        return wire.set("messages", [message for message in changed if message is not None])

    return request(made)


def but(message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**message, **fields}


def usage(**change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda event: UsageReported(
        attrs.evolve(event.usage, **{name: made(event.usage) for name, made in change.items()})
    )


def _as_objects(message: dict[str, Any]) -> dict[str, Any]:
    calls = [
        {**call, "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])}}
        for call in message.get("tool_calls") or ()
    ]
    return {**message, "tool_calls": calls} if calls else message


def _without_pattern(wire: Any, call: Any) -> Any:
    tools = json.loads(json.dumps(wire.body.get("tools", []), default=dict))
    for tool in tools:
        for schema in tool["function"]["parameters"].get("properties", {}).values():
            schema.pop("pattern", None)
    return wire.set("tools", tools) if tools else wire


def _loses(field: str) -> Provider:
    return request(lambda wire, call: wire.discard(field))


def _silently(wire: Any, field: str, value: Any) -> Any:
    return wire.set(field, value) if field in wire.body else wire


def _leaking(wire: Any, call: Any) -> Any:
    sent = [
        {**message, "reasoning_content": own.reasoning} if own.reasoning else message
        for message, own in zip(wire.body["messages"], call.messages, strict=False)
    ]
    return wire.set("messages", [*sent, *wire.body["messages"][len(sent) :]])


def _swapped_limits(limits: Any) -> Any:
    return limits and attrs.evolve(
        limits, requests_remaining=limits.tokens_remaining, tokens_remaining=limits.requests_remaining
    )


class SlipperyEmulator(SampleEmulator):
    """It has no form for ids, so that only what the suite sees for itself is seen."""

    call_id_form = None


class CentsEmulator(SampleEmulator):
    """Its usage has a charge, in millionths."""

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().usage(body, script), "charge": script.input_tokens + 4 * script.output_tokens}

    def check_key(self, request: EmulatedRequest) -> None:
        super().check_key(request)


def _tools(change: Callable[[dict[str, Any]], Any]) -> Provider:
    """Return the provider with each tool changed."""
    return request(lambda wire, call: _silently(wire, "tools", [change(dict(tool)) for tool in wire.body["tools"]])
                   if "tools" in wire.body else wire)  # fmt: skip


def _plain_call(call: Any) -> Any:
    return {"id": call["id"], "type": "function", "function": call["function"]}


def _bare(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with the standard's keys only."""
    known = ("role", "content", "tool_calls", "tool_call_id", "name", "reasoning_content", "reasoning_details")
    return {key: value for key, value in message.items() if key in known}


def _leaking_keys(wire: Any, call: Any) -> Any:
    pairs = zip(wire.body["messages"], call.messages, strict=True)
    return wire.set("messages", [{**message, **own.opaque.get("message", {})} for message, own in pairs])


OWN_KEY, OWN_KEYS_BACK = "a_key_of_the_callers_own", "keys_of_an_answer_come_back"
CONTENT = "content_of_every_kind"
OPTION, MESSAGES = "an_option_is_sent", "every_message_is_sent"
THOUGHT, BACK = "shown_reasoning_is_the_same", "what_the_vendor_wants_back"
COUNTED, INSIDE = "the_usage_is_what_the_vendor_counted", "every_error_inside_a_stream"
FINAL, WAIT = "no_wrong_request_is_tried_again", "the_time_to_wait"
PLANTS: Mapping[str, tuple[str, Provider]] = {
    # keys that nobody reads
    "a tool's own key is lost": (OWN_KEY, _tools(lambda t: {"type": "function", "function": t["function"]})),
    "a function's own key is lost": (
        OWN_KEY,
        _tools(lambda t: {**t, "function": {k: v for k, v in t["function"].items() if not k.startswith("x_")}}),
    ),
    "a message's own key is lost": (OWN_KEY, messages(_bare)),
    "a part's own key is lost": (
        OWN_KEY,
        messages(
            lambda m: (
                but(m, content="".join(part["text"] for part in m["content"]))
                if isinstance(m.get("content"), list)
                else m
            )
        ),
    ),
    "a call's own key is lost": (
        OWN_KEY,
        messages(lambda m: but(m, tool_calls=[*map(_plain_call, m["tool_calls"])]) if "tool_calls" in m else m),
    ),
    "the keys of an answer are not read": (OWN_KEYS_BACK, each(OpaqueReported, lambda event: None)),
    "the keys of calls in a stream are not read": (
        OWN_KEYS_BACK,
        each(OpaqueReported, lambda event: event if event.call is None else None, plain=False),
    ),
    "the keys of an answer do not go back": (OWN_KEYS_BACK, messages(_bare)),
    "the keys of calls do not go back": (
        OWN_KEYS_BACK,
        messages(lambda m: but(m, tool_calls=[*map(_plain_call, m["tool_calls"])]) if "tool_calls" in m else m),
    ),
    "another vendor's keys are sent": ("keys_of_an_answer_go_to_no_other", request(_leaking_keys)),
    "another vendor's keys are lost unsaid": (
        "keys_of_an_answer_go_to_no_other",
        request(lambda wire, call: attrs.evolve(wire, adjustments=())),
    ),
    "pictures are lost": (
        CONTENT,
        messages(
            lambda m: (
                but(m, content=[part for part in m["content"] if part["type"] == "text"])
                if isinstance(m.get("content"), list)
                else m
            )
        ),
    ),
    # what is asked
    "the system message is lost": (MESSAGES, messages(lambda m: None if m["role"] == "system" else m)),
    "the system message becomes the user's": (
        MESSAGES,
        messages(lambda m: but(m, role="user") if m["role"] == "system" else m),
    ),
    "the developer's role is sent as it is": ("the_roles_of_the_standard", dialect(developer_role="developer")),
    "earlier answers are lost": (MESSAGES, messages(lambda m: m if m["role"] != "assistant" else None)),
    "the messages are turned round": (
        MESSAGES,
        request(lambda wire, call: wire.set("messages", sorted(wire.body["messages"], key=lambda m: m["role"]))),
    ),
    "a message's name is lost": (
        "a_name_and_a_picture",
        messages(lambda m: {key: value for key, value in m.items() if key != "name"}),
    ),
    "a picture is lost": (
        "a_name_and_a_picture",
        messages(lambda m: but(m, content="say: fine") if isinstance(m.get("content"), list) else m),
    ),
    "temperature is lost": (OPTION, _loses("temperature")),
    "a temperature of 0 is lost": (
        OPTION,
        request(lambda wire, call: wire if wire.body.get("temperature") else wire.discard("temperature")),
    ),
    "temperature is held silently": (
        OPTION,
        request(lambda wire, call: _silently(wire, "temperature", min(wire.body.get("temperature", 0), 0.5))),
    ),
    "top_p is lost": (OPTION, _loses("top_p")),
    "seed is lost": (OPTION, _loses("seed")),
    "max_tokens is lost": (OPTION, _loses("max_tokens")),
    "stop is lost": (OPTION, _loses("stop")),
    "stop is cut to four": (
        OPTION,
        request(lambda wire, call: _silently(wire, "stop", list(wire.body.get("stop", ()))[:4])),
    ),
    "an effort that is not taken is sent": (OPTION, facts("efforts", value=["low", "high", "max"])),
    "tools but the first are lost": (
        "every_tool_is_sent_whole",
        request(lambda wire, call: _silently(wire, "tools", list(wire.body.get("tools", ()))[:1])),
    ),
    "a forced choice is lost": ("every_tool_choice", _loses("tool_choice")),
    "the structure is lost": ("a_structure_is_kept", _loses("response_format")),
    "a keyword of a schema is lost": ("what_a_schema_loses", request(_without_pattern)),
    "arguments go back as an object": ("a_tool_goes_there_and_back", messages(_as_objects)),
    "a tool's second result is lost": (
        "every_tool_is_sent_whole",
        messages(lambda m: but(m, content="ok") if m.get("tool_call_id") == "call_2" else m),
    ),
    "the notes are lost": (
        "options_given_together",
        request(lambda wire, call: attrs.evolve(wire, adjustments=()).discard("seed")),
    ),
    "the note of a changed name is lost": (
        "a_tool_has_its_own_name",
        request(lambda wire, call: attrs.evolve(wire, adjustments=())),
    ),
    "names are not mapped back": (
        "names_no_vendor_takes",
        hook("translate_tools", lambda tools: attrs.evolve(tools, names={})),
    ),
    "foreign ids are sent as they are": ("calls_with_foreign_ids", facts("rules", "call_ids", value=None)),
    "usage is not asked for": ("an_answer_is_the_same", dialect(include_usage=False)),
    # reasoning
    "off is on": (
        "reasoning_that_is_off",
        facts("rules", "reasoning", "off", value={"thinking": {"type": "enabled", "effort": "low"}}),
    ),
    "off is not said": (
        "reasoning_that_is_off",
        request(lambda wire, call: wire.discard("thinking") if call.reasoning == "none" else wire),
    ),
    "the effort is lost": (OPTION, _loses("thinking")),
    "reasoning is lost in a plain reply": (THOUGHT, each(ReasoningDelta, lambda event: None, stream=False)),
    "reasoning is lost in a stream": (THOUGHT, each(ReasoningDelta, lambda event: None, plain=False)),
    "reasoning becomes text": (THOUGHT, each(ReasoningDelta, lambda event: TextDelta(event.text))),
    "reasoning does not go back": (
        BACK,
        messages(lambda m: {key: value for key, value in m.items() if key != "reasoning_content"}),
    ),
    "the signature does not go back": (
        BACK,
        messages(lambda m: {key: value for key, value in m.items() if key != "reasoning_details"}),
    ),
    "another vendor's reasoning is sent": ("the_reasoning_of_another_vendor", request(_leaking)),
    # what is counted
    "input and output are swapped": (
        COUNTED,
        each(UsageReported, usage(input_tokens=lambda u: u.output_tokens, output_tokens=lambda u: u.input_tokens)),
    ),
    "what is cached is counted twice": (
        COUNTED,
        each(UsageReported, usage(input_tokens=lambda u: u.input_tokens + (u.cached_input_tokens or 0))),
    ),
    "what is cached is not read": (COUNTED, each(UsageReported, usage(cached_input_tokens=lambda u: None))),
    "reasoning tokens are not read": (COUNTED, each(UsageReported, usage(reasoning_tokens=lambda u: None))),
    "reasoning is taken off the output": (
        COUNTED,
        each(UsageReported, usage(output_tokens=lambda u: u.output_tokens - (u.reasoning_tokens or 0))),
    ),
    "usage is lost in a stream": ("the_usage_is_the_same", each(UsageReported, lambda event: None, plain=False)),
    "usage is doubled in a stream": (
        "the_usage_is_the_same",
        each(UsageReported, usage(output_tokens=lambda u: 2 * u.output_tokens), plain=False),
    ),
    "the cost has another unit": (
        "the_cost_is_the_price",
        attrs.evolve(dialect(cost_field="charge"), emulator=f"{__name__}:CentsEmulator"),
    ),
    "two rates are swapped": (
        "a_price_is_plausible",
        attrs.evolve(SAMPLE, facts=sample(prices=[{**FACTS["prices"][0], "input": 0.1, "cached_input": 1.0}])),
    ),
    "requests and tokens are swapped": ("headroom_is_not_mixed_up", hook("read_rate_limits", _swapped_limits)),
    "limit and rest are swapped": (
        "headroom_is_not_mixed_up",
        hook(
            "read_rate_limits",
            lambda limits: (
                limits
                and attrs.evolve(limits, tokens_limit=limits.tokens_remaining, tokens_remaining=limits.tokens_limit)
            ),
        ),
    ),
    "no headroom is read": ("headroom_is_not_mixed_up", hook("read_rate_limits", lambda limits: None)),
    "no model is listed": ("the_models_are_listed", hook("parse_models", lambda models: ())),
    "the request id has another header": ("the_request_id_is_read", dialect(request_id_headers=("x-trace",))),
    # what is answered
    "a cut answer is whole": ("an_answer_that_is_cut", dialect(finish_reasons={"length": "stop"})),
    "a word for a cut means stop": ("no_word_for_a_cut", dialect(finish_reasons={"length_exceeded": "stop"})),
    "an unknown end is a stop": (
        "every_word_for_an_end",
        each(FinishReported, lambda event: FinishReported("stop", event.raw) if event.reason == "unknown" else event),
    ),
    "a source is lost": ("sources_and_pictures", each(CitationReported, lambda event: None)),
    "a source is lost in a stream": ("sources_and_pictures", each(CitationReported, lambda event: None, plain=False)),
    "a picture is lost in a stream": ("sources_and_pictures", each(MediaAdded, lambda event: None, plain=False)),
    "a stream has other sources": (
        "sources_and_pictures",
        each(CitationReported, lambda e: CitationReported(attrs.evolve(e.citation, span=None), e.choice), plain=False),
    ),
    "an abort is an end": (
        "a_call_is_not_run",
        events(
            lambda found: [
                FinishReported("stop", event.raw) if isinstance(event, FinishReported) else event
                for event in found
                if not isinstance(event, ErrorReported)
            ]
        ),
    ),
    "an end from outside is no error beside a call": (
        "a_call_is_not_run",
        each(FinishReported, lambda e: FinishReported("other", e.raw) if e.reason == "error" else e),
    ),
    "an end is invented": (
        "an_answer_without_an_end",
        events(
            lambda found: (
                [*found, FinishReported("stop", None)]
                if any(isinstance(event, TextDelta) for event in found)
                else found
            ),
            plain=False,
        ),
    ),
    "the finish is lost": ("an_answer_is_the_same", each(FinishReported, lambda event: None)),
    "blanks are stripped": ("a_text_comes_as_it_was", each(TextDelta, lambda event: TextDelta(event.text.strip()))),
    "blank pieces are lost": (
        "a_text_comes_as_it_was",
        each(TextDelta, lambda event: event if event.text.strip() else None),
    ),
    "letters beyond ASCII are lost": (
        "a_text_comes_as_it_was",
        each(TextDelta, lambda event: TextDelta(event.text.encode("ascii", "ignore").decode())),
    ),
    "choices are mixed": ("a_second_choice", each(TextDelta, lambda event: TextDelta(event.text), plain=False)),
    "the index of a call is ignored": (
        "calls_made_at_once",
        each(ToolCallDelta, lambda e: ToolCallDelta(0, "call_x", e.name, e.arguments), plain=False),
    ),
    "the ids of calls are lost": (
        "calls_made_at_once",
        each(ToolCallDelta, lambda e: ToolCallDelta(e.index, f"call_{e.index}", e.name, e.arguments)),
    ),
    "the arguments of a call are lost": (
        "a_tool_goes_there_and_back",
        each(ToolCallDelta, lambda e: ToolCallDelta(e.index, e.id, e.name, ""), plain=False),
    ),
    # errors
    "errors in a stream are swallowed": (INSIDE, each(ErrorReported, lambda event: None, plain=False)),
    "a wrong key is tried again": (
        FINAL,
        errors(lambda f: Verdict(ServerError, retryable=True) if f.status == 401 else None),
    ),
    "a wrong request is tried again": (
        FINAL,
        errors(lambda f: Verdict(BadRequestError, retryable=True) if f.status == 400 else None),
    ),
    "an empty account is a rate limit": (
        "an_empty_account",
        errors(lambda f: Verdict(RateLimitError) if f.status == 429 else None),
    ),
    "a rate limit is an empty account": (
        WAIT,
        errors(lambda f: Verdict(RateLimitError, retryable=False) if f.status == 429 else None),
    ),
    "milliseconds are read as seconds": (
        WAIT,
        errors(lambda f: Verdict(RateLimitError, retry_after_seconds=7000.0) if f.status == 429 else None),
    ),
    "every 4xx may pass": (
        "what_is_not_supported",
        errors(lambda f: Verdict(ServerError) if f.status == 422 else None),
    ),
    "the vendor's words are lost": (
        "what_is_not_supported",
        errors(lambda f: Verdict(BadRequestError, message="It failed.") if f.status == 400 else None),
    ),
    "an odd body breaks the hook": ("unknown_errors_are_errors", errors(lambda f: f.data["detail"]["x"] and None)),
    "an odd event breaks the hook": (
        "odd_events",
        errors(lambda f: (f.data["error"]["message"] and None) if f.where == "chunk" else None),
    ),
    "a server's failure is the caller's": (
        "every_status_has_its_class",
        errors(lambda f: Verdict(BadRequestError) if f.status >= 500 else None),
    ),
    "no capacity is no credit": (
        "every_status_has_its_class",
        errors(lambda f: Verdict(QuotaExceededError) if f.status == 529 else None),
    ),
    "a retired model leads nowhere": (
        "a_retired_model",
        attrs.evolve(
            hook("shape_request", lambda wire: attrs.evolve(wire.set("model", "sample-0"))),
        ),
    ),
}


def failures(provider: Provider, name: str) -> Iterator[str]:
    """Give the text of each failure of a test of the suite, over all of its parameters."""
    suite = conformance(provider, statuses=TestSample.statuses)()
    (test,) = (getattr(suite, own) for own in dir(suite) if own.startswith(f"test_{name}"))
    marks = [mark.args for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    for values in itertools.product(*(given for _, given in marks)):
        arguments = {argument: value for (argument, _), value in zip(marks, values, strict=True)}
        try:
            test(**arguments)
        except pytest.fail.Exception as failure:
            yield str(failure)
        except pytest.skip.Exception:
            continue


@pytest.mark.parametrize("bug", list(PLANTS))
def test_a_planted_bug_is_seen(bug: str) -> None:
    name, provider = PLANTS[bug]
    seen = next(failures(provider, name), "")
    assert seen.startswith("sample: "), "nobody saw it"
    assert "hook:" in seen


def test_the_healthy_provider_fails_none_of_these() -> None:
    assert {name: list(failures(SAMPLE, name)) for name in {name for name, _ in PLANTS.values()}} == {
        name: [] for name in {name for name, _ in PLANTS.values()}
    }
