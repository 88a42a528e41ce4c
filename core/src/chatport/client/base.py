"""What both clients share: reading arguments, choosing targets, building the machine. Nothing here waits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never

from ..basics.typed import expect
from ..call import Call, WireRequest
from ..engine.commands import Clock
from ..engine.machine import CallMachine
from ..engine.shared import BreakerBook, Observer, Shared
from ..errors import BadRequestError, ConfigurationError, UnsupportedFeatureError
from ..facts.models import ModelFacts
from ..inputs.messages import MessagesInput
from ..inputs.options import CHAT_OPTIONS, read_call, read_timeout, unknown_option
from ..limits.budget import Budget, active_budgets
from ..provider import Provider
from ..setup.config import Config, load_config
from ..setup.routes import Routes
from ..setup.targets import AliasTarget, in_order, split_target
from ..setup.vendors import Vendors
from .candidates import ChatCandidate, RequestCandidate

if TYPE_CHECKING:
    from .explain import Explanation

__all__ = ["BaseClient", "is_httpx", "real_clock"]


_CLIENT_OPTIONS = ("config", "plugins", "providers", "transport", "clock", "observers")


def real_clock() -> Clock:
    """Return the clock of this machine."""
    return Clock(time.monotonic, lambda: datetime.now(UTC), random.random)


class BaseClient:
    """Configuration, providers, and what calls share; see `AsyncClient` and `Client` for what users call.

    `observers` are called with the name and the fields of each event in the life of a call, in the caller's own thread
    or task. They see names, counts and times; never prompts, replies or keys.
    """

    def __init__(
        self,
        config: Config | str | Path | Mapping[str, Any] | None = None,
        *,
        plugins: Sequence[Any] = (),
        providers: Sequence[Provider] = (),
        transport: Any = None,
        clock: Clock | None = None,
        observers: Sequence[Observer] = (),
        **unknown: Never,
    ) -> None:
        if unknown:
            del config  # as below
            raise unknown_option(type(self).__name__, unknown, _CLIENT_OPTIONS)
        try:
            self.config = load_config(config)
        except ConfigurationError:
            del config  # it may hold a key, and a traceback may show locals
            raise
        _check_arguments(plugins, providers, clock, observers)
        clock = clock or real_clock()
        self._vendors = Vendors(self.config, plugins, providers=providers, monotonic=clock.monotonic)
        self._routes = Routes(self._vendors)
        self._shared = _shared(self.config, clock, observers)
        self._budget = _budget(self.config)
        self._given_transport = transport if transport is not None else self.config.transport
        self._opening = threading.Lock()  # a client without a loop may be used from several threads

    def __repr__(self) -> str:
        return f"<chatport.{type(self).__name__}>"

    def facts(self, target: str) -> ModelFacts:
        """Return what is known of a model, the user's corrections included. Nothing is sent."""
        provider, model = split_target(target)
        return self._vendors.facts(self._vendors.provider(provider), model)

    def budget(
        self,
        *,
        usd: float | None = None,
        tokens: int | None = None,
        unknown_cost: Literal["refuse", "allow"] = "refuse",
        name: str = "",
    ) -> Budget:
        """Return a cap on what the calls inside `with client.budget(usd=0.50):` may cost. See `Budget`."""
        expect(name, str, "The name of a budget is a text", ConfigurationError)
        return Budget(usd=usd, tokens=tokens, unknown_cost=unknown_cost, name=name)

    def _machine(self, messages: MessagesInput, stream: bool, deliver: bool, options: Mapping[str, Any]) -> CallMachine:
        call, timeouts, entries, merged = self._read(messages, stream, options)
        targets = self._in_order(entries, call)
        candidates = [ChatCandidate(self._routes, target, call, timeouts, merged) for target in targets]
        candidates[0].prepare_now(is_only=len(candidates) == 1)
        budgets = (*active_budgets(), *((self._budget,) if self._budget is not None else ()))
        return CallMachine(candidates, self._shared, deliver, budgets)

    def _second_try(self, first: CallMachine) -> CallMachine | None:
        """Return another try of a slow call: the next targets first, then the same one; None if it may not have one."""
        if not self._shared.hedges.take():
            return None
        targets = [*first.targets[1:], first.targets[0]]
        return CallMachine(targets, self._shared, first.deliver, first.budgets, shared_trace=first.trace)

    def _may_hedge(self, options: Mapping[str, Any]) -> bool:
        """Whether a second try may be made: not with vendor-only fields, which may do something at the vendor twice."""
        if options.get("extra"):
            return False
        self._shared.hedges.count_call()
        return True

    def _read(
        self, messages: MessagesInput, stream: bool, options: Mapping[str, Any]
    ) -> tuple[Call, Mapping[str, float], Sequence[AliasTarget], Mapping[str, Any]]:
        """Return the call, its timers, the targets it names, and its options with the alias's under them."""
        if not options.keys() <= CHAT_OPTIONS:
            raise unknown_option("chat and stream", options, CHAT_OPTIONS)
        entries, alias_options = self._routes.targets(options.get("model"))
        given = {name: value for name, value in options.items() if value is not None and name != "model"}
        merged = {**alias_options, **given}
        call, timeouts = read_call(messages, stream=stream, **merged)
        return call, timeouts, entries, merged

    def _in_order(self, entries: Sequence[AliasTarget], call: Call) -> list[str]:
        targets = in_order(entries, call, self._shared.clock.random)
        if not targets:
            names = ", ".join(entry.target for entry in entries)
            raise ConfigurationError(f"No target's conditions hold for this call. The alias has: {names}.")
        return targets

    def _request_machine(self, target: str, wire: WireRequest, timeout: Any) -> CallMachine:
        """Return a machine for a request that is no chat."""
        return CallMachine([RequestCandidate(self._routes, target, wire, read_timeout(timeout))], self._shared, False)

    def _explain(self, messages: MessagesInput, options: Mapping[str, Any]) -> Explanation:
        from .explain import explain_call

        stream = bool(options.get("stream", False))
        rest = {name: value for name, value in options.items() if name != "stream"}
        call, timeouts, entries, merged = self._read(messages, stream, rest)
        return explain_call(self._routes, call, self._in_order(entries, call)[0], timeouts, merged)

    def _models_target(self, provider: str) -> tuple[str, WireRequest]:
        vendor = self._vendors.provider(provider)
        path = vendor.provider.dialect.models_path
        if path is None:
            raise UnsupportedFeatureError(f"{vendor.provider.title} has no model list.", provider=provider)
        return f"{provider}:*", WireRequest(path, {}, method="GET")

    def _embed_target(
        self, texts: str | Sequence[str], model: str, extra: Mapping[str, Any] | None
    ) -> tuple[str, WireRequest]:
        target = self._routes.targets(model)[0][0].target
        provider, name = split_target(target)
        vendor = self._vendors.provider(provider)
        path = vendor.provider.dialect.embeddings_path
        if path is None:
            raise UnsupportedFeatureError(
                f"{vendor.provider.title} has no embeddings; choose another provider for them.",
                provider=provider,
            )
        what = "embed takes a text or a list of texts, none of them empty"
        expect(texts, (str, list, tuple), what, BadRequestError)
        expect(extra, (Mapping, type(None)), "extra is a dict of body fields", BadRequestError)
        inputs = [texts] if isinstance(texts, str) else list(texts)
        if not inputs or not all(inputs) or not all(type(text) is str for text in inputs):
            raise BadRequestError(f"{what}.")
        return target, WireRequest(path, {"model": name, "input": inputs, "encoding_format": "float", **(extra or {})})


