"""Gemini for Chatport: `gemini` is Google AI Studio, `vertex` is Vertex AI (the Gemini Enterprise Agent Platform).

Both speak one dialect. They are two providers, since they have neither keys nor addresses nor terms in common, and a
thought signature of the one is worth nothing at the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from chatport import ConfigurationError, Dialect, Provider, load_facts

from . import errors, models, request, stream

__all__ = ["provider", "vertex"]

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9:.-]{0,98}[a-z0-9])?")
"""A project's id, the id of an endpoint, or a location: anything else could lead the token to a foreign host."""
_HOST_LABEL = re.compile(r"[a-z0-9-]{1,40}")


def _locate(settings: Mapping[str, Any]) -> str:
    """Return the base URL of a project in a location (GM-B5). Raises ConfigurationError without a project."""
    project = str(settings.get("project") or "")
    location, endpoint = str(settings.get("location") or "global"), str(settings.get("endpoint") or "openapi")
    if not project:
        raise ConfigurationError("vertex: whose project? Set `project`, or GOOGLE_CLOUD_PROJECT.")
    if not (_LABEL.fullmatch(project) and _HOST_LABEL.fullmatch(location) and _LABEL.fullmatch(endpoint)):
        raise ConfigurationError("vertex: project, location and endpoint are ids of small letters, digits and dashes.")
    host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1/projects/{project}/locations/{location}/endpoints/{endpoint}"  # GM-E4


_SETTINGS = {
    "thoughts": "true: summaries of the model's thoughts are asked for, and shown as the reply's reasoning",
    "user_project": "the project that is billed for a call with an OAuth token",
}
_SHARED, _OWN = load_facts("chatport_gemini"), load_facts("chatport_gemini", "vertex.json")

provider = Provider(
    name="gemini",
    title="Gemini",
    base_url="https://generativelanguage.googleapis.com/v1beta/openai",  # GM-B1
    key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),  # GM-B4
    dialect=Dialect(finish_reasons={"function_call_filter": "error"}),  # GM-S8: whatever follows the colon
    facts=_SHARED,
    hooks=(request, stream, errors, models),
    settings=_SETTINGS,
    settings_headers={"user_project": "x-goog-user-project"},  # GM-B2
    emulator="chatport_gemini.emulator:GeminiEmulator",
)

vertex = attrs.evolve(
    provider,
    name="vertex",
    title="Vertex AI",
    base_url="",  # GM-B5: it is in the settings
    key_env=(),  # GM-B6: a token lives for an hour, and no variable is kept fresh
    dialect=attrs.evolve(provider.dialect, models_path=None, embeddings_path=None),  # GM-E4
    facts=attrs.evolve(
        _OWN, models=(*_SHARED.models, *_OWN.models), errors=(*_OWN.errors, *_SHARED.errors), usage=_SHARED.usage
    ),
    settings={
        "project": "the id of the Google Cloud project",
        "location": "where it is processed: global (the default), us, eu, or a region such as europe-west4",
        "endpoint": "the id of an endpoint of your own, for a model that you have deployed",
        **_SETTINGS,
    },
    settings_env={"project": "GOOGLE_CLOUD_PROJECT", "location": "GOOGLE_CLOUD_LOCATION"},  # GM-B7
    locate=_locate,
    emulator="chatport_gemini.emulator:VertexEmulator",
)
