"""What names a target, which of an alias's targets a call may go to, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import attrs

from ..basics.bounded import LONGEST_NAME, MOST_MODELS
from ..basics.values import Value
from ..call import Call
from ..errors import ConfigurationError

__all__ = ["AliasTarget", "Condition", "alone", "check_length", "in_order", "split_target"]


@lru_cache(maxsize=MOST_MODELS)
def split_target(target: str) -> tuple[str, str]:
    """Split `provider:model` at the first colon. Raises ConfigurationError if there is none, or it is too long."""
    if len(target) > LONGEST_NAME:
        check_length(target)
    provider, colon, model = target.partition(":")
    if not target.isascii():
        from ..inputs.halves import is_whole

        if not is_whole(target):
            words = "it has half of a surrogate pair, such as half an emoji."
            raise ConfigurationError(f"{target!r} is not a target: {words}")
    if not colon or not provider or not model:
        raise ConfigurationError(f'{target!r} is not a target: write "provider:model", such as "openai:gpt-6-luna".')
    return provider, model


def check_length(name: str) -> None:
    """Raise ConfigurationError for what cannot be the name of a model: it would be kept, logged and sent as one."""
    if len(name) > LONGEST_NAME:
        raise ConfigurationError(
            f"The name of a model or provider has at most {LONGEST_NAME} characters; {name[:40]!r}… has {len(name)}. "
            "Nothing was sent. Is this text a message that was passed as model?"
        )


@attrs.frozen(eq=False, repr=False)
class Condition(Value):
    """What a call must be like to go to a target; None does not matter. Tokens are our estimate of the input."""

    above_input_tokens: int | None = None
    below_input_tokens: int | None = None
    tools: bool | None = None
    output: bool | None = None
    media: bool | None = None
    reasoning: bool | None = None
    stream: bool | None = None

    def holds(self, call: Call) -> bool:
        """Whether the call is like this."""
        for wanted, is_so in (
            (self.tools, bool(call.tools or call.server_tools)),
            (self.output, call.output is not None),
            (self.media, _has_media(call)),
            (self.reasoning, call.reasoning not in (None, "none")),
            (self.stream, call.stream),
        ):
            if wanted is not None and wanted != is_so:
                return False
        if self.above_input_tokens is None and self.below_input_tokens is None:
            return True
        from ..limits.estimate import estimate_input_tokens  # loaded where somebody asks for it

        try:
            tokens = estimate_input_tokens(call)
        except UnicodeEncodeError:  # half an emoji in a schema
            from ..inputs.halves import whole_call

            tokens = estimate_input_tokens(whole_call(call))
        return (self.above_input_tokens or 0) < tokens < (self.below_input_tokens or math.inf)


_ANY = Condition()


def _one_any(when: Condition) -> Condition:
    """Return the one condition that every call meets in the place of any other: it is known by being that one."""
    return _ANY if when == _ANY else when


def _has_media(call: Call) -> bool:
    from ..standard.content import content_kind

    return any(content_kind(part) is not None for m in call.messages for part in m.content)


@attrs.frozen(eq=False, repr=False)
class AliasTarget(Value):
    """One of an alias's targets. Those with a `weight` share the calls by it; the others keep their places."""

    target: str
    when: Condition = attrs.field(default=_ANY, converter=_one_any)
    weight: float | None = None


@lru_cache(maxsize=MOST_MODELS)
def alone(target: str) -> tuple[AliasTarget, ...]:
    """Return what a target means that is no alias. Raises ConfigurationError where it is no target."""
    split_target(target)
    return (AliasTarget(target),)


def in_order(entries: Sequence[AliasTarget], call: Call, random: Callable[[], float]) -> list[str]:
    """Return the targets that the call may go to, the preferred one first.

    Weighted ones are drawn without putting back: the first is any of them with a chance by its weight, and so on.
    Raises ConfigurationError if it may go to none.
    """
    if len(entries) == 1 and entries[0].when is _ANY:  # as nearly every call has it
        return [entries[0].target]
    fitting = [entry for entry in entries if entry.when == _ANY or entry.when.holds(call)]
    if not fitting:
        names = ", ".join(entry.target for entry in entries)
        raise ConfigurationError(f"No target's conditions hold for this call. The alias has: {names}.")
    # With keys u^(1/w) the order by key is exactly such a drawing (Efraimidis and Spirakis, 2006).
    weighted = [entry for entry in fitting if entry.weight is not None]
    drawn = iter(sorted(weighted, key=lambda entry: random() ** (1 / (entry.weight or 1)), reverse=True))
    return [(entry if entry.weight is None else next(drawn)).target for entry in fitting]
