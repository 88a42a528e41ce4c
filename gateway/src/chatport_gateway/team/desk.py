"""What people do with keys, projects and limits: the same for the command line and for the admin port.

A desk has the name of whoever uses it, and each change is in the audit log by that name. Names are looked at here: they
are shown on pages and in terminals.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from .clock import TOTAL, day_of, month_of, now_us
from .store import NotThere, Store
from .usage import Usage
from .values import GATEWAY, Holder, Key, Limits, NewKey, Project, Standing, holder_of

__all__ = ["BadName", "Desk", "KeyState", "check_name", "state_of"]

KeyState: TypeAlias = Literal["active", "expired", "revoked"]

_LONGEST_NAME = 100
_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_REFUSED = ("Cc", "Cs", "Zl", "Zp", "Co", "Cn")


class BadName(ValueError):
    """A name that cannot be shown as what it is."""


def check_name(name: str) -> str:
    """Return a name. Raises BadName for one that is empty, too long, or has what a reader would not see."""
    if not name.strip() or name != name.strip():
        raise BadName("A name has something in it, and no space at its ends.")
    if len(name) > _LONGEST_NAME:
        raise BadName(f"A name has at most {_LONGEST_NAME} characters.")
    if any(letter in _DIRECTIONS or unicodedata.category(letter) in _REFUSED for letter in name):
        raise BadName("A name has no control characters, and none that turn the direction of the text.")
    return name


def state_of(key: Key) -> KeyState:
    """Return whether a key is taken now, and why not."""
    if key.revoked_us is not None:
        return "revoked"
    return "expired" if key.expires_us is not None and key.expires_us <= now_us() else "active"


class Desk:
    """Keys, projects and limits of a store, as `actor` uses them. Raises NotThere, Taken and BadName throughout."""

    def __init__(self, store: Store, actor: str) -> None:
        self.store = store
        self.usage = Usage(store)
        self.actor = actor

    # --- keys

    async def create_key(
        self,
        name: str,
        *,
        project: str | None = None,
        limits: Limits | None = None,
        models: Sequence[str] = (),
        providers: Sequence[str] = (),
        expires_after: timedelta | None = None,
    ) -> NewKey:
        """Make a key, in a project by its name or id. What it is can be read of the answer, and never again."""
        check_name(name)
        project_id = None
        if project is not None:
            its = await self.store.project(project)
            if its.closed_us is not None:
                raise NotThere(f"The project {its.name!r} is closed.")
            project_id = its.id
        return await self.store.create_key(
            name,
            actor=self.actor,
            project_id=project_id,
            limits=limits,
            models=tuple(models) or None,
            providers=tuple(providers) or None,
            expires=_later(expires_after),
        )

    async def rotate_key(self, key: str, *, keep_old: timedelta | None = None) -> NewKey:
        """Put a new key in the place of one (its id or its beginning); the old one is taken too for so long."""
        found = await self.store.key(bare(key))
        return await self.store.rotate_key(found.id, actor=self.actor, old_until=_later(keep_old))

    async def revoke_key(self, key: str) -> Key:
        """Refuse a key (its id or its beginning) from now on. One that is revoked already stays as it is."""
        found = await self.store.key(bare(key))
        if found.revoked_us is None:
            await self.store.revoke_key(found.id, actor=self.actor)
        return await self.store.key(found.id)

    # --- projects

    async def create_project(self, name: str, limits: Limits | None = None) -> Project:
        """Make a project."""
        if check_name(name) == GATEWAY:
            raise BadName(f"{GATEWAY!r} stands for all calls, and is no name of a project.")
        return await self.store.create_project(name, limits, actor=self.actor)

    async def close_project(self, project: str) -> Project:
        """Refuse all keys of a project (its name or id) from now on."""
        found = await self.store.project(project)
        if found.closed_us is None:
            await self.store.close_project(found.id, actor=self.actor)
        return await self.store.project(found.id)

    # --- limits

    async def holder(self, text: str) -> Holder:
        """Return who is meant: gateway, a project by name or id, a key by id or beginning, or a holder as it is."""
        if text == GATEWAY:
            return GATEWAY
        kind, _, id = text.partition(":")
        if kind == "key":
            return holder_of("key", (await self.store.key(id)).id)
        if kind == "project":
            return holder_of("project", (await self.store.project(id)).id)
        try:
            return holder_of("key", (await self.store.key(bare(text))).id)
        except NotThere:
            return holder_of("project", (await self.store.project(text)).id)

    async def limits(self, holders: Sequence[Holder]) -> Mapping[Holder, Limits]:
        """Return the limits that are set for each holder."""
        found = await self.store.limits(holders)
        return {holder: found.get(holder, Limits()) for holder in holders}

    async def spent(self, holders: Sequence[Holder]) -> Mapping[Holder, Mapping[str, Standing]]:
        """Return what each holder has used today, this month and in all: by `usd_day`, `usd_month`, `usd_total`."""
        now = now_us()
        windows = {"usd_day": day_of(now), "usd_month": month_of(now), "usd_total": TOTAL}
        found = await self.usage.standings(holders, windows.values())
        return {
            holder: {name: found.get((holder, window), Standing(holder, window)) for name, window in windows.items()}
            for holder in holders
        }

    async def set_limits(self, holder: Holder, limits: Limits) -> None:
        """Put limits in the place of those that a holder has."""
        await self.store.set_limits(holder, limits, actor=self.actor)


def bare(key: str) -> str:
    """Return the id or the beginning of a key. Of a whole key, its beginning: it does not belong here."""
    return key.rstrip("…")[:14] if key.startswith("cpk_") else key


def _later(span: timedelta | None) -> datetime | None:
    return None if span is None else datetime.now(UTC) + span
