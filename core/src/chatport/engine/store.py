"""What an attempt has received so far, kept small and held against its limit: it cannot be more than what has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..basics.sizes import Limits
from ..call import StreamState
from ..decoding.collector import Collector
from ..errors import MalformedReplyError, over_limit

if TYPE_CHECKING:
    from ..decoding.caller_names import CallerNames

__all__ = ["Store", "too_large"]

_WEIGHED_BYTES = 4 * 1024 * 1024  # after so many, what was collected is measured
_WEIGHED_AGAIN = 4  # and once a quarter of it can have been added: measuring all of it more often would take its time


class Store:
    """The places in which the pieces of one stream are held."""

    def __init__(
        self, collector: Collector, state: StreamState, caller_names: CallerNames | None, limits: Limits
    ) -> None:
        self._collector = collector
        self._state = state
        self._caller_names = caller_names
        self._limits = limits
        self._unweighed_bytes = 0
        self._weighed_after = _WEIGHED_BYTES

    def keep_small(self, received: int) -> None:
        """Join small pieces, after so many more bytes. Raises MalformedReplyError where too much is held."""
        self._collector.compact()
        for choice in self._state.choices.values():
            if hasattr(choice, "compact"):
                choice.compact()
        held_beside = 0 if self._caller_names is None else self._caller_names.compact()
        self._unweighed_bytes += received
        if self._unweighed_bytes >= self._weighed_after:
            self._unweighed_bytes = 0
            size, values = self._collector.weight()
            if size + held_beside > self._limits.body_bytes:
                raise too_large(self._limits)
            if values > self._limits.values:
                raise over_limit("What is kept of the stream", self._limits.values, "JSON values", "values")
            self._weighed_after = max(_WEIGHED_BYTES, size // _WEIGHED_AGAIN)


def too_large(limits: Limits) -> MalformedReplyError:
    """Return the error for a reply of more bytes than are accepted."""
    return MalformedReplyError(
        f"The reply is larger than {limits.body_bytes} bytes after decompression; raise limits.body_bytes if it "
        "really is."
    )
