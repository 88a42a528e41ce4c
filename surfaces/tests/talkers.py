"""A program that talks by an official SDK, in each of three protocols, synchronous and not, written once.

Its coroutines hold for both kinds of SDK: what a synchronous one returns is no awaitable, and nothing ever waits.
"""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeVar

import anyio
import attrs

__all__ = ["BACKENDS", "PIXEL", "TALKERS", "Call", "Said", "Talker", "each", "entered", "first", "run", "soon"]

T = TypeVar("T")
BACKENDS = ("sync", "asyncio")
"""On trio the SDKs leave generators of their own open, and do not promise it."""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WORDS = "Tell the weather."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": WORDS, "parameters": SCHEMA}


def run(backend: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end: on a loop, or without one where nothing waits."""
    if backend != "sync":
        return anyio.run(work, backend=backend)
    coroutine = work()
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("something waited")


async def soon(value: Any) -> Any:
    """Return a value, awaited if it is to be."""
    return await value if inspect.isawaitable(value) else value


async def each(pieces: Any) -> AsyncIterator[Any]:
    """Iterate over either kind of stream."""
    if hasattr(pieces, "__aiter__"):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece


async def first(pieces: Any) -> Any:
    """Return the first piece of either kind of stream."""
    return await anext(pieces) if hasattr(pieces, "__anext__") else next(pieces)


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """Enter either kind of context manager."""
    if hasattr(manager, "__aenter__"):
        async with manager as inner:
            yield inner
    else:
        with manager as inner:
            yield inner


@attrs.frozen
class Call:
    """A call of a tool."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@attrs.frozen
class Said:
    """An answer: `turns` is what a program keeps of it for the next request, `headers` are those it came with."""

    text: str
    thoughts: str
    calls: Sequence[Call]
    turns: Sequence[Any]
    headers: Mapping[str, str]
    end: str
    tokens: tuple[int, int]


class Talker(ABC):
    """Speaks one protocol by its SDK. Options of a call are in the SDK's own words."""

    sdk: ClassVar[str]
    thinking: ClassVar[Mapping[str, Any]]
    tools: ClassVar[Sequence[Any]]

    def options(self, talk: Sequence[Any], *, tools: bool = False, thinking: bool = False) -> dict[str, Any]:
        """Return the options of a call of `main`."""
        chosen: dict[str, Any] = {"tools": self.tools} if tools else {}
        return {"model": "main", **self.given(talk), **chosen, **(self.thinking if thinking else {})}

    async def ask(self, sdk: Any, talk: Sequence[Any], *, stream: bool = False, **wishes: bool) -> Said:
        """Ask, and take all of the answer."""
        options = self.options(talk, **wishes)
        if not stream:
            raw = await soon(self.resource(sdk).with_raw_response.create(**options))
            return self.said(await soon(raw.parse()), raw.headers)
        async with entered(self.resource(sdk).stream(**options)) as events:
            async for _ in each(events):
                pass
            return self.said(await soon(self.final(events)), self.response(events).headers)

    async def open(self, sdk: Any, prompt: str) -> Any:
        """Begin a stream of events as they come."""
        return await soon(self.resource(sdk).create(**self.options([self.user(prompt)]), stream=True))

    def user(self, text: str, image: str | None = None) -> Any:
        """Return what a user says, with a PNG in base64."""
        return {"role": "user", "content": [self.text(text), self.image(image)] if image else text}

    def response(self, events: Any) -> Any:
        """Return the HTTP response of a stream."""
        return events._response

    @abstractmethod
    def given(self, talk: Sequence[Any]) -> dict[str, Any]: ...
    @abstractmethod
    def resource(self, sdk: Any) -> Any: ...
    @abstractmethod
    def final(self, events: Any) -> Any: ...
    @abstractmethod
    def said(self, answer: Any, headers: Mapping[str, str]) -> Said: ...
    @abstractmethod
    def text(self, text: str) -> Any: ...
    @abstractmethod
    def image(self, data: str) -> Any: ...
    @abstractmethod
    def results(self, calls: Sequence[Call], text: str) -> list[Any]: ...
    @abstractmethod
    async def parsed(self, sdk: Any, prompt: str, shape: Any) -> Any: ...


class Chat(Talker):
    sdk = "openai"
    thinking: ClassVar[Mapping[str, Any]] = {"reasoning_effort": "high"}
    tools = ({"type": "function", "function": FUNCTION},)

    def given(self, talk: Sequence[Any]) -> dict[str, Any]:
        return {"messages": list(talk)}

    def resource(self, sdk: Any) -> Any:
        return sdk.chat.completions

    def final(self, events: Any) -> Any:
        return events.get_final_completion()

    def said(self, answer: Any, headers: Mapping[str, str]) -> Said:
        message = answer.choices[0].message
        calls = [
            Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()
        ]
        usage = answer.usage
        return Said(
            message.content or "",
            getattr(message, "reasoning_content", None) or "",
            calls,
            [message.model_dump(exclude_none=True)],
            headers,
            answer.choices[0].finish_reason,
            (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0),
        )

    def text(self, text: str) -> Any:
        return {"type": "text", "text": text}

    def image(self, data: str) -> Any:
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}

    def results(self, calls: Sequence[Call], text: str) -> list[Any]:
        return [{"role": "tool", "tool_call_id": call.id, "content": text} for call in calls]

    async def parsed(self, sdk: Any, prompt: str, shape: Any) -> Any:
        options = self.options([self.user(prompt)])
        answer = await soon(sdk.chat.completions.parse(**options, response_format=shape))
        return answer.choices[0].message.parsed


