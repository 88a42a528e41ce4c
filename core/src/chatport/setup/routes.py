"""Routes: a call is shaped for a target (its provider, key, facts and tools) into the request that goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import attrs

from ..basics.bounded import LONGEST_NAME
from ..basics.frozen import NOTHING
from ..basics.typed import expect
from ..basics.words import near_miss
from ..call import Call, Context, WireRequest
from ..engine.commands import HttpRequest
from ..engine.route import Route, tell_who_was_asked
from ..errors import BadRequestError, ChatportError, ConfigurationError, ModelNotFoundError
from ..events import ErrorReported, Event, FinishReported, UsageReported
from ..facts.models import ModelFacts
from ..facts.rules import UnavailableRule
from ..inputs.values import known
from ..limits.policy import check_policy
from ..limits.timeouts import Timeouts
from ..provider import Provider
from ..standard.stream import is_error
from ..standard.usage import vendors_usage
from ..types import Adjustment, Usage
from .protocols import AUTO, choose, in_protocol, protocol_of_path
from .shaping import (
    blame_shape,
    check_content,
    encoded,
    http_request,
    refuse_losses,
    shape_whole,
    with_call_headers,
    written,
)
from .targets import AliasTarget, alone, check_length, split_target
from .vendor import Vendor
from .vendors import Vendors

__all__ = ["Routes"]

_LONGEST_SUCCESSION = 8
"""How many successors of retired models are followed: a circle in the facts must not hang a call."""


class Routes:
    """Makes the routes of a client's calls, by its configuration, to the vendors it keeps."""

    def __init__(self, vendors: Vendors) -> None:
        self.config = vendors.config
        self.vendors = vendors
        self._allows_all = self.config.policy.is_open

    def targets(self, model: str | None) -> tuple[tuple[AliasTarget, ...], Mapping[str, Any]]:
        """Return the targets that a name means, in order of preference, and the options of its alias."""
        if type(model) is not str:
            expect(model, (str, type(None)), 'model is a text, "provider:model" or an alias', ConfigurationError)
        name = model or self.config.model
        if not name:
            raise ConfigurationError('No model is named: pass model="provider:model", or set LLM_MODEL.')
        if len(name) > LONGEST_NAME:
            check_length(name)
        alias = self.config.aliases.get(name)
        if alias is not None:
            return alias.entries, alias.options
        if ":" not in name:
            raise ConfigurationError(
                f"No alias is called {name!r}.{near_miss(name, self.config.aliases)} "
                f'Aliases: {", ".join(sorted(self.config.aliases)) or "none"}. Otherwise write "provider:model".'
            )
        return alone(name), NOTHING

    def route(
        self,
        call: Call,
        target: str,
        *,
        timeouts: Mapping[str, float],
        options: Mapping[str, Any],
        today: str | None = None,
        looked_at: Vendor | None = None,
    ) -> Route:
        """Shape a call for a target. `options` are the call's own, by name, to tell them from a retired model's.

        `looked_at` is the provider made ready where the request is to be looked at, not sent: it may have no key.
        Raises before a byte is sent: ConfigurationError, PolicyError, UnsupportedFeatureError, ModelNotFoundError,
        PluginError.
        """
        name, model = split_target(target)
        vendor = looked_at or self.vendors.provider(name)
        if model == "auto":
            model = self.vendors.named_auto(name)
        context = self.vendors.context(vendor, model)
        facts = context.facts
        redirected: tuple[Adjustment, ...] = ()
        day = today
        while facts.retired is not None and len(redirected) < _LONGEST_SUCCESSION:
            day = day or datetime.now(UTC).date().isoformat()
            if facts.retired.since > day:
                break
            call, note = self._follow(call, vendor, facts, options)
            context = self.vendors.context(vendor, facts.retired.successor)
            model, facts = context.model, context.facts
            redirected = (*redirected, note)
        why = ""
        has_rule = facts.rules is not None and facts.rules.protocol is not None
        if has_rule or vendor.config.protocol != AUTO or call.native is not None:
            choice = choose(call, facts, vendor.provider, vendor.config.protocol)
            why = choice.reason
            if choice.protocol != vendor.provider.protocol:
                vendor = in_protocol(vendor, choice.protocol)
                context = self.vendors.context(vendor, model)
        if looked_at is None and vendor.key is None and vendor.provider.auth.required and not _brings_key(call, vendor):
            raise ConfigurationError(_key_missing(vendor.provider), provider=name, model=model)
        is_native = False
        if call.native is not None:
            from ..inputs.native import fitted

            is_native = call.native.is_of(vendor.provider)
            call = fitted(call, call.native, vendor.provider)
        if not self._allows_all:
            self._check_policy(vendor, model, call)
        if facts.rules is not None and facts.rules.unavailable is not None:
            raise _unavailable(vendor, model, facts.rules.unavailable)
        asked = split_target(target)[1] if redirected else None
        try:
            call, wire, request, names = _shaped(call, context, vendor, redirected)
        except BadRequestError as error:
            tell_who_was_asked(error, asked, model)
            raise
        if call.headers:
            request = with_call_headers(request, call.headers, vendor)
        timers = self.timeouts(vendor, timeouts, streams=wire.stream)
        pace = vendor.config.pacing or self.config.pacing
        return Route(
            context,
            vendor.plan,
            wire,
            request,
            timers,
            names,
            call,
            pace=pace,
            asked=asked,
            why=why,
            is_native=is_native,
        )

    def _check_policy(self, vendor: Vendor, model: str, call: Call | None = None) -> None:
        """Raise PolicyError if nothing may be sent there, whichever model the body names."""
        if self._allows_all:
            return
        extra = {} if call is None else call.extra
        others = extra.get("models", ())
        named = [model, extra.get("model"), *(others if isinstance(others, list | tuple) else ())]
        stated = vendor.config.stated_facts(vendor.provider.name)
        for name in filter(None, named):
            check_policy(self.config.policy, vendor.provider, vendor.base_url, str(name), stated)

    def recorded_route(self, call: Call, target: str, path: str | None = None) -> Route:
        """Return the route of a call whose answer is recorded: no body is shaped, a retired model is not followed.

        `path` is where the request went, which tells the protocol.
        """
        name, model = split_target(target)
        vendor = self.vendors.provider(name)
        if path is not None:
            vendor = in_protocol(vendor, protocol_of_path(vendor.provider, path))
        context = self.vendors.context(vendor, model)
        wire = WireRequest(vendor.provider.dialect.chat_path, {}, stream=call.stream)
        request = http_request(wire, vendor, encoded(wire, name)[1])
        return Route(context, vendor.plan, wire, request, Timeouts())

    def ready(self, name: str) -> Vendor:
        """Return a provider made ready. Raises ConfigurationError for one whose key is missing."""
        vendor = self.vendors.provider(name)
        if vendor.key is None and vendor.provider.auth.required:
            raise ConfigurationError(_key_missing(vendor.provider), provider=name)
        return vendor

    def raw_route(self, provider: str, target: str, wire: WireRequest, timeouts: Mapping[str, float]) -> Route:
        """Return the route of a request that is no chat, such as the model list: nothing of it is shaped."""
        vendor = self.ready(provider)
        model = target.partition(":")[2]
        operation: Literal["models", "embeddings"] = "models" if wire.method == "GET" else "embeddings"
        context = vendor.context(model) if operation == "models" else self.vendors.context(vendor, model)
        self._check_policy(vendor, model)
        if written(wire) is None:
            from ..inputs.halves import places_of_halves  # few texts have a half

            places = places_of_halves(wire.body)
            if places:  # there is no reply to carry a warning
                raise BadRequestError(
                    f"{places[0]} has half of a surrogate pair, such as half an emoji, which cannot be written. "
                    'Replace it: text.encode("utf-8", "replace").decode().',
                    provider=provider,
                )
        request = http_request(wire, vendor, encoded(wire, provider)[1])
        plan = attrs.evolve(vendor.plan, decode_reply=_as_it_is)
        timers = self.timeouts(vendor, timeouts, streams=False)
        return Route(context, plan, wire, request, timers, operation=operation)

    def plain_route(
        self, provider: str, model: str, wire: WireRequest, content: bytes, timeouts: Mapping[str, float]
    ) -> Route:
        """Return the route of a request for something of the vendor's that is no model, such as a file."""
        vendor = self.ready(provider)
        self._check_policy(vendor, model)
        request = http_request(wire, vendor, content)
        timers = self.timeouts(vendor, timeouts, streams=False)
        return Route(vendor.context(model), vendor.plan, wire, request, timers, operation="plain")

    def _follow(
        self, call: Call, vendor: Vendor, facts: ModelFacts, given: Mapping[str, Any]
    ) -> tuple[Call, Adjustment]:
        retired = facts.retired
        assert retired is not None
        story = f"{retired.id} was retired on {retired.since}; its successor is {retired.successor}"
        if self.config.retired_models == "raise":
            raise ModelNotFoundError(f"{story}.", provider=vendor.provider.name, model=retired.id)
        old_behaviour = {key: value for key, value in retired.options.items() if given.get(key) is None}
        note = Adjustment("redirected", "model", f"{story}, which answers", retired.source)
        return attrs.evolve(call, **old_behaviour), note

    def timeouts(self, vendor: Vendor, call: Mapping[str, float], *, streams: bool) -> Timeouts:
        """Return the timers of a call: defaults, then the provider's own, the user's, the user's for it, the call's.

        A plain request is silent until its answer is whole, for minutes where a model thinks: without the user's own
        word only the total ends it. As long as the whole call may take, it may wait in our own queue before.
        """
        usual = vendor.usual_timeouts.get(streams)
        if usual is not None and not call:
            return usual
        wanted = {**self.config.timeouts, **vendor.config.timeouts, **call}
        merged = {**vendor.provider.timeouts, **({} if streams else {"silence": 0.0}), **wanted}
        known(merged, [field.name for field in attrs.fields(Timeouts)], f"The timeouts of {vendor.provider.name}")
        merged.setdefault("queue", merged.get("total", Timeouts().total or 0.0))
        timeouts = attrs.evolve(Timeouts(), **{name: value or None for name, value in merged.items()})
        if not call:
            vendor.usual_timeouts[streams] = timeouts
        return timeouts


