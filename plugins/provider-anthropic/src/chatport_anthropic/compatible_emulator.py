"""The OpenAI-compatible endpoint in miniature: requests made native, with all that is ignored left out (AN-C2, AN-C3).

The models behind it are the same. So the native emulator refuses what they refuse, and decides what is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatport.helpers import jsoncodec
from chatport.testing import (
    EmulatedRequest,
    Refusal,
    Script,
    VendorEmulator,
    chosen_name,
    functions_of,
    parts_of,
    table_of,
    text_of,
)

from .emulator_shapes import SHAPES

__all__ = ["CompatibleEndpoint"]

_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)
_DEFAULT_MAX_TOKENS = 60_000


class CompatibleEndpoint(VendorEmulator):
    """One answer of the endpoint, on behalf of the native emulator, whose settings hold."""

    shapes: Mapping[str, Any] = {**VendorEmulator.shapes, "thinking": SHAPES["thinking"]}

    def __init__(self, vendor: VendorEmulator) -> None:
        super().__init__()
        self.vendor = vendor
        self.serial = vendor.serial
        self.piece_words = vendor.piece_words

    # --- refusals

    def check_key(self, request: EmulatedRequest) -> None:
        """Take the key as a bearer only (AN-A2)."""
        sent = request.headers.get("authorization", "")
        wrong = self.vendor.api_key is not None and sent != f"Bearer {self.vendor.api_key}"
        if (self.vendor.needs_key and not sent.startswith("Bearer ")) or wrong:
            raise self.translated(self.vendor.refuse(401, "invalid x-api-key"))

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error in OpenAI's shape, with the vendor's words (AN-C7)."""
        kind = details.get("type") or "invalid_request_error"
        return {"error": {"code": None, "message": message, "type": kind, "param": None}}

    def translated(self, native: Refusal) -> Refusal:
        """Return a refusal of the native protocol in this one's shape."""
        error = native.body["error"]
        body = self.error_body(native.status, error["message"], type=error["type"])
        return Refusal(native.status, body, native.headers)

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        """Return the answer to another method than POST."""
        return self.translated(self.vendor.refuse(405, "Method Not Allowed"))

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse several answers (AN-C1), and what the models refuse."""
        try:
            if body.get("n", 1) != 1:
                raise self.vendor.refuse(400, "n: must be 1")
            self.vendor.check(_native(body))
        except ValueError:
            raise self.refuse(400, "messages: the arguments of a tool call must be a JSON object") from None
        except Refusal as refusal:
            raise self.translated(refusal) from None

    # --- what is said

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says; its thoughts are counted, and not shown (AN-C4)."""
        return self.vendor.script(_native(body))

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the deltas. A call's index is that of its content block: after a text the first one is 1 (AN-C9)."""
        blocks = 1 if script.text else 0
        for delta in super().deltas(body, script):
            calls = [{**call, "index": call["index"] + blocks} for call in delta.get("tool_calls", ())]
            yield {**delta, "tool_calls": calls} if calls else delta

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """Return a chunk, which has no time (AN-C9)."""
        return super().chunk(body, choices, created=0, **more)

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the counts, whose details are always empty (AN-C6)."""
        empty: dict[str, Any] = {"prompt_tokens_details": {}, "completion_tokens_details": {}}
        return {**super().usage(body, script), **empty}

    def headers(self, content_type: str) -> dict[str, str]:
        """Return OpenAI's headers (AN-C8); the limits' names lack a word, as recorded."""
        numbers = {f"x-ratelimit-{kind}": "4000" for kind in ("requests", "tokens")}
        numbers |= {f"x-ratelimit-remaining-{kind}": "3999" for kind in ("requests", "tokens")}
        numbers |= {f"x-ratelimit-reset-{kind}": "30s" for kind in ("requests", "tokens")}
        request_id = {"request-id": self.vendor.headers("")["request-id"], "openai-version": "2020-10-01"}
        return {"content-type": content_type, **request_id, **numbers}

    def reply_id(self) -> str:
        """Return a native id (AN-C9)."""
        return f"msg_emulated{self.serial:08d}"

    def call_id(self, number: int) -> str:
        """Return a native id."""
        return f"toolu_{self.serial:04d}_{number}"


# --- the request, made native


def _native(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request in the native protocol. Whatever is not named here is ignored (AN-C2).

    Raises ValueError for arguments of a call that are no JSON object.
    """
    given = body.get("messages")
    messages = given if isinstance(given, list) else []
    stop = body.get("stop") or []
    stops = [text for text in ([stop] if isinstance(stop, str) else stop) if text.strip()]
    native = {
        "model": body.get("model"),
        "system": "\n".join(_text(message) for message in messages if _is_system(message)),  # AN-C5
        "messages": _turns([message for message in messages if not _is_system(message)]),
        "max_tokens": body.get("max_tokens") or body.get("max_completion_tokens") or _DEFAULT_MAX_TOKENS,
        "temperature": None if body.get("temperature") is None else min(body["temperature"], 1),  # AN-C1
        "top_p": body.get("top_p"),
        "stop_sequences": stops,
        "tools": [_tool(function) for function in functions_of(body)],
        "tool_choice": _choice(body),
        "thinking": body.get("thinking"),  # AN-C4
    }
    return {name: value for name, value in native.items() if value or name == "messages"}


def _is_system(message: Mapping[str, Any]) -> bool:
    return message.get("role") in ("system", "developer")


def _text(message: Mapping[str, Any]) -> str:
    return text_of(message.get("content"))


def _turns(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        if not turns or turns[-1]["role"] != role:
            turns.append({"role": role, "content": []})
        turns[-1]["content"] += _blocks(message)
    return turns


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return content blocks; sounds and files are ignored in silence (AN-C3)."""
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) and content else parts_of(message)
    if message["role"] == "tool":
        return [{"type": "tool_result", "tool_use_id": str(message.get("tool_call_id")), "content": parts}]
    blocks = [_block(part) for part in parts if part["type"] in ("text", "image_url")]
    return blocks + [_use(call) for call in message.get("tool_calls") or ()]


def _use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = table_of(call.get("function"))
    arguments = function.get("arguments") or "{}"
    given = jsoncodec.decode_text(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(given, dict):
        raise ValueError("the arguments are no object")
    return {"type": "tool_use", "id": str(call.get("id")), "name": str(function.get("name")), "input": given}


def _block(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    url = str(table_of(part.get("image_url")).get("url"))
    found = _DATA_URL.fullmatch(url)
    source = {"type": "base64", "media_type": found[1], "data": found[2]} if found else {"type": "url", "url": url}
    return {"type": "image", "source": source}


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool; `strict` is ignored (AN-C2)."""
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function["name"], "description": function.get("description") or "", "input_schema": schema}


def _choice(body: Mapping[str, Any]) -> dict[str, Any] | None:
    choice, name = body.get("tool_choice"), chosen_name(body)
    if name is not None:
        return {"type": "tool", "name": name}
    return {"auto": {"type": "auto"}, "required": {"type": "any"}, "none": {"type": "none"}}.get(str(choice))