def _check_arguments(plugins: Any, providers: Any, clock: Any, observers: Any) -> None:
    """Raise ConfigurationError for arguments of a client that are not of their kind."""
    for name, given in (("plugins", plugins), ("providers", providers), ("observers", observers)):
        expect(given, (list, tuple), f"{name}= is a list", ConfigurationError)
    expect(clock, (Clock, type(None)), "clock= is a Clock", ConfigurationError)
    if not all(map(callable, observers)):
        raise ConfigurationError("observers= is a list of functions of an event's name and its fields.")


def _shared(config: Config, clock: Clock, observers: Sequence[Observer]) -> Shared:
    return Shared(
        clock,
        config.retry,
        breakers=BreakerBook(config.breaker, clock.monotonic),
        rates=config.budget.rates,
        observers=tuple(observers),
        hedging=config.hedge,
    )


def _budget(config: Config) -> Budget | None:
    """Return the budget of the `[budget]` table, None where it sets no cap."""
    wanted = config.budget
    if wanted.usd is None and wanted.tokens is None:
        return None
    return Budget(usd=wanted.usd, tokens=wanted.tokens, unknown_cost=wanted.unknown_cost, name="[budget]")


def is_httpx(value: Any) -> bool:
    """Whether a value is a client of httpx or httpx2, told by the module of its class: neither is imported for it."""
    return any(cls.__module__.partition(".")[0] in ("httpx", "httpx2") for cls in type(value).__mro__)