def _unavailable(vendor: Vendor, model: str, rule: UnavailableRule) -> ModelNotFoundError:
    """Return the error for a model that the facts say is not at this host."""
    cited = f" ({rule.fact})" if rule.fact else ""
    reason = rule.reason.replace("{model}", model)
    return ModelNotFoundError(f"{model}: {reason}{cited}.", provider=vendor.provider.name, model=model)


def _brings_key(call: Call, vendor: Vendor) -> bool:
    """Whether the key of a call is among its own headers."""
    name = vendor.provider.auth.header.lower()
    return any(header == name for header, _ in call.headers)


def _as_it_is(data: Any, context: Context, request: WireRequest) -> Sequence[Event]:
    """Decode a reply that is no chat: it is kept as raw JSON, unless it is an error."""
    if isinstance(data, dict) and is_error(data):
        return (ErrorReported(data),)
    usage = _embedding_usage(data, context) if request.method != "GET" else None
    return (
        (FinishReported("stop", "stop"),) if usage is None else (UsageReported(usage), FinishReported("stop", "stop"))
    )


def _embedding_usage(data: Any, context: Context) -> Usage | None:
    """Return the counts of an embeddings reply, where all that was counted is input and nothing was written."""
    counts = data.get("usage") if isinstance(data, dict) else None
    usage = vendors_usage(counts, context)
    if usage is None and isinstance(counts, dict):
        usage = vendors_usage({**counts, "prompt_tokens": counts.get("total_tokens")}, context)
    return usage and attrs.evolve(usage, output_tokens=usage.output_tokens or 0)


def _key_missing(provider: Provider) -> str:
    variables = " or ".join(f"${name}" for name in provider.key_env)
    where = f"Set {variables}, or give" if variables else "Give"
    return f"{provider.title} needs an API key. {where} api_key under [providers.{provider.name}] in chatport.toml."


def _shaped(
    call: Call, context: Context, vendor: Vendor, redirected: tuple[Adjustment, ...]
) -> tuple[Call, WireRequest, HttpRequest, Mapping[str, str]]:
    """Return the call as it was shaped, its request in both forms, and the tools' names as sent with their own."""
    check_content(call, context)
    call, wire, tools, content = shape_whole(vendor.plan, call, context)
    if redirected:
        wire = attrs.evolve(wire, adjustments=(*redirected, *wire.adjustments))
    if call.on_unsupported == "raise":
        refuse_losses(wire, context)
    try:
        wire, content = encoded(wire, vendor.provider.name) if content is None else (wire, content)
        request = http_request(wire, vendor, content)
    except ChatportError as error:
        blame_shape(error, call, tools, context, vendor)
        raise
    return call, wire, request, tools.names
