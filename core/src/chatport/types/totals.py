"""What the calls of a client have used and cost so far."""

from __future__ import annotations

import attrs

from ..basics.typed import check_fields
from ..basics.values import Value
from ..errors import BadRequestError
from . import Cost, Usage

__all__ = ["Totals"]


@attrs.frozen(eq=False, repr=False)
class Totals(Value):
    """Sums over the calls that were answered: `calls` of them.

    `usage` sums the counts that vendors told, `costs` has one `Cost` for each currency. `without_usage` and
    `without_cost` say how many answers are not in them, since nobody knows. Nor is what a call had used that failed or
    was left: a `Budget` without a cap counts that too.
    """

    calls: int = 0
    usage: Usage = attrs.field(factory=Usage)
    costs: tuple[Cost, ...] = ()
    without_usage: int = 0
    without_cost: int = 0

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)

    def __str__(self) -> str:
        costs = " + ".join(map(str, self.costs)) or "no cost known"
        unknown = f" (and {self.without_cost} of unknown cost)" if self.without_cost and self.costs else ""
        return f"{self.calls} calls: {self.usage}, {costs}{unknown}"
