"""The servers' twins, one module for each, on a base that knows what local servers have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chatport.testing import EmulatedRequest, EmulatedResponse, Refusal, VendorEmulator

__all__ = ["LocalEmulator", "calls_are_json", "has_image", "last_answer"]


class LocalEmulator(VendorEmulator):
    """A server on this machine: no key unless it was started with one, and pages that tell which server it is."""

    needs_key = False
    server = "uvicorn"
    """Its `Server` header."""
    pages: Mapping[str, Any] = {}
    """What it answers to a GET beside the model list: JSON, or text. They need no key."""
    any_model = False
    """Whether it answers to every model name with the model it has."""

    def respond(self, request: EmulatedRequest) -> EmulatedResponse:
        page = self.pages.get(request.path) if request.method == "GET" else None
        if page is None:
            return super().respond(request)
        self.requests.append(request)
        if isinstance(page, str):
            return EmulatedResponse(200, self.headers("text/plain; charset=utf-8"), [page.encode()])
        return self.reply(200, page)

    def headers(self, content_type: str) -> dict[str, str]:
        return {"content-type": content_type, "server": self.server}

    def check(self, body: Mapping[str, Any]) -> None:
        super().check({**body, "model": self.models[0]} if self.any_model or not body.get("model") else body)

    def completion(self, body: Mapping[str, Any], script: Any) -> dict[str, Any]:
        return super().completion({**body, "model": self.answers_as(body)}, script)

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        return super().chunk({**body, "model": self.answers_as(body)}, choices, **more)

    def answers_as(self, body: Mapping[str, Any]) -> str:
        """Return the model's name in replies."""
        return self.models[0] if self.any_model else str(body.get("model") or self.models[0])

    def text_error(self, status: int, text: str) -> Refusal:
        """Return an error whose body is no JSON, to be raised; `reply` writes it as it is."""
        return Refusal(status, _Text(text), {"content-type": "text/plain; charset=utf-8"})

    def reply(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> EmulatedResponse:
        response = super().reply(status, body, headers)
        if isinstance(body, _Text):
            return EmulatedResponse(response.status, response.headers, [body.encode()])
        return response


class _Text(str):
    """A body that is plain text."""


def has_image(body: Mapping[str, Any], *, linked: bool = False) -> bool:
    """Whether a message carries an image, or, if `linked`, one that is no data URL."""
    contents = [message.get("content") for message in body["messages"]]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    urls = [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]
    return any(not linked or not url.startswith("data:") for url in urls)


def last_answer(body: Mapping[str, Any]) -> str:
    """Return the text of an assistant message at the end, from which a server may go on; "" without one."""
    last = body["messages"][-1]
    return str(last.get("content") or "") if last.get("role") == "assistant" else ""


def calls_are_json(body: Mapping[str, Any]) -> bool:
    """Whether the arguments of all past calls can be read."""
    try:
        for message in body["messages"]:
            for call in message.get("tool_calls") or ():
                json.loads(call["function"]["arguments"])
    except ValueError:
        return False
    return True
