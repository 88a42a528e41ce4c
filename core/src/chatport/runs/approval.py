"""What `approve=` may say of a tool call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import attrs

from ..basics.typed import check_fields, expect, kind_of
from ..basics.values import Value
from ..errors import BadRequestError
from ..types import ToolCall

__all__ = ["Approval", "Approve", "read_approval"]


@attrs.frozen(eq=False, repr=False)
class Approval(Value):
    """What is decided of a tool call before it is run: `allow`, `deny`, `answer` or `wait`.

    `text` is why it is denied, or the result that the model gets in the tool's place.
    """

    decision: Literal["allow", "deny", "answer", "wait"]
    text: str = ""

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)

    @classmethod
    def allow(cls) -> Approval:
        """Return that the tool is run; `True` means the same."""
        return cls("allow")

    @classmethod
    def deny(cls, reason: str = "") -> Approval:
        """Return that the tool is not run, and the model is told so, with the reason; `False` means the same."""
        return cls("deny", reason)

    @classmethod
    def answer(cls, result: str) -> Approval:
        """Return that the tool is not run, and this is its result."""
        expect(result, str, "The answer in a tool's place is a text", BadRequestError)
        return cls("answer", result)

    @classmethod
    def wait(cls) -> Approval:
        """Return that nothing is decided yet: the run ends here, with the call in `open_calls`, to be gone on with."""
        return cls("wait")


Approve: TypeAlias = Callable[[ToolCall], "bool | Approval | Awaitable[bool | Approval]"]


def read_approval(said: Any) -> Approval:
    """Return what `approve` has said. Raises BadRequestError for anything else than an Approval, True or False."""
    if isinstance(said, Approval):
        return said
    if not isinstance(said, bool):
        raise BadRequestError(f"approve returns True, False or a chatport.Approval, not {kind_of(said)}.")
    return Approval.allow() if said else Approval.deny()
