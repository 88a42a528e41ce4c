"""The conversation of a request: system texts, turns of blocks and results of tools, as messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatport import BadRequestError, Message, Part, TextPart

from ..sealing import Seal
from .answers import read_answer
from .parts import read_blocks, read_part, read_parts
from .shape import objects, text, without

__all__ = ["read_turns"]


def read_turns(body: Mapping[str, Any], seal: Seal) -> list[Message]:
    """Return the conversation. Raises BadRequestError that names the place of what cannot be meant."""
    messages: list[Message] = []
    if body.get("system"):  # AN-R3
        messages.append(Message("system", read_parts(body["system"], "system")))
    turns = objects(body.get("messages"), "messages")
    if not turns:
        raise BadRequestError("messages: at least one message is required")
    for number, turn in enumerate(turns):
        messages += _turn(turn, f"messages.{number}", seal)
    return messages


def _turn(turn: Mapping[str, Any], where: str, seal: Seal) -> list[Message]:
    role, content, place = turn.get("role"), turn.get("content"), f"{where}.content"
    match role:
        case "user":
            return list(_user(read_blocks(content, place), place))
        case "assistant":
            return read_answer(read_blocks(content, place), place, seal)
        case "system":  # AN-R13
            return [Message("system", read_parts(content, place))]
    raise BadRequestError(f"{where}.role: Input should be 'user', 'assistant' or 'system'")


def _user(blocks: list[Mapping[str, Any]], where: str) -> Iterator[Message]:
    """Give a user's turn: each result of a tool is a message of its own (AN-T9), what stands between them another."""
    parts: list[Part] = []
    told = False
    for number, block in enumerate(blocks):
        place = f"{where}.{number}"
        if block.get("type") != "tool_result":
            part = read_part(block, place)
            parts += [part] if part != TextPart("") else []
            continue
        if parts:
            yield Message("user", tuple(parts))
            parts = []
        told = True
        yield _result(block, place)
    if parts or not told:
        yield Message("user", tuple(parts))


def _result(block: Mapping[str, Any], where: str) -> Message:
    """Return the result of a call. That it is no error says nothing, and is not carried on."""
    content = block.get("content")
    parts = () if content is None else read_parts(content, f"{where}.content")
    extra = without(block, "type", "tool_use_id", "content", *(() if block.get("is_error") else ("is_error",)))
    call_id = text(block.get("tool_use_id"), f"{where}.tool_use_id")
    return Message("tool", parts, tool_call_id=call_id, extra=extra)
