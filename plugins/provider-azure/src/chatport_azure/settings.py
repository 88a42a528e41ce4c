"""The forms that settings give the provider: where the resource is, by which address it is asked, how its key goes.

There are two addresses. The v1 form needs no version (AZ-B1); the older one has the deployment in its path and needs a
dated `api-version` (AZ-B2). A v1 path with a dated version is nowhere, nor is the older one without (AZ-I3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import attrs

from chatport import Auth, ConfigurationError, Provider
from chatport_responses import responses_protocol

from . import errors, models

__all__ = ["adapt", "locate"]

_RESOURCE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_DATED = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](?:-preview)?")
_UNDATED = ("", "v1", "preview", "latest")
_ENDPOINT = re.compile(r"/(?:chat/completions|responses|embeddings)$")
_FIRST_WITH_RESPONSES = "2025-03-01-preview"  # AZ-B3
_AZURE = (".azure.com", ".azure.us", ".azure.cn")  # AZ-B11


def locate(settings: Mapping[str, Any]) -> str | None:
    """Return the base URL of the resource (AZ-B10), None where no setting names one. Raises ConfigurationError."""
    return (_place(settings) or (None,))[0]


def adapt(provider: Provider, settings: Mapping[str, Any]) -> Provider:
    """Return the provider as its settings have it. Raises ConfigurationError for what they cannot mean."""
    models.check_deployments(settings)
    auth, keys = settings.get("auth"), provider.key_env
    known = {None: keys, "key": keys[1:], "entra": keys[:1]}  # AZ-B7, AZ-B8
    if auth not in known:
        raise ConfigurationError(f'azure: auth is "key" or "entra", not {auth!r}.')
    provider = attrs.evolve(provider, key_env=known[auth], auth=Auth() if auth == "entra" else provider.auth)
    _, version, has_deployments = _place(settings) or ("", "", False)
    if not version and not has_deployments:
        return provider
    own = f"?api-version={quote(version)}" if version else ""
    below = "/deployments/{model}" if has_deployments else ""
    dialect = attrs.evolve(
        provider.dialect,
        chat_path=f"{below}/chat/completions{own}",
        embeddings_path=f"{below}/embeddings{own}",  # AZ-B3
        models_path=f"/models{own}",
    )
    newer = own and f"?api-version={quote(max(version, _FIRST_WITH_RESPONSES))}"
    responses = responses_protocol(hooks=(models, errors), native=True, path=f"/responses{newer}")
    return attrs.evolve(provider, dialect=dialect, protocols=(responses,))


def _place(settings: Mapping[str, Any]) -> tuple[str, str, bool] | None:
    """Return base URL, version ("" for none), and whether deployments are in the path; None where nothing says it.

    The address may be the bare resource, with /openai or /openai/v1, or that of one deployment (AZ-B10).
    """
    given = settings.get("base_url") or settings.get("endpoint") or _of_resource(str(settings.get("resource") or ""))
    if not given:
        return None
    try:
        parts = urlsplit(str(given))
    except ValueError:  # what it is may hold a key, and is not shown
        raise ConfigurationError("azure: endpoint is no address such as https://NAME.openai.azure.com.") from None
    version = str((parse_qs(parts.query).get("api-version") or [settings.get("api_version") or ""])[0])
    is_dated = _DATED.fullmatch(version) is not None
    if not is_dated and version not in _UNDATED:
        raise ConfigurationError('azure: api_version is a date such as "2024-10-21", or "preview".')
    path, of_deployment, _ = parts.path.rstrip("/").partition("/deployments/")
    path = _ENDPOINT.sub("", path)
    is_v1 = path.endswith("/openai/v1")
    has_deployments = bool(of_deployment) or (is_dated and not is_v1 and not path.endswith("/models"))  # AZ-B5
    if of_deployment and not is_dated and "base_url" not in settings:
        raise ConfigurationError("azure: the address of a deployment needs its api_version, such as 2024-10-21.")
    is_resource = "base_url" not in settings or (parts.hostname or "").endswith(_AZURE)  # else a proxy's, as it is
    if path in ("", "/openai") and is_resource:
        path, is_v1 = ("/openai", False) if has_deployments else ("/openai/v1", True)
    if is_v1 and is_dated:  # it is for other programs: a variable that all of them read
        version = ""
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), version, has_deployments


def _of_resource(name: str) -> str:
    """Return the address of a resource by its name: one host label, or the key could be led elsewhere."""
    if name and not _RESOURCE.fullmatch(name):
        raise ConfigurationError(f"azure: the name of a resource has letters, digits and dashes only, not {name!r}.")
    return name and f"https://{name}.openai.azure.com"
