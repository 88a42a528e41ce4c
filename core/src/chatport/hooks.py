"""The contract between core and plugins: every hook, in one place.

A hook is a plain synchronous function of values: it does no I/O, awaits nothing, and changes none of its
arguments (but `state`, which is there to be changed). Mark an implementation with `@hookimpl`:

    from collections.abc import Generator

    from chatport import Call, Context, Failure, Verdict, WireRequest, WireTools, hookimpl

    @hookimpl                      # replaces the step: the first result that is not None counts
    def classify_error(failure: Failure, context: Context) -> Verdict | None: ...

    @hookimpl(wrapper=True)        # adjusts the step: whatever the rest of the chain gives comes out of the yield
    def shape_request(call: Call, tools: WireTools) -> Generator[None, WireRequest, WireRequest]:
        wire = yield
        return wire.drop("temperature", "has no effect here", "DS-P5")

An implementation names only the arguments it needs. Chains are per provider and run from the outside in:
`plugins=` given to the client, patches named in the configuration, installed patches, the vendor's own plugin, and
the standard dialect at the bottom.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from .basics.typed import kind_of
from .call import Call, Chunk, Context, Failure, StreamState, Verdict, WireRequest, WireTools
from .errors import PluginError
from .events import Event
from .facts.models import ModelFacts
from .types import ModelInfo, RateLimits

__all__ = ["HOOK_API", "ProviderHooks", "hookimpl", "hookspec"]

HOOK_API = 1
"""Version of this contract. A provider that declares a newer one is refused with a clear error."""

hookspec = pluggy.HookspecMarker("chatport")


_FUNCTIONS = (types.FunctionType, types.MethodType, staticmethod, classmethod, property)
_mark: Any = pluggy.HookimplMarker("chatport")


def _checked_mark(function: Any = None, **options: Any) -> Any:
    """Mark a function as a hook, as pluggy does it, and say what is wanted where something else is given."""
    if function is not None and not isinstance(function, _FUNCTIONS):
        raise PluginError(f"@hookimpl marks a function, not {kind_of(function)}.")
    return _mark(function, **options)


if TYPE_CHECKING:
    hookimpl = pluggy.HookimplMarker("chatport")
else:
    hookimpl = _checked_mark


class ProviderHooks:
    """The hooks of one provider. All but `observe` stop at the first result that is not None."""

    @hookspec(firstresult=True)
    def describe_model(self, model: str, context: Context) -> ModelFacts | None:
        """Return what is known of a model on this host: limits, prices, abilities.

        Called once for each (provider, model, base URL); `context.facts` is empty here. The standard
        implementation looks into the provider's facts file. The user's `[models."p:m"]` table is laid over
        the result.
        """

    @hookspec(firstresult=True)
    def translate_tools(self, call: Call, context: Context) -> WireTools | None:
        """Return the tool list and the choice as the vendor takes them: schema subset, names, strictness, caps.

        Called before `shape_request`, also for calls without tools.
        """

    @hookspec(firstresult=True)
    def shape_request(self, call: Call, tools: WireTools, context: Context) -> WireRequest | None:
        """Return the HTTP request: path below the base URL, headers, JSON body, and whether it streams.

        What is dropped, lowered or renamed on the way is recorded with the methods of `WireRequest`.
        """

    @hookspec(firstresult=True)
    def decode_chunk(
        self, chunk: Chunk, state: StreamState, context: Context, request: WireRequest
    ) -> Sequence[Event] | None:
        """Return the events that one parsed event of the stream means; empty for a preamble or a heartbeat.

        The end is told with `FinishReported`, an error inside the stream with `ErrorReported`. `chunk.data` is
        the decoded JSON; a hook that does not touch it costs no second parse. `request` is what this stream
        answers, as it was sent. A plain hook that names all four arguments, in this order, is called directly.
        """

    @hookspec(firstresult=True)
    def decode_reply(self, data: Any, context: Context, request: WireRequest) -> Sequence[Event] | None:
        """Return a whole, not streamed reply as the same events that a stream would give.

        `request` is what it answers, as it was sent.
        """

    @hookspec(firstresult=True)
    def classify_error(self, failure: Failure, context: Context) -> Verdict | None:
        """Return what a failure means: error class, retryable or not, when, or events that make it a reply."""

    @hookspec(firstresult=True)
    def parse_models(self, data: Any, context: Context) -> Sequence[ModelInfo] | None:
        """Return the models in the vendor's answer to `GET /models`."""

    @hookspec(firstresult=True)
    def read_rate_limits(self, headers: Mapping[str, str], context: Context) -> RateLimits | None:
        """Return the headroom that the reply's headers tell (names are lower case), None if they tell nothing."""

    @hookspec
    def observe(self, event: str, fields: Mapping[str, Any], context: Context) -> None:
        """See the life of a call: `call_started`, `attempt_started`, `attempt_failed`, `call_finished`, `call_failed`.

        `fields` hold counts, times and names, and never keys; prompts and replies only where `[log] content` says so.
        All implementations are called.
        """
