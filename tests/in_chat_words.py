"""A request of the Responses protocol as chat would have it, read by the plainest means (RS-I1 to RS-I6, RS-T1, RS-F1).

So that what is said of the one protocol's requests can be looked at in the other's, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["in_chat_words"]

_PARTS = {"input_text": "text", "output_text": "text", "refusal": "refusal"}
_OWN = ("input", "tools", "tool_choice", "text", "reasoning", "max_output_tokens", "store", "include")


def in_chat_words(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a chat request that asks for the same; one that is of chat already, as it is."""
    if "input" not in body:
        return dict(body)
    found = {name: value for name, value in body.items() if name not in _OWN}
    found["messages"] = list(_messages(body["input"]))
    if "tools" in body:
        found["tools"] = [_tool(tool) for tool in body["tools"]]
    if "tool_choice" in body:
        found["tool_choice"] = _choice(body["tool_choice"])
    wanted = (body.get("text") or {}).get("format")
    if wanted is not None:
        spec = {name: value for name, value in wanted.items() if name != "type"}
        found["response_format"] = {"type": wanted["type"], **({"json_schema": spec} if spec else {})}
    if (body.get("reasoning") or {}).get("effort"):
        found["reasoning_effort"] = body["reasoning"]["effort"]
    if "max_output_tokens" in body:
        found["max_tokens"] = body["max_output_tokens"]
    return found


def _messages(items: Any) -> Iterator[dict[str, Any]]:
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            yield {"role": "assistant", "tool_calls": [call]}
        elif kind == "function_call_output":
            yield {"role": "tool", "tool_call_id": item["call_id"], "content": _content(item["output"])}
        elif kind == "message":
            yield {"role": item["role"], "content": _content(item["content"])}
        else:
            yield {"role": "assistant", "content": [dict(item)]}


def _content(content: Any) -> Any:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind in _PARTS:
        return {**part, "type": _PARTS[kind]}
    if kind == "input_image":
        inner = {"detail": part["detail"]} if "detail" in part else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **inner}}
    if kind == "input_file":
        return {"type": "file", "file": {name: value for name, value in part.items() if name != "type"}}
    return dict(part)


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return dict(tool)
    told = {name: value for name, value in tool.items() if name != "type" and (name, value) != ("strict", False)}
    return {"type": "function", "function": told}


def _choice(choice: Any) -> Any:
    is_named = isinstance(choice, Mapping) and "name" in choice
    return {"type": "function", "function": {"name": choice["name"]}} if is_named else choice
