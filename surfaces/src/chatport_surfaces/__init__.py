"""Protocols that Chatport speaks to clients: chat completions, Responses, Messages, embeddings and the list of models.

surfaces = chatport_surfaces.AsyncSurfaces(client)
answer = await surfaces.answer(chatport_surfaces.ClientRequest("POST", "/v1/messages", headers, body=body))
"""

from __future__ import annotations

from .dropin import async_http_client as async_http_client, http_client as http_client
from .record import Record as Record
from .sealing import Seal as Seal
from .serving import (
    AsyncCalls as AsyncCalls,
    AsyncGuard as AsyncGuard,
    AsyncStreamedAnswer as AsyncStreamedAnswer,
    AsyncSurfaces as AsyncSurfaces,
)
from .serving_sync import Calls as Calls, Guard as Guard, StreamedAnswer as StreamedAnswer, Surfaces as Surfaces
from .surface import (
    Answer as Answer,
    Asked as Asked,
    ClientRequest as ClientRequest,
    Surface as Surface,
    SurfaceContext as SurfaceContext,
    Writer as Writer,
)

__all__ = [
    "Answer",
    "Asked",
    "AsyncCalls",
    "AsyncGuard",
    "AsyncStreamedAnswer",
    "AsyncSurfaces",
    "Calls",
    "ClientRequest",
    "Guard",
    "Record",
    "Seal",
    "StreamedAnswer",
    "Surface",
    "SurfaceContext",
    "Surfaces",
    "Writer",
    "async_http_client",
    "http_client",
]
