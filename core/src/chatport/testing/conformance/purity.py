"""Hooks are pure: the same input gives the same output, and no input is changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from ...basics.frozen import FrozenValueError
from ...call import Call, Chunk, Context, OutputSpec, StreamState, ToolChoice, WireRequest
from ...decoding.failures import failure_of
from ...decoding.sse import EventStreamParser
from ...errors import ChatportError, PluginError, UnsupportedFeatureError
from ...inputs.tools import read_tools
from ...plugins.registry import build_plan
from ...setup.shaping import shape
from ...setup.vendor import Vendor
from ...types import Message, ToolCall
from ..emulator import EmulatedRequest
from .subject import ConformanceTests, get_weather

__all__ = ["PurityTests"]

_SAME = "compute the result from the arguments only; keep nothing in the module"
_NO_REQUEST = WireRequest("/", {})
_COPY = "make a new value in place of changing the one you were given"


class PurityTests(ConformanceTests):
    """A hook that remembers, or changes what it was given, works in a test and fails among parallel calls."""

    def test_the_hooks_keep_the_contract(self) -> None:
        it = self.subject
        with it.trying("all hooks", it.provider, "see the list of hooks in the manual"):
            build_plan(it.provider)

    def test_a_request_is_shaped_the_same_each_time_and_the_call_is_not_changed(self) -> None:
        it = self.subject
        port, context = it.opened()
        for call in _calls():
            before = copy.deepcopy(attrs.asdict(call))
            try:
                first, second = shape(port.plan, call, context), shape(port.plan, call, context)
            except UnsupportedFeatureError:
                continue
            except PluginError as error:
                wrote = isinstance(error.__cause__, FrozenValueError)
                it.check(not wrote, "shape_request", call, "the call was changed", _COPY)
                raise
            it.check(first == second, "shape_request", call, "the same call gave another request", _SAME)
            it.check(attrs.asdict(call) == before, "shape_request", call, "the call was changed", _COPY)

    def test_chunks_are_not_changed_and_streams_do_not_mix(self) -> None:
        """Two streams decoded in turns give what each gives alone: nothing is kept outside of `state`."""
        it = self.subject
        port, context = it.opened()
        arrived = EventStreamParser().feed(it.streamed("say: one two"))
        chunks = [(event.data, event.event) for event in arrived]
        alone = self._decoded(port, context, chunks, [StreamState()])
        mixed = self._decoded(port, context, chunks, [StreamState(), StreamState()])
        it.check(alone[0] == mixed[0] == mixed[1], "decode_chunk", chunks, "two streams in turns got mixed up", _SAME)

    def _decoded(
        self, port: Vendor, context: Context, chunks: list[tuple[bytes, str]], states: list[StreamState]
    ) -> list[list[Any]]:
        found: list[list[Any]] = [[] for _ in states]
        for raw, name in chunks:
            for state, events in zip(states, found, strict=True):
                chunk = Chunk(raw, name)
                before = _data_of(chunk)
                events.append(port.plan.decode_chunk(chunk, state, context, _NO_REQUEST))
                same = _data_of(chunk) == before
                self.subject.check(same, "decode_chunk", raw, "the chunk's data were changed", _COPY)
        return found

    def test_replies_errors_models_and_limits_are_read_the_same_each_time(self) -> None:
        it = self.subject
        port, context = it.opened()
        emulator = it.emulator()
        it.ask(it.client(emulator), "say: one two", False)
        response = emulator.vendor.respond(emulator.requests[-1])
        if "json" in response.headers.get("content-type", ""):  # a vendor may be asked for streams only
            decode = port.plan.decode_reply
            self._twice("decode_reply", _json(response.body), lambda data: decode(data, context, _NO_REQUEST))
        self._twice("read_rate_limits", dict(response.headers), lambda data: port.plan.read_rate_limits(data, context))
        for status in (400, 429, 500):
            refusal = emulator.vendor.error_for(status)
            body = emulator.vendor.reply(refusal.status, refusal.body).body
            failure = failure_of(refusal.status, refusal.headers, "response", body, "")
            self._twice("classify_error", failure, lambda data: port.plan.classify_error(data, context))
        path = port.provider.dialect.models_path
        if path is not None:
            listed = emulator.vendor.respond(EmulatedRequest("GET", path, emulator.requests[0].headers, b""))
            if listed.status == 200:
                self._twice("parse_models", _json(listed.body), lambda data: port.plan.parse_models(data, context))

    def _twice(self, hook: str, given: Any, run: Callable[[Any], Any]) -> None:
        it, before = self.subject, copy.deepcopy(given)
        with it.trying(hook, given, "read what the emulator answers"):
            first, second = run(given), run(given)
        it.check(given == before, hook, before, "its input was changed", _COPY)
        it.check(first == second, hook, before, "the same input gave another result", _SAME)


def _json(content: bytes) -> Any:
    return Chunk(content).data


def _data_of(chunk: Chunk) -> Any:
    """Return a copy of a chunk's data; None for one that is no JSON, such as the end event."""
    try:
        return copy.deepcopy(chunk.data)
    except ChatportError:
        return None


def _calls() -> Iterator[Call]:
    tools = read_tools([get_weather])
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    user = Message.user("hello")
    yield Call((user,))
    yield Call(
        (Message.system("s"), Message.developer("d"), user), stream=True, temperature=0.5, top_p=0.5, max_tokens=50
    )
    yield Call((user,), tools=tools, tool_choice=ToolChoice("required"), reasoning="high")
    yield Call((user,), output=OutputSpec("o", schema), reasoning="none", stop=("x",), seed=3)
    call = ToolCall("call_1", "get_weather", '{"city": "Oslo"}')
    yield Call((user, Message.assistant(tool_calls=(call,)), Message.tool(call, "sunny")), tools=tools)
