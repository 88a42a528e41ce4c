"""Targets in waiting, as the engine asks for them. They are values with methods: a stream keeps them while it lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any

import attrs

from ..basics.secret import Secret
from ..call import Call, WireRequest
from ..engine.route import Route
from ..errors import ModelNotFoundError, PolicyError, UnsupportedFeatureError
from ..setup.routes import Routes
from ..setup.targets import split_target
from ..setup.vendor import Vendor
from ..types import Message

__all__ = ["ChatCandidate", "RequestCandidate"]

_PROBE_TOKENS = 16
"""The least that every vendor takes as the length of an answer."""
_PROBE_SECONDS = 20.0
"""A server on a slow machine needs some for so few tokens; one that hangs is asked again beside it meanwhile."""


class _Candidate:
    """What is asked of any target before it is prepared: whether that would block, and how long a call may take."""

    __slots__ = ("_first", "_model", "_provider", "_routes", "_timeouts", "_vendors", "target")

    def __init__(self, routes: Routes, target: str, timeouts: Mapping[str, float]) -> None:
        self.target = target
        self._provider, self._model = split_target(target)  # a mistake in it is told where the call is made
        self._routes = routes
        self._vendors = routes.vendors
        self._timeouts = timeouts
        self._first: Route | None = None
        """What was prepared where the call was made, until it is asked for."""

    def is_ready(self) -> bool:
        """Whether `prepare` will not block."""
        return self._first is not None or self._vendors.is_ready(self._provider)

    @property
    def work(self) -> Hashable:
        """What is made ready: the provider, as this client knows it."""
        return (self._vendors, self._provider)

    def make_ready(self) -> Vendor:
        """Make the provider ready. Blocks."""
        return self._vendors.provider(self._provider)

    @property
    def ahead(self) -> Callable[[], Awaitable[None]] | None:
        """What an event loop awaits before that."""
        return self._vendors.ahead(self._provider)

    def forget_key(self, key: Secret | None) -> bool:
        """Have the key read again that was refused. Returns whether another one may be there."""
        return self._vendors.forget_key(self._provider, key)

    def total_seconds(self) -> float | None:
        """Return the total timer of the call there."""
        return self._vendors.total_seconds(self._provider, self._timeouts)


class ChatCandidate(_Candidate):
    """A target for a call, shaped for it when its turn comes."""

    __slots__ = ("_call", "_options")

    def __init__(
        self,
        routes: Routes,
        target: str,
        call: Call,
        timeouts: Mapping[str, float],
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(routes, target, timeouts)
        self._call = call
        self._options = options

    def prepare(self, prefix: str | None) -> Route:
        """Return the call as shaped for this target, to go on from `prefix` if one is given."""
        first, self._first = self._first, None
        if prefix is None and first is not None:
            return first
        call = self._call if prefix is None else attrs.evolve(self._call, prefix=prefix)
        return self._routes.route(call, self.target, timeouts=self._timeouts, options=self._options)

    def forget_key(self, key: Secret | None) -> bool:
        """The same, and what was prepared with it is prepared again."""
        self._first = None
        return super().forget_key(key)

    def window(self) -> int | None:
        """Return the context window of the model in tokens, None where it is not known."""
        return self._vendors.facts(self._vendors.provider(self._provider), self._model).context_tokens

    def probe(self) -> Route:
        """Return a request for a few tokens, without anything of the call but where it goes."""
        call = Call((Message.user("Hi"),), max_tokens=_PROBE_TOKENS)
        return self._routes.route(call, self.target, timeouts={"total": _PROBE_SECONDS}, options={})

    def prepare_now(self, *, is_only: bool) -> None:
        """Prepare it at once, so that what is wrong is said where the call is made.

        With others behind it, what only this target cannot do is left for the call to find.
        """
        if not self.is_ready():
            return
        try:
            self._first = self.prepare(None)
        except (PolicyError, UnsupportedFeatureError, ModelNotFoundError):
            if is_only:
                raise


class RequestCandidate(_Candidate):
    """The only target of a request that is no chat: the same attempts, timers and errors."""

    __slots__ = ("_wire",)

    def __init__(self, routes: Routes, target: str, wire: WireRequest, timeouts: Mapping[str, float]) -> None:
        super().__init__(routes, target, timeouts)
        self._wire = wire

    def prepare(self, prefix: str | None) -> Route:
        """Return the request for its provider."""
        return self._routes.raw_route(self._provider, self.target, self._wire, self._timeouts)

    def window(self) -> None:
        """Return None: there is no prompt that could be too long."""

    def probe(self) -> Route:
        """Return the request itself: there is no other target, so nobody asks."""
        return self.prepare(None)
