"""The body of a client's request: a JSON object, or a clear word on what it is instead."""

from __future__ import annotations

from typing import Any

from chatport import BadRequestError
from chatport.helpers import jsoncodec

from .surface import ClientRequest

__all__ = ["model_of", "object_of"]


def object_of(request: ClientRequest) -> dict[str, Any]:
    """Return the JSON object of a request's body. Raises BadRequestError for anything else."""
    try:
        value = jsoncodec.decode(request.body)
    except ValueError as error:
        raise BadRequestError(f"The body of the request is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise BadRequestError("The body of the request is a JSON object.")
    return value


def model_of(body: dict[str, Any]) -> str:
    """Return the name of the model, an empty one if there is none. Raises BadRequestError if it is no text."""
    model = body.get("model")
    if not isinstance(model, str | None):
        raise BadRequestError("model is a text: an alias, or provider:model.")
    return model or ""
