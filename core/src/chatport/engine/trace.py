"""What has happened in a call so far, and the telling of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from ..basics.display import one_line
from ..basics.frozen import FrozenDict
from ..basics.log import is_read, warn
from ..call import Call
from ..decoding.redaction import hide_key
from ..errors import ChatportError
from ..plugins.plan import nothing
from ..types import Adjustment, Attempt, Reply
from .attempt import AttemptRun
from .route import Route, run_side_hook
from .shared import Shared

__all__ = ["CallTrace"]

_SHOWN = 200


@attrs.define(eq=False, repr=False)
class CallTrace:
    """`attempts` are the exchanges of a call on the wire and nothing else; `notes` tell of targets passed over.

    `bodies` counts what is sent: two tries side by side have a body each, while no attempt has ended yet.

    Events go to the log, the client's observers, and the `observe` hook of the provider whose turn it is. They hold
    names, counts and times; prompts and replies where `[log] content` asks for them, and never keys.
    """

    shared: Shared
    started: float
    _call_id: str = ""
    attempts: tuple[Attempt, ...] = ()
    notes: tuple[Adjustment, ...] = ()
    first_event_seconds: float | None = None
    bodies: int = attrs.field(default=0, repr=False)
    _route: Route | None = attrs.field(default=None, repr=False)
    is_heard: bool = attrs.field(default=False, repr=False)
    """Whether anybody listens, as of the last turn: where nobody does, nothing is put together."""

    @property
    def call_id(self) -> str:
        """What the call is called where it is told of, made when it first is."""
        self._call_id = self._call_id or os.urandom(16).hex()
        return self._call_id

    def seconds(self) -> float:
        """Return how long the call has been going on."""
        return self.shared.clock.monotonic() - self.started

    def turn_to(self, route: Route, targets: int) -> None:
        """Note whose turn it is; the first time, tell that the call starts."""
        is_first, self._route = self._route is None, route
        self.is_heard = route.plan.observe is not nothing or self.shared.is_heard
        if not (is_first and self.is_heard):
            return
        call = route.call
        options = ("max_tokens", "temperature", "top_p", "seed")
        self._tell(
            "call_started",
            lambda: {
                "operation": route.operation,
                **_server(route),
                "stream": call is not None and call.stream,
                "tools": 0 if call is None else len(call.tools) + len(call.server_tools),
                "targets": targets,
                **({} if call is None else {name: getattr(call, name) for name in options}),
                **self._content(call),
            },
        )

    def attempt_started(self) -> None:
        """Tell that a request is about to be sent. Asked only where somebody listens."""
        route = self._route
        assert route is not None, "it is somebody's turn before an attempt is made"
        self._tell("attempt_started", lambda: {"attempt": len(self.attempts) + 1, **_server(route)})

    def first_event(self) -> None:
        """Note the first content of the call, once."""
        if self.first_event_seconds is None:
            self.first_event_seconds = self.shared.clock.monotonic() - self.started
            if self.is_heard:
                self._tell("first_event", lambda: {"attempt": len(self.attempts) + 1})

    def attempt_ended(
        self,
        attempt: AttemptRun,
        began: float,
        error: ChatportError | None = None,
        wait: float | None = None,
        outcome: str = "ok",
    ) -> None:
        """Record an attempt; `wait` is how long until the next one on this target, None if there is none."""
        outcome = outcome if error is None else type(error).__name__
        status = None if attempt.head is None else attempt.head.status
        seconds = self.shared.clock.monotonic() - began
        ended = Attempt(attempt.route.context.target, outcome, seconds, status, wait or 0.0, error)
        self.attempts = (*self.attempts, ended)
        if error is not None and (self.is_heard or is_read("attempt_failed")):
            self._tell(
                "attempt_failed",
                lambda: {
                    "attempt": len(self.attempts),
                    "error": ended.outcome,
                    "status": error.status,
                    "code": error.code,
                    "retryable": error.retryable,
                    "wait_seconds": ended.wait_seconds,
                },
            )

    def passed_over(self, target: str, why: str) -> None:
        """Note that a target was not asked; nothing was sent to it."""
        note = Adjustment("redirected", "model", f"{target} was passed over: {why[:_SHOWN]}")
        self.notes = (*self.notes, note)

    def finished(self, reply: Reply) -> None:
        """Tell the end. Asked only where somebody listens."""
        usage, cost = reply.usage, reply.cost
        self._tell(
            "call_finished",
            lambda: {
                "model": reply.model,
                "request_id": reply.request_id,
                "reply_id": reply.id,
                "finish_reason": reply.finish_reason,
                "attempts": len(self.attempts),
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_input_tokens": usage.cached_input_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
                "cost_amount": None if cost is None else cost.amount,
                "cost_currency": None if cost is None else cost.currency,
                "first_event_seconds": self.first_event_seconds,
                **self._content(reply),
            },
        )

    def failed(self, error: ChatportError) -> None:
        """Give the error the trace, and tell that the call has ended in it."""
        error.attempts = self.attempts
        for note in self.notes:
            error.add_note(one_line(note.reason, _SHOWN))
        if self._route is not None and (self.is_heard or is_read("call_failed")):
            self._tell(
                "call_failed",
                lambda: {
                    "error": type(error).__name__,
                    "status": error.status,
                    "attempts": len(self.attempts),
                    **self._content(error.partial),
                },
            )

    def cancelled(self, partial: Callable[[], Reply] | None = None) -> None:
        """Tell that the caller has left; `partial` gives what had come until then."""
        if self.is_heard:
            self._tell(
                "call_cancelled",
                lambda: {
                    "attempts": len(self.attempts),
                    **(self._content(partial()) if partial is not None and self.shared.content is not None else {}),
                },
            )

    def _content(self, what: Call | Reply | None) -> Mapping[str, Any]:
        """Return what is asked or answered, where it is to be told. To fail in that is a warning: the call goes on."""
        policy, route = self.shared.content, self._route
        if policy is None or what is None or route is None:
            return {}
        from ..decoding.content import told  # only who asks for content needs it

        try:
            own = tuple(secret.reveal() for secret in route.request.secrets)
            return told(what, policy.most_bytes, (*own, *policy.keys()))
        except Exception as error:
            warn(f"The content of a call could not be told: {type(error).__name__}.")
            return {}

    def _tell(self, event: str, fields: Callable[[], Mapping[str, Any]]) -> None:
        """Tell whoever listens; asked only where somebody does."""
        route = self._route
        assert route is not None, "it is somebody's turn before anything is told"
        context = route.context
        key = route.request.revealed_key()
        known = {
            "call_id": self.call_id,
            "target": context.target,
            "provider": context.provider.name,
            "model": context.model,
            "seconds": self.seconds(),
            **fields(),
        }
        told = FrozenDict(  # one for all who listen
            {name: hide_key(value, key) if isinstance(value, str) else value for name, value in known.items()}
        )
        self.shared.tell(event, told)
        run_side_hook(route, "observe", event, told)


def _server(route: Route) -> dict[str, Any]:
    address = urlsplit(route.context.base_url)
    port = address.port or {"https": 443, "http": 80}.get(address.scheme)
    return {"server_address": address.hostname, "server_port": port}
