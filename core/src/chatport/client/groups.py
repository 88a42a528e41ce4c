"""How a block ends that has a task group inside, so that nobody outside has to know of the group."""

from __future__ import annotations

from types import TracebackType

import anyio

__all__ = ["leave_group"]


async def leave_group(
    group: anyio.abc.TaskGroup,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> bool | None:
    """Cancel what runs, wait for it, and return what the block's `__aexit__` is to return.

    Raises what a task raised that ends the program: as itself, the first of several, since no caller catches a group.
    """
    group.cancel_scope.cancel()
    # An error of the block is not the group's: it would come out of it wrapped.
    is_own = error is None or not isinstance(error, anyio.get_cancelled_exc_class())
    ending = (None, None, None) if is_own else (kind, error, trace)
    try:
        swallowed = await group.__aexit__(*ending)
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return None if is_own else swallowed
