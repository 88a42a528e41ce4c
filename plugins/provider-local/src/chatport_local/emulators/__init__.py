"""The servers' twins, one module for each, on a base that knows what local servers have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from chatport.helpers import jsoncodec
from chatport.testing import (
    EmulatedRequest,
    EmulatedResponse,
    Refusal,
    VendorEmulator,
    functions_of,
    list_of,
    parts_of,
    table_of,
    text_of,
)

__all__ = ["ANY_OBJECTS", "LocalEmulator", "calls_are_json", "has_image", "last_answer", "odd_type"]

ANY_OBJECTS: Mapping[str, Any] = {"type": "array", "items": {"type": "object"}}
"""The shape of tools, where a server hands them to the model's template as they are."""
_TYPES = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))
_SEES = re.compile(r"vlm?\b|vision|llava|pixtral|gemma-?[34]|minicpm-v|omni|moondream|llama-?4", re.IGNORECASE)


class LocalEmulator(VendorEmulator):
    """A server on this machine: no key unless it was started with one, and pages that tell which server it is."""

    needs_key = False
    model_form = None
    server = "uvicorn"
    """Its `Server` header."""
    pages: Mapping[str, Any] = {}
    """What it answers to a GET beside the model list: JSON, or text. They need no key."""
    any_model = False
    """Whether it answers to every model name with the model it has."""

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        page = self.pages.get(request.path) if request.method == "GET" else None
        if page is None:
            return super()._respond(request)
        if isinstance(page, str):
            return EmulatedResponse(200, self.headers("text/plain; charset=utf-8"), [page.encode()])
        return self.reply(200, page)

    def headers(self, content_type: str) -> dict[str, str]:
        return {"content-type": content_type, "server": self.server}

    def check(self, body: Mapping[str, Any]) -> None:
        super().check({**body, "model": self.models[0]} if self.any_model or not body.get("model") else body)

    def is_json(self, request: EmulatedRequest) -> bool:
        """Whether the request says that its body is JSON; one that says nothing means it."""
        return request.headers.get("content-type", "application/json").startswith("application/json")

    def sees(self, body: Mapping[str, Any]) -> bool:
        """Whether the model takes pictures: its name tells."""
        return bool(_SEES.search(str(body.get("model") or self.models[0])))

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
    """Whether a message carries an image, or, if `linked`, one that is no data URL. The address may stand by itself."""
    parts = [part for message in list_of(body.get("messages")) for part in parts_of(message)]
    images = [part.get("image_url") for part in parts if part.get("type") == "image_url"]
    urls = [str(table_of(image).get("url", "") if isinstance(image, Mapping) else image) for image in images]
    return any(not linked or not url.startswith("data:") for url in urls)


def last_answer(body: Mapping[str, Any]) -> str:
    """Return the text of an assistant message at the end, from which a server may go on; "" without one."""
    last = body["messages"][-1]
    return text_of(last.get("content")) if last.get("role") == "assistant" else ""


def calls_are_json(body: Mapping[str, Any]) -> bool:
    """Whether the arguments of all past calls can be read."""
    for message in list_of(body.get("messages")):
        for call in list_of(message.get("tool_calls")):
            arguments = table_of(call.get("function")).get("arguments")
            try:
                jsoncodec.decode_text(arguments if isinstance(arguments, str) else "{}")
            except ValueError:
                return False
    return True


def odd_type(body: Mapping[str, Any]) -> str | None:
    """Return a type that JSON Schema does not have, from a schema for the answer or for a tool; None without one."""
    wanted = table_of(table_of(body.get("response_format")).get("json_schema")).get("schema")
    schemas = [wanted, *(function.get("parameters") for function in functions_of(body))]
    return next((kind for schema in schemas for kind in _types(schema) if kind not in _TYPES), None)


def _types(schema: Any) -> Iterator[str]:
    """Give the types of a schema and of what is certain to be one inside it."""
    if not isinstance(schema, Mapping):
        return
    kind = schema.get("type")
    yield from (str(one) for one in (kind if isinstance(kind, list) else [kind]) if one is not None)
    for part in (*table_of(schema.get("properties")).values(), schema.get("items"), *list_of(schema.get("anyOf"))):
        yield from _types(part)
