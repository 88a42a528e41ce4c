"""What both clients share: reading arguments, choosing targets, building the machine. Nothing here waits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..call import Call, WireRequest
from ..engine.commands import Clock
from ..engine.machine import CallMachine
from ..engine.shared import BreakerBook, Observer, Shared
from ..errors import BadRequestError, ConfigurationError, UnsupportedFeatureError
from ..facts.models import ModelFacts
from ..inputs.history import mended
from ..inputs.messages import MessagesInput, read_messages
from ..inputs.output import read_output
from ..inputs.tools import ToolInput, read_tool_choice, read_tools
from ..limits.budget import Budget, active_budgets
from ..provider import Provider
from ..setup.config import Config, load_config
from ..setup.routes import Routes
from ..setup.tables import read_timeouts
from ..setup.targets import AliasTarget, in_order, split_target
from ..setup.vendors import Vendors
from ..standard.efforts import EFFORTS
from .candidates import ChatCandidate, RequestCandidate

if TYPE_CHECKING:
    from .explain import Explanation

__all__ = ["BaseClient", "ChatOptions", "is_httpx", "read_call", "read_timeout", "real_clock"]


class ChatOptions(TypedDict, total=False):
    """The options of `chat` and `stream`. All may be left out; None means left out."""

    model: str | None
    """"provider:model", or an alias. Default: `model` of the configuration (`LLM_MODEL`)."""
    tools: Sequence[ToolInput] | None
    """Functions with type hints, `Tool` values, or OpenAI-shaped dicts."""
    tool_choice: Any
    """`auto`, `none`, `required`, or a tool: its name or the function itself."""
    output: Any
    """The structure of the text: an attrs, dataclass or msgspec type, or a JSON Schema. See `Reply.parsed`."""
    reasoning: str | int | bool | None
    """An effort (`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`), a budget in tokens, or False."""
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    """The most tokens the model may write, its reasoning included where the vendor counts it."""
    stop: str | Sequence[str] | None
    seed: int | None
    timeout: float | Mapping[str, float] | None
    """Seconds for the whole call, or a dict of timers: connect, silence, first_event, between_events, total."""
    extra: Mapping[str, Any] | None
    """Vendor-only body fields, sent as they are."""
    on_unsupported: Literal["warn", "raise"] | None
    """What happens to an option that a vendor cannot honour: a warning on the reply, or UnsupportedFeatureError."""


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
    ) -> None:
        try:
            self.config = load_config(config)
        except ConfigurationError:
            del config  # it may hold a key, and a traceback may show locals
            raise
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
        inputs = [texts] if isinstance(texts, str) else list(texts)
        if not inputs or not all(inputs) or not all(type(text) is str for text in inputs):
            raise BadRequestError("embed takes a text or a list of texts, none of them empty.")
        return target, WireRequest(path, {"model": name, "input": inputs, "encoding_format": "float", **(extra or {})})


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


def read_call(
    messages: MessagesInput,
    *,
    stream: bool = False,
    tools: Sequence[ToolInput] | None = None,
    tool_choice: Any = None,
    output: Any = None,
    reasoning: str | int | bool | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    timeout: float | Mapping[str, float] | None = None,
    extra: Mapping[str, Any] | None = None,
    on_unsupported: Literal["warn", "raise"] = "warn",
) -> tuple[Call, Mapping[str, float]]:
    """Return the call and its own timers from a user's arguments. Raises BadRequestError for what cannot be meant."""
    read = read_tools(tools)
    if on_unsupported not in ("warn", "raise"):
        raise BadRequestError(f'on_unsupported is "warn" or "raise", not {on_unsupported!r}.')
    fields: Any = extra or {}
    if not isinstance(fields, Mapping):
        raise BadRequestError("extra must be a dict of body fields.")
    history, notes = mended(read_messages(messages), [tool.name for tool in read])
    call = Call(
        history,
        stream,
        read,
        read_tool_choice(tool_choice, read),
        read_output(output),
        _reasoning(reasoning),
        _number("temperature", temperature, 0, 2),
        _number("top_p", top_p, 0, 1),
        _whole("max_tokens", max_tokens, 1),
        _stop(stop),
        _whole("seed", seed, None),
        fields,
        on_unsupported,
        adjustments=tuple(notes),
    )
    return call, read_timeout(timeout)


def _reasoning(value: str | int | bool | None) -> str | int | None:
    if value is None or value is True:  # True: the vendor's own default effort
        return None if value is None else "medium"
    if value is False:
        return "none"
    if isinstance(value, int):
        if value < 1:
            raise BadRequestError(
                'A reasoning budget is a positive number of tokens; reasoning="none" switches it off.'
            )
        return value
    if value not in EFFORTS:
        raise BadRequestError(f"reasoning is one of {', '.join(EFFORTS)}, or a number of tokens, not {value!r}.")
    return value


def _number(name: str, value: Any, low: float, high: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:  # not for NaN
        raise BadRequestError(f"{name} is a number from {low} to {high}, not {value!r}.")
    return value


def _whole(name: str, value: Any, low: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or (low is not None and value < low):
        raise BadRequestError(f"{name} is a whole number{'' if low is None else f' of at least {low}'}, not {value!r}.")
    return value


def _stop(stop: Any) -> tuple[str, ...]:
    strings = (stop,) if isinstance(stop, str) else stop or ()
    if not isinstance(strings, Sequence) or not all(type(item) is str and item for item in strings):
        raise BadRequestError("stop is a text, or a list of texts, none of them empty.")
    return tuple(strings)


def read_timeout(timeout: Any) -> Mapping[str, float]:
    """Read `timeout=`: a number is the whole call, a dict the timers by name, as in the `[timeouts]` table."""
    if timeout is None:
        return {}
    if isinstance(timeout, int | float) and not isinstance(timeout, bool):
        return read_timeouts({"total": timeout}, "timeout")
    if isinstance(timeout, Mapping):
        return read_timeouts(timeout, "timeout")
    raise BadRequestError("timeout is a number of seconds for the whole call, or a dict of timers.")


def is_httpx(value: Any) -> bool:
    """Whether a value is a client of httpx or httpx2, told by the module of its class: neither is imported for it."""
    return any(cls.__module__.partition(".")[0] in ("httpx", "httpx2") for cls in type(value).__mro__)
