"""What holds for a vendor whatever the model: its errors, addresses, rate limits and usage, said as data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..basics.frozen import freeze_fields

__all__ = ["AddressRule", "ErrorRule", "LimitsRule", "UsageRule"]


class ErrorRule(msgspec.Struct, frozen=True):
    """What an error means, where the standard's reading of code, words and status is wrong. The first that fits counts.

    It fits if everything that is given does: `status` one of these (inside a 200, the one that the error names), `code`
    the error's code or type, `begins` one of these at the beginning of its message, and `words` one of these anywhere
    in it, all in small letters.
    `error` is the name of the class. `retryable` None: as the class says. `advice` is put behind the vendor's words,
    with `{host}` for where the call went.
    """

    error: str
    status: tuple[int, ...] = ()
    code: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()
    retryable: bool | None = None
    retry_after_seconds: float | None = None
    advice: str = ""
    fact: str = ""


class AddressRule(msgspec.Struct, frozen=True):
    """A base URL of the vendor's, and the settings under which it holds: `{"region": "china", "plan": "general"}`.

    The first rule that has all that the user has set is taken, so the usual place stands first. A value that no rule
    has is refused, with those that there are. `setting` in place of `when` names a setting that is itself an address,
    and goes before all others: where it is a bare host, it gets the path of `base_url`.
    """

    base_url: str
    when: Mapping[str, str] = msgspec.field(default_factory=dict)
    setting: str | None = None
    fact: str = ""

    def __post_init__(self) -> None:
        freeze_fields(self, "when")


class LimitsRule(msgspec.Struct, frozen=True):
    """Which headers tell of the vendor's rate limits, by what they mean, where they are not the standard's.

    Of the headers given for a value, the first that holds a number counts. An empty list leaves the value out: a limit
    by the second or by the day would be taken for one by the minute. What is not given has the standard's header. Times
    are in seconds, or durations such as `1m30s`. `wait` are headers in which a refusal says how long to wait, where
    there is no `retry-after`.
    """

    requests_limit: tuple[str, ...] | None = None
    requests_remaining: tuple[str, ...] | None = None
    requests_reset_seconds: tuple[str, ...] | None = None
    tokens_limit: tuple[str, ...] | None = None
    tokens_remaining: tuple[str, ...] | None = None
    tokens_reset_seconds: tuple[str, ...] | None = None
    wait: tuple[str, ...] = ()
    fact: str = ""


class UsageRule(msgspec.Struct, frozen=True):
    """Where the vendor's usage says what, for counts that are not in the standard's places.

    Each is a path inside the usage object, `details.thought`. What is not given is read as the standard reads it.
    `rest_is_reasoning`: where no reasoning is named, what `total_tokens` has beyond input and output is reasoning that
    the output does not count. `cost` is the path of what was charged, and `cost_factor` what one unit of it is in USD:
    1e-10 for ticks.
    """

    input_tokens: str | None = None
    output_tokens: str | None = None
    cached_input_tokens: str | None = None
    cache_write_tokens: str | None = None
    reasoning_tokens: str | None = None
    rest_is_reasoning: bool = False
    cost: str | None = None
    cost_factor: float = 1
    fact: str = ""
