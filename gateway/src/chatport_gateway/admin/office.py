"""What the handlers of the admin API work with: a gateway's store, its desk, and what it has in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from chatport import OverloadedError
from chatport.sharing import Rate, Share, Stock

from ..app import Gateway
from ..team.accounts import Account, Kind
from ..team.clock import day_of, month_of, now_us
from ..team.desk import Desk, state_of
from ..team.figures import Figures
from ..team.team import Team
from ..team.values import GATEWAY, NANO, Holder, Key, Limits as TeamLimits, Standing
from . import given, told
from .routes import BadRequest

__all__ = ["ACTOR", "Office", "at", "key_shown", "limits_of", "period", "sums"]

ACTOR = "admin"
_LONGEST_DAYS = 400
_USUAL_DAYS = 30


class Office:
    """The parts of an open gateway. Made for each request, so it never outlives what it is of."""

    def __init__(self, gateway: Gateway) -> None:
        if gateway.team is None:
            raise OverloadedError("The gateway is starting or stopping.", retryable=True, retry_after_seconds=1.0)
        self.gateway = gateway
        self.team: Team = gateway.team
        self.desk = Desk(self.team.store, ACTOR)
        self.figures = Figures(self.team.store)

    async def changed(self) -> None:
        """See a change at once, in this process; others see it within a second."""
        await self.team.directory.refresh()

    async def limits(self, holders: Mapping[Holder, TeamLimits | None]) -> list[told.HolderLimits]:
        """Return holders with their limits (None: those of the configuration), and what is left of them."""
        spent = await self.desk.spent(list(holders))
        names = await self.figures.names(holder.partition(":")[2] for holder in holders)
        shown = []
        for holder, its in holders.items():
            limits = self.team.settings.limits if its is None else its
            account = self.team.accounts.get(holder)
            listed = _limits_shown(limits, spent[holder], account)
            name = GATEWAY if holder == GATEWAY else names.get(holder.partition(":")[2], "")
            shown.append(told.HolderLimits(holder=holder, name=name, is_set=its is not None, limits=listed))
        return shown


def _limits_shown(limits: TeamLimits, spent: Mapping[str, Standing], account: Account | None) -> list[told.LimitShown]:
    shown = []
    now = now_us()
    windows = {"usd_day": day_of(now), "usd_month": month_of(now), "usd_total": "total"}
    kinds: list[Kind] = ["usd_day", "usd_month", "usd_total", "requests_per_minute", "tokens_per_minute", "concurrency"]  # type: ignore[list-item]  # as people write them
    for kind in kinds:
        limit = limits.told()[kind]
        if limit is None:
            continue
        used, held = _used(kind, limit, spent, account)
        left = max(limit - used - held, 0)
        shown.append(
            told.LimitShown(
                kind=kind,  # type: ignore[arg-type]
                limit=limit,
                used=round(used, 9),
                held=round(held, 9),
                left=round(left, 9),
                window=windows.get(kind),
            )
        )
    return shown


def _used(kind: str, limit: float, spent: Mapping[str, Standing], account: Account | None) -> tuple[float, float]:
    """Return what is used and what is held of a limit: as the database has it, and what this process knows beyond."""
    if kind.startswith("usd_"):
        used = spent[kind].usd_nano
        part = None if account is None else account.money.get(kind)  # type: ignore[call-overload]
        stock = _alone(part)
        if isinstance(stock, Stock):
            return max(used, stock.spent) / NANO, stock.held / NANO
        return used / NANO, 0.0
    if account is None:
        return 0.0, 0.0
    parts = {"requests_per_minute": account.requests, "tokens_per_minute": account.tokens, "concurrency": account.slots}
    alone = _alone(parts[kind])
    if isinstance(alone, Rate):
        return max(limit - alone.left(time.monotonic()), 0), 0.0
    return 0.0, float(alone.held) if isinstance(alone, Stock) else 0.0


def _alone(part: Rate | Stock | Share | None) -> Rate | Stock | None:
    return part.alone if isinstance(part, Share) else part


def limits_of(limits: given.Limits) -> TeamLimits:
    """Return limits as the store has them."""
    return TeamLimits.of(**msgspec.structs.asdict(limits))


def at(us: int | None) -> Any:
    """Return a time of the store."""
    return None if us is None else datetime.fromtimestamp(us / 1_000_000, UTC)


def sums(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the sums of a row as they are told."""
    row = row or {}
    names = ("calls", "failed_calls", "input_tokens", "output_tokens", "unknown_cost_calls")
    told: dict[str, Any] = {name: int(row.get(name) or 0) for name in names}
    return {**told, "usd": int(row.get("usd_nano") or 0) / NANO, "seconds": round(float(row.get("seconds") or 0.0), 6)}


def key_shown(key: Key, projects: Mapping[str, str]) -> told.KeyShown:
    """Return a key as it is told."""
    return told.KeyShown(
        id=key.id,
        name=key.name,
        shown=key.shown,
        state=state_of(key),
        project_id=key.project_id,
        project=projects.get(key.project_id or ""),
        created_at=at(key.created_us),
        rotated_at=at(key.rotated_us),
        expires_at=at(key.expires_us),
        revoked_at=at(key.revoked_us),
        old_until=at(key.old_until_us),
        models=_list(key.models),
        providers=_list(key.providers),
    )


def _list(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def period(query: given.PeriodQuery) -> tuple[str, str]:
    """Return from which day to which. Raises BadRequest for what is none, or is too long."""
    today = datetime.now(UTC).date()
    until = _day(query.until, "until") if query.until is not None else today
    since = _day(query.since, "since") if query.since is not None else until - timedelta(days=_USUAL_DAYS - 1)
    if since > until:
        raise BadRequest("`since` is after `until`.")
    if (until - since).days >= _LONGEST_DAYS:
        raise BadRequest(f"At most {_LONGEST_DAYS} days can be asked for at once.")
    return since.isoformat(), until.isoformat()


def _day(text: str, name: str) -> Any:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise BadRequest(f"`{name}` is a day as 2026-11-30.") from None
