"""Requests about an answer that was given before: to see it, its input, or to have it deleted."""

from __future__ import annotations

from ..surface import Answer, ClientRequest
from .errors import NO_SUCH_RESPONSE, refusal
from .store import MemoryStore

__all__ = ["kept_answer"]

_NO_STORE = "Nothing is kept here: no store is configured. Send the whole conversation with each request."


def kept_answer(request: ClientRequest, store: MemoryStore | None) -> Answer:
    """Return the answer to `GET` and `DELETE` of a response."""
    if store is None:
        return refusal(404, _NO_STORE, NO_SUCH_RESPONSE)
    response_id, _, rest = request.path.removeprefix("/v1/responses/").strip("/").partition("/")
    stored = store.get(response_id)
    if stored is None:
        return refusal(404, f"Response with id {response_id!r} not found.", NO_SUCH_RESPONSE)
    if rest not in ("", "input_items") or (rest and request.method != "GET"):
        return refusal(404, f"{request.method} {request.path} is not there.")
    if request.method == "DELETE":
        store.delete(response_id)
        return Answer.of_json({"id": response_id, "object": "response.deleted", "deleted": True})
    if not rest:
        return Answer.of_json(stored.response)
    ends = {f"{end}_id": None for end in ("first", "last")}
    return Answer.of_json({"object": "list", "data": stored.input, **ends, "has_more": False})
