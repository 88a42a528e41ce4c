"""Embeddings, spoken to clients: `POST /v1/embeddings`."""

from __future__ import annotations

import base64
from array import array
from typing import Any

from chatport import BadRequestError, ChatportError

from .bodies import model_of, object_of
from .chat.errors import error_answer
from .surface import Answer, Asked, ClientRequest, Surface, SurfaceContext

__all__ = ["EmbeddingsSurface", "surface"]

_READ = ("model", "input", "dimensions", "encoding_format")
_FORMATS = ("float", "base64")


class EmbeddingsSurface(Surface):
    """Vectors as lists of numbers, or as base64 of 32-bit floats, which the official SDKs ask for."""

    name = "embeddings"
    routes = (("POST", "/v1/embeddings"), ("POST", "/embeddings"))

    def read(self, request: ClientRequest, context: SurfaceContext) -> Asked:
        """Return the texts to embed. Raises BadRequestError for tokens in their place: only their model knows them."""
        body = object_of(request)
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise BadRequestError("input is a text or a list of texts.")
        if body.get("encoding_format") not in (None, *_FORMATS):
            raise BadRequestError(f"encoding_format is one of {', '.join(_FORMATS)}.")
        extra = {name: value for name, value in body.items() if name not in _READ and value is not None}
        options: dict[str, Any] = {"dimensions": body.get("dimensions"), **({"extra": extra} if extra else {})}
        return Asked("embed", model_of(body), texts, options, body=body)

    def embedded(self, vectors: Any, asked: Asked, context: SurfaceContext) -> Answer:
        """Return the vectors in the form that was asked for."""
        as_text = asked.body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _base64(vector) if as_text else vector}
            for index, vector in enumerate(vectors.vectors)
        ]
        tokens = vectors.usage.input_tokens or 0
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return Answer.of_json({"object": "list", "data": data, "model": asked.model, "usage": usage})

    def error(self, error: ChatportError, context: SurfaceContext) -> Answer:
        """Return an error in the shape of chat completions."""
        return error_answer(error)


def _base64(vector: tuple[float, ...]) -> str:
    floats = array("f", vector)
    if array("H", [1]).tobytes() != b"\1\0":  # the wire is little-endian
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()


surface = EmbeddingsSurface()
