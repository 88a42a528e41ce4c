"""The list of models, in a shape that serves clients of every protocol: aliases, and the targets they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatport import ChatportError, ModelInfo, ModelNotFoundError

from .chat.errors import error_answer
from .surface import Answer, Asked, ClientRequest, Surface, SurfaceContext

__all__ = ["ModelsSurface", "surface"]


class ModelsSurface(Surface):
    """`GET /v1/models` and `GET /v1/models/NAME`."""

    name = "models"
    routes = (("GET", "/v1/models"), ("GET", "/v1/models/*"))

    def read(self, request: ClientRequest, context: SurfaceContext) -> Asked:
        """Return what is asked for: all of them, or the one that the path names."""
        named = request.path.removeprefix("/v1/models").strip("/")
        if named and not context.providers(named):
            raise ModelNotFoundError(f"There is no model {named!r} here.")
        return Asked("models", model=named)

    def listed(self, models: Sequence[ModelInfo], asked: Asked, context: SurfaceContext) -> Answer:
        """Return the list, or the one model. Both families of clients find their fields in it."""
        created = context.unix_seconds()
        if asked.model:
            return Answer.of_json(_entry(asked.model, created))
        data = [_entry(model.id, created) for model in models]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
        return Answer.of_json({"object": "list", "data": data, "has_more": False, **ends})

    def error(self, error: ChatportError, context: SurfaceContext) -> Answer:
        """Return an error in the shape of chat completions."""
        return error_answer(error)


def _entry(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "type": "model", "display_name": name, "created": created,
            "created_at": "1970-01-01T00:00:00Z", "owned_by": "chatport"}  # fmt: skip


surface = ModelsSurface()
