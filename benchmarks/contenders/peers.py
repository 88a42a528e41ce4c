"""The peers, each as its documentation shows, with retries left as they are by default.

Their packages are in environments of their own (`environments.py`), which the project's type checker does not see.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .contract import KEY, MESSAGES, MODEL, OnText

__all__ = ["AnyLLM", "LangChain", "LiteLLM", "OpenAI", "OpenAISync", "PydanticAI"]

_USAGE = {"include_usage": True}


def _piece(chunk: Any) -> str | None:
    """Return what a chunk in the shape of OpenAI's SDK carries."""
    if not chunk.choices:
        return None
    delta = chunk.choices[0].delta
    if delta.tool_calls:
        return delta.tool_calls[0].function.arguments or None
    return delta.content or getattr(delta, "reasoning_content", None) or None


async def _count(chunks: Any, on_text: OnText | None) -> int:
    count = 0
    async for chunk in chunks:
        piece = _piece(chunk)
        if piece:
            count += 1
            if on_text is not None:
                on_text(piece)
    return count


class OpenAI:
    """`openai.AsyncOpenAI`."""

    backend = "asyncio"

    def __init__(self, url: str) -> None:
        openai = import_module("openai")
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY)

    async def stream(self, on_text: OnText | None = None) -> int:
        """Stream a chat completion."""
        create = self._client.chat.completions.create
        chunks = await create(model=MODEL, messages=MESSAGES, stream=True, stream_options=_USAGE)
        return await _count(chunks, on_text)

    async def complete(self) -> str:
        """Create a chat completion."""
        reply = await self._client.chat.completions.create(model=MODEL, messages=MESSAGES)
        return str(reply.choices[0].message.content)

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.close()


class OpenAISync:
    """`openai.OpenAI`."""

    backend = "sync"

    def __init__(self, url: str) -> None:
        openai = import_module("openai")
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY)

    async def stream(self, on_text: OnText | None = None) -> int:
        """Stream a chat completion."""
        count = 0
        create = self._client.chat.completions.create
        for chunk in create(model=MODEL, messages=MESSAGES, stream=True, stream_options=_USAGE):
            piece = _piece(chunk)
            if piece:
                count += 1
                if on_text is not None:
                    on_text(piece)
        return count

    async def complete(self) -> str:
        """Create a chat completion."""
        reply = self._client.chat.completions.create(model=MODEL, messages=MESSAGES)
        return str(reply.choices[0].message.content)

    async def aclose(self) -> None:
        """Close the client."""
        self._client.close()


class LiteLLM:
    """`litellm.acompletion`."""

    backend = "asyncio"

    def __init__(self, url: str) -> None:
        self._complete = import_module("litellm").acompletion
        self._options = {"model": f"openai/{MODEL}", "api_base": f"{url}/v1", "api_key": KEY, "messages": MESSAGES}

    async def stream(self, on_text: OnText | None = None) -> int:
        """Stream a completion."""
        chunks = await self._complete(**self._options, stream=True, stream_options=_USAGE)
        return await _count(chunks, on_text)

    async def complete(self) -> str:
        """Await a completion."""
        return str((await self._complete(**self._options)).choices[0].message.content)

    async def aclose(self) -> None:
        """Do nothing: litellm keeps its clients in a cache of its own."""


class AnyLLM:
    """`any_llm.AnyLLM.create`, its client that is kept."""

    backend = "asyncio"

    def __init__(self, url: str) -> None:
        self._client = import_module("any_llm").AnyLLM.create("openai", api_key=KEY, api_base=f"{url}/v1")

    async def stream(self, on_text: OnText | None = None) -> int:
        """Stream a completion."""
        chunks = await self._client.acompletion(model=MODEL, messages=MESSAGES, stream=True, stream_options=_USAGE)
        return await _count(chunks, on_text)

    async def complete(self) -> str:
        """Await a completion."""
        reply = await self._client.acompletion(model=MODEL, messages=MESSAGES)
        return str(reply.choices[0].message.content)

    async def aclose(self) -> None:
        """Do nothing: the client has no method for it."""


class LangChain:
    """`langchain_openai.ChatOpenAI`."""

    backend = "asyncio"

    def __init__(self, url: str) -> None:
        chat = import_module("langchain_openai").ChatOpenAI
        self._model = chat(model=MODEL, base_url=f"{url}/v1", api_key=KEY, stream_usage=True)
        self._messages = [("system", MESSAGES[0]["content"]), ("human", MESSAGES[1]["content"])]

    async def stream(self, on_text: OnText | None = None) -> int:
        """Stream message chunks. Reasoning in `reasoning_content` is dropped by this library."""
        count = 0
        async for chunk in self._model.astream(self._messages):
            calls = chunk.tool_call_chunks
            piece = calls[0]["args"] if calls else chunk.content
            if piece:
                count += 1
                if on_text is not None:
                    on_text(piece)
        return count

    async def complete(self) -> str:
        """Invoke the model."""
        return str((await self._model.ainvoke(self._messages)).content)

    async def aclose(self) -> None:
        """Do nothing: the model has no method for it."""


class PydanticAI:
    """`pydantic_ai.direct`: the model without an agent around it."""

    backend = "asyncio"

    def __init__(self, url: str) -> None:
        provider = import_module("pydantic_ai.providers.openai").OpenAIProvider(base_url=f"{url}/v1", api_key=KEY)
        self._model = import_module("pydantic_ai.models.openai").OpenAIChatModel(MODEL, provider=provider)
        self._direct = import_module("pydantic_ai.direct")
        kinds = import_module("pydantic_ai.messages")
        parts = [kinds.SystemPromptPart(MESSAGES[0]["content"]), kinds.UserPromptPart(MESSAGES[1]["content"])]
        self._messages = [kinds.ModelRequest(parts=parts)]

    async def stream(self, on_text: OnText | None = None) -> int:
        """Count the events that start a part with something in it, or add to one."""
        count = 0
        async with self._direct.model_request_stream(self._model, self._messages) as events:
            async for event in events:
                piece = _part_piece(event)
                if piece:
                    count += 1
                    if on_text is not None:
                        on_text(piece)
        return count

    async def complete(self) -> str:
        """Request an answer."""
        return str((await self._direct.model_request(self._model, self._messages)).parts[0].content)

    async def aclose(self) -> None:
        """Do nothing: the model has no method for it."""


def _part_piece(event: Any) -> str | None:
    if event.event_kind == "part_start":
        return getattr(event.part, "content", None) or getattr(event.part, "args", None)
    if event.event_kind == "part_delta":
        return getattr(event.delta, "content_delta", None) or getattr(event.delta, "args_delta", None)
    return None
