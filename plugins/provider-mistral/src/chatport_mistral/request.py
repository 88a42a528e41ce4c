"""`shape_request` for Mistral: what its facts cannot say, of documents, thoughts and answers that are begun."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from chatport import WireRequest, hookimpl

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request() -> Generator[None, WireRequest, WireRequest]:
    wire = _own_thoughts(_unnamed((yield)))
    return _begun(wire.set("messages", [_message(message) for message in wire.body["messages"]]))


def _unnamed(wire: WireRequest) -> WireRequest:
    """Leave out names, but those of tool results: recorded there, and a key too many anywhere else (MI-P1)."""
    messages = wire.body["messages"]
    if not any("name" in message and message["role"] != "tool" for message in messages):
        return wire
    sent = [{k: v for k, v in m.items() if k != "name" or m["role"] == "tool"} for m in messages]
    return wire.set("messages", sent).note("dropped", "messages.name", "only a tool's result has a name", "MI-P1")


def _own_thoughts(wire: WireRequest) -> WireRequest:
    """Leave out thoughts in another vendor's form, which have a text where Mistral has a list (MI-R3, MI-I2)."""
    sent = []
    for message in wire.body["messages"]:
        content = message.get("content")
        kept = [p for p in content if not isinstance(p.get("thinking"), str)] if isinstance(content, list) else content
        sent.append(message if kept == content else {**message, "content": kept or "(empty)"})
    if sent == wire.body["messages"]:
        return wire
    return wire.set("messages", sent).note("dropped", "messages.content", "thoughts in another vendor's form", "MI-I2")


def _message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        message = {**message, "content": [_part(part) for part in content]}
    return _with_thoughts(message) if "reasoning" in message or "signatures" in message else message


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Send a file as Mistral has it: a document with its address or bytes, or the id of an upload (MI-M3)."""
    file = part.get("file") if part.get("type") == "file" else None
    if not isinstance(file, Mapping):
        return part
    if "file_id" in file:
        return {"type": "file", "file_id": file["file_id"]}
    named = {"document_name": file["filename"]} if file.get("filename") else {}
    return {"type": "document_url", "document_url": file.get("file_data") or file.get("file_url"), **named}


def _with_thoughts(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put earlier reasoning back where it came from: into parts before the text (MI-R3, MI-R4)."""
    own = {key: value for key, value in message.items() if key not in ("reasoning", "signatures")}
    thoughts = list(_thoughts(str(message.get("reasoning") or ""), message.get("signatures")))
    content = own.get("content")
    text = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
    return {**own, "content": [*thoughts, *text]} if thoughts else own


def _thoughts(reasoning: str, signatures: Any) -> Iterator[dict[str, Any]]:
    """Give the blocks of a reasoning, each with its signature where it has one; see `stream` for the marks."""
    start = 0
    for mark in signatures if isinstance(signatures, list | tuple) else ():
        match mark:
            case [int(end), str(signature)]:
                yield {**_thought(reasoning[start:end]), "signature": signature}
                start = end
    if reasoning[start:]:
        yield _thought(reasoning[start:])


def _thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _begun(wire: WireRequest) -> WireRequest:
    """Say that an answer which is the last message is to be gone on from: without the mark it is refused (MI-T6)."""
    *before, last = wire.body["messages"]
    if last["role"] != "assistant" or last.get("tool_calls") or last.get("prefix"):
        return wire
    wire = wire.set("messages", [*before, {**last, "prefix": True}])
    return wire.note("added", "messages.prefix", "the last message is the beginning of the answer", "MI-T6")