class Responses(Talker):
    sdk = "openai"
    thinking: ClassVar[Mapping[str, Any]] = {
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    tools = ({"type": "function", "strict": False, **FUNCTION},)

    def given(self, talk: Sequence[Any]) -> dict[str, Any]:
        return {"input": list(talk)}

    def resource(self, sdk: Any) -> Any:
        return sdk.responses

    def final(self, events: Any) -> Any:
        return events.get_final_response()

    def said(self, answer: Any, headers: Mapping[str, str]) -> Said:
        calls = [
            Call(item.call_id, item.name, json.loads(item.arguments))
            for item in answer.output
            if item.type == "function_call"
        ]
        summaries = [part.text for item in answer.output if item.type == "reasoning" for part in item.summary]
        tokens = (answer.usage.input_tokens, answer.usage.output_tokens)
        return Said(answer.output_text, "".join(summaries), calls, answer.output, headers, answer.status, tokens)

    def text(self, text: str) -> Any:
        return {"type": "input_text", "text": text}

    def image(self, data: str) -> Any:
        return {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}

    def results(self, calls: Sequence[Call], text: str) -> list[Any]:
        return [{"type": "function_call_output", "call_id": call.id, "output": text} for call in calls]

    async def parsed(self, sdk: Any, prompt: str, shape: Any) -> Any:
        answer = await soon(sdk.responses.parse(**self.options([self.user(prompt)]), text_format=shape))
        return answer.output_parsed


class Messages(Talker):
    sdk = "anthropic"
    thinking: ClassVar[Mapping[str, Any]] = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    tools = ({"name": "get_weather", "description": WORDS, "input_schema": SCHEMA},)

    def given(self, talk: Sequence[Any]) -> dict[str, Any]:
        return {"messages": list(talk), "max_tokens": 4000}

    def resource(self, sdk: Any) -> Any:
        return sdk.messages

    def final(self, events: Any) -> Any:
        return events.get_final_message()

    def response(self, events: Any) -> Any:
        return events.response

    def said(self, answer: Any, headers: Mapping[str, str]) -> Said:
        calls = [Call(block.id, block.name, block.input) for block in answer.content if block.type == "tool_use"]
        return Said(
            "".join(block.text for block in answer.content if block.type == "text"),
            "".join(block.thinking for block in answer.content if block.type == "thinking"),
            calls,
            [{"role": "assistant", "content": answer.content}],
            headers,
            answer.stop_reason,
            (answer.usage.input_tokens, answer.usage.output_tokens),
        )

    def text(self, text: str) -> Any:
        return {"type": "text", "text": text}

    def image(self, data: str) -> Any:
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}

    def results(self, calls: Sequence[Call], text: str) -> list[Any]:
        blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call in calls]
        return [{"role": "user", "content": blocks}]

    async def parsed(self, sdk: Any, prompt: str, shape: Any) -> Any:
        answer = await soon(sdk.messages.parse(**self.options([self.user(prompt)]), output_format=shape))
        return answer.parsed_output


TALKERS: Mapping[str, Talker] = {"chat": Chat(), "responses": Responses(), "messages": Messages()}
