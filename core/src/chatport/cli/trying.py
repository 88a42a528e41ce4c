"""Whether a key works: one cheap request to its vendor, and what the answer proves.

The model list is asked for. Some vendors give it to anybody, so it is asked for without the key too: a list that comes
then proves nothing of the key, and one token is asked of a model, if one of this provider is configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .. import errors as e

if TYPE_CHECKING:
    from ..client.sync import Client

__all__ = ["Trial", "try_key", "trying_config"]

_SECONDS = 20.0
_NOT_PROVED = "the vendor lists its models to anybody"


@attrs.frozen
class Trial:
    """What came of it, in words that name no key. `is_bad`: a call would fail."""

    words: str
    is_bad: bool = False


def trying_config(config: Any) -> Any:
    """Return a configuration in which everything is tried once, and not for long."""
    timeouts = {**config.timeouts, "total": min(config.timeouts.get("total") or _SECONDS, _SECONDS)}
    providers = {
        name: attrs.evolve(table, timeouts={**table.timeouts, "total": _SECONDS})
        for name, table in config.providers.items()
    }
    return attrs.evolve(
        config, timeouts=timeouts, providers=providers, retry=attrs.evolve(config.retry, attempts=1), pacing=None
    )


def try_key(client: Client, name: str, model: str | None) -> Trial:
    """Return what one request with the key shows; `model` is asked for a token where the list proves nothing."""
    has_key = client._vendors.provider(name).key is not None
    try:
        count = len(client.models(name))
    except e.UnsupportedFeatureError:
        return _by_a_token(client, model, "it has no model list")
    except e.ChatportError as error:
        return _of_error(error)
    if not has_key:
        return Trial(f"it answers, with {count} models; no key is sent")
    if not _lists_to_anybody(client, name):
        return Trial(f"the key works: it lists {count} models, and none without the key")
    return _by_a_token(client, model, _NOT_PROVED)


def _lists_to_anybody(client: Client, name: str) -> bool:
    """Whether the model list comes without a key."""
    from ..engine.machine import CallMachine, Given

    target, wire = client._models_target(name)
    route = client._routes.raw_route(name, target, wire, {})
    bare = attrs.evolve(route, request=attrs.evolve(route.request, auth=None))
    try:
        client._run(CallMachine([Given(target, bare)], client._shared, False))
    except e.ChatportError:
        return False  # whatever it is: with the key the list came
    return True


def _by_a_token(client: Client, model: str | None, why: str) -> Trial:
    if model is None:
        hint = "name one of its models as `model` or in an alias, and it is asked for a token"
        return Trial(f"it answers, which proves nothing of the key: {why} ({hint})")
    try:
        client.chat("hi", model=model, max_tokens=1)
    except (e.BadRequestError, e.ModelNotFoundError, e.MalformedReplyError) as error:
        return Trial(f"the key is taken ({why}, so {model} was asked), but: {error.message}", is_bad=True)
    except e.ChatportError as error:
        return _of_error(error)
    return Trial(f"the key works: {model} has answered ({why})")


def _of_error(error: e.ChatportError) -> Trial:
    match error:
        case e.AuthenticationError():
            words = f"the key is refused: {error.message}"
        case e.PermissionDeniedError():
            words = f"the key is known, and may not do this: {error.message}"
        case e.QuotaExceededError():
            words = f"the key works, and the account is empty: {error.message}"
        case e.RateLimitError() | e.OverloadedError() | e.ServerError():
            words = f"not known now, try again later: {error.message}"
        case e.TransportError() | e.DeadlineError():
            words = f"no answer: {error.message}"
        case _:
            words = str(error)
    return Trial(words, is_bad=True)
