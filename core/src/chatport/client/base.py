"""What both clients share: reading arguments, choosing targets, building the machine. Nothing here waits."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never

import attrs

from ..basics.forks import new_lock, tell_child
from ..basics.typed import expect
from ..call import Call, WireRequest
from ..engine.commands import Clock
from ..engine.machine import CallMachine
from ..engine.shared import BreakerBook, ContentPolicy, Observer, Shared
from ..errors import BadRequestError, ConfigurationError, DeadlineError, MisuseError, UnsupportedFeatureError
from ..facts.models import ModelFacts
from ..inputs.messages import MessagesInput
from ..inputs.options import CHAT_OPTIONS, read_call, read_timeout, unknown_option
from ..limits.budget import Budget, active_budgets
from ..limits.pacing import PacerBook
from ..provider import Provider
from ..setup.config import Config, load_config
from ..setup.routes import Routes
from ..setup.targets import AliasTarget, in_order, split_target
from ..setup.vendors import Vendors
from ..types import Adjustment
from .candidates import ChatCandidate, RequestCandidate

if TYPE_CHECKING:
    from ..engine.plain import Into, PlainRequest
    from ..many.plan import MapPlan
    from ..runs.loop import RunLoop
    from ..runs.plan import RunPlan
    from ..types.runs import Run
    from ..types.totals import Totals
    from .explain import Explanation
    from .health import TargetHealth
    from .prices import ModelPrice

__all__ = ["BaseClient", "is_httpx", "real_clock"]


_LEAST_SECONDS = 0.001  # a timer of 0 is none
_CLIENT_OPTIONS = ("config", "plugins", "providers", "transport", "clock", "observers")


def real_clock() -> Clock:
    """Return the clock of this machine."""
    return Clock(time.monotonic, lambda: datetime.now(UTC), random.random)


class BaseClient:
    """Configuration, providers, and what calls share; see `AsyncClient` and `Client` for what users call.

    `observers` are called with the name and the fields of each event in the life of a call, in the caller's own thread
    or task. They see names, counts and times, and never keys; prompts and replies where `[log] content` says so.
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
        self._vendors = Vendors(
            self.config,
            plugins,
            providers=providers,
            monotonic=clock.monotonic,
            needs_no_key=getattr(transport, "needs_no_key", None) is True,  # a tape that is replayed
        )
        self._routes = Routes(self._vendors)
        self._shared = _shared(self.config, clock, observers, self._vendors)
        self._budget = _budget(self.config)
        self._given_transport = transport if transport is not None else self.config.transport
        self._opening = new_lock()  # a client without a loop may be used from several threads
        self._is_closed = False
        tell_child(self)

    def forked(self) -> None:
        """Forget who waits for what in the parent, and which of its calls are under way. For a forked child."""
        self._shared = _shared(self.config, self._shared.clock, self._shared.observers, self._vendors)

    def __repr__(self) -> str:
        return f"<chatport.{type(self).__name__}>"

    def _check_open(self) -> None:
        """Raise MisuseError if the client was closed: nobody would close what it opened from now on."""
        if self._is_closed:
            raise MisuseError(
                f"This {type(self).__name__} is closed, and sends nothing any more. Make a new one, or make the call "
                "before the client's block is left."
            )

    @property
    def totals(self) -> Totals:
        """What this client's calls have used and cost so far, those under way not yet. A forked child begins anew."""
        return self._shared.tally.totals()

    def health(self) -> tuple[TargetHealth, ...]:
        """Return how each target stands that was asked lately: breaker and queue. Nothing is sent."""
        from .health import health_of

        return health_of(self._shared)

    def facts(self, target: str) -> ModelFacts:
        """Return what is known of a model, the user's corrections included. Nothing is sent."""
        expect(target, str, 'A target is a text, "provider:model"', ConfigurationError)
        provider, model = split_target(target)
        return self._vendors.facts(self._vendors.provider_to_explain(provider), model)  # which needs no key

    def check(self, target: str) -> None:
        """Raise what is wrong with a target, "provider:model", as far as it is known without sending anything.

        That is a provider that is not there, an address, a setting or a correction that cannot be meant, a key that is
        missing. A key that a command or a function gives, and a server that is to be searched for, are not asked for.
        Raises ConfigurationError, PluginError.
        """
        expect(target, str, 'A target is a text, "provider:model"', ConfigurationError)
        name, model = split_target(target)
        if not self._vendors.is_ready(name):
            self._vendors.outline(name)
        else:
            self._vendors.facts(self._routes.ready(name), model)

    def go_on_from(self, before: BaseClient) -> None:
        """Take the place of another client: begin where it stands, before the first call is made here.

        Pacing, breakers and retry budgets of providers whose table says the same go on; those of others begin anew.
        What was spent of `[budget]` stays spent under the new cap, and `totals` go on. Both may be used beside each
        other until the other one is closed.
        """
        from .succession import take_over

        take_over(self, before)

    def targets(self, model: str | None = None) -> tuple[str, ...]:
        """Return the targets that a name means, "provider:model" each, in order of preference. Nothing is sent.

        Conditions of an alias are not looked at: which target a call goes to depends on the call. Raises
        ConfigurationError for a name that means none.
        """
        return tuple([entry.target for entry in self._routes.targets(model)[0]])

    def prices(
        self,
        *,
        input_tokens: int = 2000,
        output_tokens: int = 500,
        cached: float = 0.0,
        currency: str = "USD",
        rates: Mapping[str, float] | None = None,
        providers: Sequence[str] | None = None,
        needs: Sequence[str] = (),
        allow_regions: Sequence[str] | None = None,
        forbid_training: bool = False,
    ) -> tuple[ModelPrice, ...]:
        """Return what a call of this size costs at list price on every model whose price is known. Nothing is sent.

        The cheapest is first; those that cannot be compared are last, and say why in their notes. `cached` is the share
        of the input that comes from a cache. `rates` are USD for one unit of a currency, over those of `[budget]`.
        `needs` are abilities, such as `tools`, `images`, `schema`; the policy of the configuration holds, and
        `allow_regions` and `forbid_training` beside it. No key is read. Raises BadRequestError and ConfigurationError.
        """
        from .prices import price_list, read_wanted

        wanted = read_wanted(
            self.config.policy,
            self.config.budget.rates,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached=cached,
            currency=currency,
            rates=rates,
            providers=providers,
            needs=needs,
            allow_regions=allow_regions,
            forbid_training=forbid_training,
        )
        return price_list(self._vendors, wanted, self._shared.clock.utcnow())

    def estimate_tokens(self, messages: MessagesInput, **options: Any) -> int:
        """Return about how many tokens the input of a call has, by which budgets are reserved too. Nothing is sent.

        No vendor's own tokens are known: it is rather too many than too few, for English by a third.
        """
        from ..limits.estimate import estimate_input_tokens

        return estimate_input_tokens(self._read(messages, False, options)[0])

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
        targets = in_order(entries, call, self._shared.clock.random)
        home = entries[0].target
        candidates = [
            ChatCandidate(self._routes, t, _for_target(call, t, home) if call.headers else call, timeouts, merged)
            for t in targets
        ]
        candidates[0].prepare_now(is_only=len(candidates) == 1)
        budgets = (*active_budgets(), *((self._budget,) if self._budget is not None else ()))
        return CallMachine(candidates, self._shared, deliver, budgets)

    def _as_it_goes_to(
        self, messages: MessagesInput, options: Mapping[str, Any], *, every: bool
    ) -> Iterator[tuple[str, Call, Mapping[str, float], Mapping[str, Any]]]:
        """Give the targets of a call with what goes there: the one that is asked first, or every one that there is."""
        call, timeouts, entries, merged = self._read(messages, False, options)
        targets = [entry.target for entry in entries] if every else in_order(entries, call, self._shared.clock.random)
        home = entries[0].target
        for target in targets if every else targets[:1]:
            yield target, _for_target(call, target, home) if call.headers else call, timeouts, merged

    def _second_try(self, first: CallMachine) -> CallMachine | None:
        """Return another try of a slow call: the next targets first, then the same one; None if it may not have one."""
        if not self._shared.hedges.take():
            return None
        targets = [*first.targets[1:], first.targets[0]]
        return CallMachine(targets, self._shared, first.deliver, first.budgets, shared_trace=first.begun())

    def _run_loop(
        self, messages: MessagesInput | Run, options: Mapping[str, Any], **limits: Any
    ) -> tuple[RunLoop, RunPlan]:
        """Return a run as a machine, and what holds for it. What is wrong with its first call is said here."""
        from ..runs.loop import RunLoop
        from ..runs.plan import read_history, read_plan

        history, steps = read_history(messages)
        plan = read_plan(options=options, **limits)
        self._read(list(history), False, plan.options)
        return RunLoop(plan, history, steps, self._shared.clock.monotonic), plan

    def _step_options(self, plan: RunPlan, *, is_first: bool, seconds: float | None) -> Mapping[str, Any]:
        """Return the options of a call of a run that has so many seconds left."""
        return self._within(plan.options if is_first else plan.later_options, seconds)

    def _within(self, options: Mapping[str, Any], seconds: float | None) -> Mapping[str, Any]:
        """Return options whose total timer is cut to so many seconds."""
        if seconds is None:
            return options
        timers = read_timeout(options.get("timeout"))
        names = {split_target(target)[0] for target in self.targets(options.get("model"))}
        totals = [self._vendors.total_seconds(name, timers) or seconds for name in names]
        return {**options, "timeout": {**timers, "total": max(min(seconds, *totals), _LEAST_SECONDS)}}

    def _map_plan(self, options: Mapping[str, Any], **given: Any) -> MapPlan:
        """Return what holds for a map. What is wrong with the options of its calls is said here."""
        from ..many.plan import read_plan

        call, _, entries, _ = self._read("", False, options)
        if given["retry_invalid"]:
            from .reasking import check_retry_invalid

            check_retry_invalid(given["retry_invalid"], options)
        return read_plan(options=options, call=call, targets=[entry.target for entry in entries], **given)

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

    def _request_machine(self, target: str, wire: WireRequest, timeout: Any) -> CallMachine:
        """Return a machine for a request that is no chat. Of these, embeddings count in budgets."""
        candidate = RequestCandidate(self._routes, target, wire, read_timeout(timeout))
        budgets = (*active_budgets(), *((self._budget,) if self._budget is not None else ()))
        return CallMachine([candidate], self._shared, False, budgets)

    def _plain_request(
        self, provider: str, wire: WireRequest, content: bytes, into: Into | None, repeats: bool, **how: Any
    ) -> PlainRequest:
        """Return a machine for a request that is no call of a model."""
        from ..engine.plain import PlainRequest

        route = self._routes.plain_route(provider, how["model"], wire, content, read_timeout(how["timeout"]))
        return PlainRequest(route, self._shared, into, repeats)

    def _explain(self, messages: MessagesInput, options: Mapping[str, Any], changes: bool) -> Explanation:
        from .explain import explain_call

        stream = bool(options.get("stream", False))
        rest = {name: value for name, value in options.items() if name != "stream"}
        call, timeouts, entries, merged = self._read(messages, stream, rest)
        target = in_order(entries, call, self._shared.clock.random)[0]
        call = _for_target(call, target, entries[0].target) if call.headers else call
        return explain_call(self._routes, call, target, timeouts, merged, changes=changes)

    def _models_target(self, provider: str) -> tuple[str, WireRequest]:
        vendor = self._vendors.provider(provider)
        path = vendor.provider.dialect.models_path
        if path is None:
            raise UnsupportedFeatureError(f"{vendor.provider.title} has no model list.", provider=provider)
        return f"{provider}:*", WireRequest(path, {}, method="GET")

    def _embed_requests(
        self, texts: str | Sequence[str], model: str, dimensions: int | None, extra: Mapping[str, Any] | None
    ) -> tuple[str, list[WireRequest]]:
        """Return the target and its requests, each with as many of the texts as the vendor takes at once."""
        from .embeddings import batches, check_dimensions, read_texts

        target = self._routes.targets(model)[0][0].target
        provider, name = split_target(target)
        vendor = self._vendors.provider(provider)
        path = vendor.provider.dialect.embeddings_path
        if path is None:
            raise UnsupportedFeatureError(
                f"{vendor.provider.title} has no embeddings; choose another provider for them.",
                provider=provider,
            )
        expect(extra, (Mapping, type(None)), "extra is a dict of body fields", BadRequestError)
        inputs = read_texts(texts)
        facts = self._vendors.facts(vendor, name)
        check_dimensions(dimensions, facts, target)
        asked = {} if dimensions is None else {"dimensions": dimensions}
        fields = {"encoding_format": "float", **asked, **(extra or {})}
        path = vendor.provider.dialect.path_of(path, name)
        return target, [
            WireRequest(path, {"model": name, "input": list(batch), **fields}) for batch in batches(inputs, facts)
        ]

    def _time_left(self, target: str, timeout: Any, began: float) -> Mapping[str, float]:
        """Return the timers for the next request of a call that began then: the total is for all of it.

        Raises DeadlineError where that is over.
        """
        timers, (provider, model) = read_timeout(timeout), split_target(target)
        total = self._vendors.total_seconds(provider, timers)
        if total is None:
            return timers
        left = total - (self._shared.clock.monotonic() - began)
        if left <= 0:
            raise DeadlineError(
                f"The total timer fired: not all texts were embedded within {total:g} s. Raise timeouts.total, or "
                "embed fewer at once.",
                seconds=total,
                provider=provider,
                model=model,
                retryable=False,
            )
        return {**timers, "total": left}


