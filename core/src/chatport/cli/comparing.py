"""One message to several targets at once, and what each made of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import attrs

from ..basics.values import Value
from ..client.aio import AsyncClient
from ..client.streamed import AsyncReplyStream
from ..errors import ChatportError, ConfigurationError, PluginError
from ..events import ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from ..types import Message, Reply

__all__ = ["Compared", "compare"]

_CONTENT = (TextDelta, ReasoningDelta, ToolCallDelta, RefusalDelta)


@attrs.frozen(eq=False, repr=False)
class Compared(Value):
    """What became of the message at one target. `model` is as it was asked for.

    `seconds` until the end, `first_seconds` until the first piece of content, reasoning included; None if none came.
    `reply` is what had come until then, where there is an `error`.
    """

    model: str
    reply: Reply
    seconds: float
    first_seconds: float | None = None
    pieces: int = 0
    error: ChatportError | None = None

    @property
    def target(self) -> str:
        """Who answered, "provider:model"; what was asked for where nobody did."""
        return f"{self.reply.provider}:{self.reply.model}" if self.reply.provider else self.model

    @property
    def tokens_per_second(self) -> float | None:
        """How fast it was written once it had begun, None where an answer of one piece does not tell.

        Thoughts that were counted and not shown were thought before that.
        """
        usage = self.reply.usage
        unseen = 0 if self.reply.reasoning else usage.reasoning_tokens or 0
        tokens = None if usage.output_tokens is None else max(usage.output_tokens - unseen, 0)
        if tokens is None or self.first_seconds is None or self.pieces < 2 or self.seconds <= self.first_seconds:
            return None
        return tokens / (self.seconds - self.first_seconds)


def compare(
    models: Sequence[str], messages: Sequence[Message], config: Path | None, options: Mapping[str, Any]
) -> list[Compared]:
    """Ask all at once, and return what came of it in the order of the models.

    Raises ConfigurationError or PluginError, with nothing sent, if one of them cannot be asked at all.
    """

    async def main() -> list[Compared]:
        found: dict[int, Compared] = {}
        async with AsyncClient(config) as client:
            begun = [_begun(client, model, messages, options) for model in models]

            async def run(place: int, stream: AsyncReplyStream | ChatportError) -> None:
                found[place] = await _run(models[place], stream)

            async with anyio.create_task_group() as group:
                for place, stream in enumerate(begun):
                    group.start_soon(run, place, stream)
        return [found[place] for place in range(len(models))]

    return anyio.run(main)


def _begun(
    client: AsyncClient, model: str, messages: Sequence[Message], options: Mapping[str, Any]
) -> AsyncReplyStream | ChatportError:
    """Return a call that is not sent yet, or why this target cannot take it while others may."""
    try:
        return client.stream(list(messages), model=model, **options)
    except (ConfigurationError, PluginError):
        raise
    except ChatportError as error:
        return error


async def _run(model: str, stream: AsyncReplyStream | ChatportError) -> Compared:
    if isinstance(stream, ChatportError):
        return Compared(model, Reply(), 0.0, error=stream)
    began = time.monotonic()
    first: float | None = None
    pieces = 0
    error: ChatportError | None = None
    try:
        async with stream:
            async for event in stream:
                if isinstance(event, _CONTENT):
                    pieces += 1
                    first = time.monotonic() - began if first is None else first
    except ChatportError as problem:
        error = problem
    return Compared(model, stream.partial, time.monotonic() - began, first, pieces, error)
