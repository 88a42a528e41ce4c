"""What goes on now: how the process stands, calls under way, and how each target is."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

from ..team.clock import day_of, now_us
from ..team.meter import Meter
from ..team.rows import clean
from ..team.values import GATEWAY, NANO, Standing
from . import told
from .office import Office, at, sums
from .routes import Given, Route

__all__ = ["ROUTES"]

_MOST_CALLS = 200
_MOST_TARGETS = 500


async def show_overview(office: Office, asked: Given) -> told.Overview:
    """Show how this process stands, and what was used today, this month and in all."""
    records, today = office.team.records, day_of(now_us())
    spent = (await office.desk.spent([GATEWAY]))[GATEWAY]
    days = await office.figures.by_day(today, today, key_id=None, project_id=None)
    set_limits = (await office.team.store.limits([GATEWAY])).get(GATEWAY)
    shown = await office.limits({GATEWAY: set_limits})
    return told.Overview(
        version=version("chatport-gateway"),
        now=datetime.now(UTC),
        open_calls=len(_calls(office)),
        waiting_bytes=records.waiting_bytes,
        is_behind=records.is_behind,
        is_full=records.is_full,
        lost_rows=records.lost_rows,
        today=_standing(spent["usd_day"]),
        month=_standing(spent["usd_month"]),
        total=_standing(spent["usd_total"]),
        failed_today=sum(int(row["failed_calls"]) for row in days),
        limits=shown[0].limits,
    )


def _standing(standing: Standing) -> told.Standing:
    return told.Standing(usd=standing.usd_nano / NANO, tokens=standing.tokens, calls=standing.calls)


def _calls(office: Office) -> list[Meter]:
    """Return what is asked for and under way: not who looks at a list of models."""
    live = list(office.team.live.values())
    return [meter for meter in live if meter.asked is not None and meter.asked.kind in ("chat", "embed")]


async def list_live(office: Office, asked: Given) -> told.Live:
    """List calls that this process has under way, the oldest first."""
    now, meters = time.monotonic(), _calls(office)
    return told.Live(open=len(meters), calls=[_live(meter, now) for meter in meters[:_MOST_CALLS]])


def _live(meter: Meter, now: float) -> told.LiveCall:
    asked, key = meter.asked, meter.member.key
    assert asked is not None
    return told.LiveCall(
        id=meter.id,
        at=at(meter.at_us),
        seconds=round(max(now - meter.began, 0.0), 3),
        state=_state(meter),
        request_id=meter.request_id,
        key_id=key.id,
        key=key.name,
        project_id=key.project_id,
        surface="" if meter.surface is None else meter.surface.name,
        model=clean(asked.model, 256) or "",
        target=meter.last_target,
        stream=asked.stream,
        reserved_usd=None if meter.reserved_nano is None else meter.reserved_nano / NANO,
    )


def _state(meter: Meter) -> Literal["waiting", "asking", "streaming"]:
    if not meter.is_let_pass:
        return "waiting"
    return "asking" if meter.first_at is None else "streaming"


async def list_targets(office: Office, asked: Given) -> told.Targets:
    """List every target that a name leads to and those that were asked lately: breaker, health, and today's calls."""
    aliases: dict[str, list[str]] = defaultdict(list)
    for name, alias in office.gateway.client.config.aliases.items():
        for target in dict.fromkeys(alias.targets):
            aliases[target].append(name)
    today = day_of(now_us())
    rows = await office.figures.by_group("target", today, today, key_id=None, project_id=None, most=_MOST_TARGETS)
    used: Mapping[str, Any] = {row["group"]: row for row in rows}
    breakers = office.gateway.client._shared.breakers.known()  # no call goes out for this
    listed = dict.fromkeys([*aliases, *breakers, *used])
    listed.pop("", None)  # calls that were refused have gone to nobody
    return told.Targets(
        targets=[
            _target(target, aliases.get(target, []), breakers.get(target), used.get(target))
            for target in list(listed)[:_MOST_TARGETS]
        ]
    )


def _target(target: str, aliases: list[str], breaker: Any, row: Mapping[str, Any] | None) -> told.Target:
    today = told.Sums(**sums(row))
    if breaker is None:
        health: Literal["up", "failing", "down", "unused"] = "up" if row is not None else "unused"
        return told.Target(
            target=target, aliases=aliases, health=health, breaker="closed", open_for_seconds=0.0, recent_attempts=0,
            recent_failed=0, today=today,
        )  # fmt: skip
    attempts, failed = breaker.recent
    state = breaker.state
    return told.Target(
        target=target,
        aliases=aliases,
        health="down" if state != "closed" else "failing" if failed else "up" if attempts or row else "unused",
        breaker=state,
        open_for_seconds=round(breaker.open_for_seconds, 3),
        recent_attempts=attempts,
        recent_failed=failed,
        today=today,
    )


ROUTES = (
    Route("GET", "/api/v1/overview", show_overview, told.Overview),
    Route("GET", "/api/v1/live", list_live, told.Live),
    Route("GET", "/api/v1/targets", list_targets, told.Targets),
)