def _for_target(call: Call, target: str, home: str) -> Call:
    """Return a call as it goes to a target: its headers go to the provider that was named first, as its key does."""
    if split_target(target)[0] == split_target(home)[0]:
        return call
    reason = f"the headers of a call go to the provider that it names first ({split_target(home)[0]}), and to no other"
    note = Adjustment("dropped", "headers", reason)
    return attrs.evolve(call, headers=(), adjustments=(*call.adjustments, note))


def _check_arguments(plugins: Any, providers: Any, clock: Any, observers: Any) -> None:
    """Raise ConfigurationError for arguments of a client that are not of their kind."""
    for name, given in (("plugins", plugins), ("providers", providers), ("observers", observers)):
        expect(given, (list, tuple), f"{name}= is a list", ConfigurationError)
    expect(clock, (Clock, type(None)), "clock= is a Clock", ConfigurationError)
    if not all(map(callable, observers)):
        raise ConfigurationError("observers= is a list of functions of an event's name and its fields.")


def _shared(config: Config, clock: Clock, observers: Sequence[Observer], vendors: Vendors) -> Shared:
    pacers: PacerBook | None = None
    if config.pacing_store is not None:
        from ..sharing.pacing import shared_pacers  # few clients share limits with other processes

        pacers = shared_pacers(
            config.pacing_store.url, config.pacing_store.env, clock.monotonic, refuses=config.pacing_store.refuses
        )
    return Shared(
        clock,
        config.retry,
        pacers=PacerBook(clock.monotonic) if pacers is None else pacers,
        breakers=BreakerBook(config.breaker, clock.monotonic),
        rates=config.budget.rates,
        observers=tuple(observers),
        hedging=config.hedge,
        content=ContentPolicy(config.log.content_bytes, vendors.keys) if config.log.content else None,
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
