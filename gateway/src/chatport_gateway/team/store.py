"""The store: projects, keys, limits and the audit log, in SQLite or PostgreSQL. What calls have used is in `usage.py`.

Nothing here is on the way of a call: the gateway keeps what it needs of it, and hears of changes by the audit log,
which has a row for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, Self

import attrs
from sqlalchemy import Connection, Engine, and_, create_engine, delete, event, insert, or_, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from chatport import ConfigurationError

from . import schema
from .clock import now_us, us_of
from .migrate import migrate
from .secrets import digest_of, new_id, new_secret, shown_of
from .values import GATEWAY, Holder, Key, Limits, NewKey, Project, holder_of

__all__ = ["NotThere", "Store", "Taken", "address_of"]

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
P = ParamSpec("P")
_KEY_COLUMNS = [schema.keys.c[field.name] for field in attrs.fields(Key)]


class NotThere(LookupError):
    """There is no such project or key."""


class Taken(ValueError):
    """There is one of that name already."""


def address_of(database: str) -> str:
    """Return the address of a database as SQLAlchemy wants it: of `sqlite:///path`, `postgresql://…`, or a path alone.

    Raises ConfigurationError for any other kind.
    """
    given = database if "://" in database else f"sqlite:///{database}"
    kind, _, rest = given.partition("://")
    if kind not in _DRIVERS:
        raise ConfigurationError(f"[team] database is sqlite:///PATH or postgresql://…, not {kind}://….")
    return f"{_DRIVERS[kind]}://{rest}"


class Store:
    """An open database. `async with await Store.open(address) as store:`; `engine` is for what reads more than keys."""

    def __init__(self, engine: AsyncEngine, writer: Engine | None = None) -> None:
        self.engine = engine
        self._writer = writer

    @classmethod
    async def open(cls, database: str, *, pool_size: int = 5) -> Self:
        """Open a database, and bring its schema up to date. Raises ConfigurationError where that cannot be."""
        address = address_of(database)
        try:
            made = cls(_engine(address, pool_size), _writer(address))
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ConfigurationError(f"[team] database cannot be used: {error}") from None
        except ValueError:  # its words may hold what stands in the address
            raise ConfigurationError("[team] database is no address: its host or its port cannot be read.") from None
        try:
            async with made.engine.begin() as connection:
                await connection.run_sync(migrate)
        except ConfigurationError:
            await made.close()
            raise
        except Exception as error:  # of each driver its own
            await made.close()
            shown = make_url(address).render_as_string(hide_password=True)
            raise ConfigurationError(f"[team] database {shown} cannot be opened: {_first_line(error)}") from None
        return made

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()
        if self._writer is not None:
            self._writer.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.close()

    async def write(self, work: Callable[Concatenate[Connection, P], None], *args: P.args, **more: P.kwargs) -> None:
        """Do work of many statements with a connection, in one transaction.

        SQLite's is done in a thread, on a connection of its own: the driver that is awaited goes to a thread and back
        for each step of each statement. It goes on to its end if whoever awaits it is cancelled.
        """
        writer = self._writer
        if writer is None:
            async with self.engine.begin() as connection:
                await connection.run_sync(work, *args, **more)
            return

        def write() -> None:
            with writer.begin() as connection:
                work(connection, *args, **more)

        await asyncio.to_thread(write)

    # --- projects

    async def create_project(self, name: str, limits: Limits | None = None, *, actor: str) -> Project:
        """Make a project. Raises Taken where there is one of that name."""
        made = Project(new_id(), name, now_us())
        async with self._change(actor, "project.create", holder_of("project", made.id), {"name": name}) as connection:
            try:
                await connection.execute(insert(schema.projects), attrs.asdict(made))
            except IntegrityError:
                raise Taken(f"There is a project {name!r} already.") from None
            await _set_limits(connection, holder_of("project", made.id), limits or Limits())
        return made

    async def projects(self) -> Sequence[Project]:
        """Return all projects, by name."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(schema.projects).order_by(schema.projects.c.name))
            return [Project(**row) for row in rows.mappings()]

    async def project(self, name_or_id: str) -> Project:
        """Return a project. Raises NotThere."""
        table = schema.projects
        named = or_(table.c.id == name_or_id, table.c.name == name_or_id)
        async with self.engine.connect() as connection:
            row = (await connection.execute(select(table).where(named))).mappings().first()
        if row is None:
            raise NotThere(f"There is no project {name_or_id!r}.")
        return Project(**row)

    async def close_project(self, project_id: str, *, actor: str) -> None:
        """Refuse all keys of a project from now on. What they have used stays. Raises NotThere."""
        table = schema.projects
        async with self._change(actor, "project.close", holder_of("project", project_id), {}) as connection:
            changed = await connection.execute(update(table).where(table.c.id == project_id).values(closed_us=now_us()))
            if not changed.rowcount:
                raise NotThere(f"There is no project {project_id!r}.")

    # --- keys

    async def create_key(
        self,
        name: str,
        *,
        actor: str,
        project_id: str | None = None,
        limits: Limits | None = None,
        models: Sequence[str] | None = None,
        providers: Sequence[str] | None = None,
        expires: datetime | None = None,
    ) -> NewKey:
        """Make a key; what it is can be read here and never again. Raises NotThere for a project that is not there."""
        secret = new_secret()
        key = Key(
            new_id(),
            project_id,
            name,
            shown_of(secret),
            now_us(),
            expires_us=None if expires is None else us_of(expires),
            models=None if models is None else tuple(models),
            providers=None if providers is None else tuple(providers),
        )
        details = {"name": name, "shown": key.shown, "project_id": project_id}
        async with self._change(actor, "key.create", holder_of("key", key.id), details) as connection:
            if project_id is not None:
                found = select(schema.projects.c.id).where(schema.projects.c.id == project_id)
                if (await connection.execute(found)).first() is None:
                    raise NotThere(f"There is no project {project_id!r}.")
            values = {**attrs.asdict(key), "digest": digest_of(secret)}
            await connection.execute(insert(schema.keys), values)
            await _set_limits(connection, holder_of("key", key.id), limits or Limits())
        return NewKey(key, secret)

    async def keys(self, project_id: str | None = None, *, most: int = 1000, after: str = "") -> Sequence[Key]:
        """Return keys by id, of one project or all; those after an id, so many at most."""
        wanted = select(*_KEY_COLUMNS).where(schema.keys.c.id > after).order_by(schema.keys.c.id).limit(most)
        if project_id is not None:
            wanted = wanted.where(schema.keys.c.project_id == project_id)
        async with self.engine.connect() as connection:
            return [_key(row) for row in (await connection.execute(wanted)).mappings()]

    async def key(self, id_or_shown: str) -> Key:
        """Return a key by its id or its beginning. Raises NotThere."""
        table = schema.keys
        wanted = select(*_KEY_COLUMNS).where(or_(table.c.id == id_or_shown, table.c.shown == id_or_shown))
        async with self.engine.connect() as connection:
            row = (await connection.execute(wanted)).mappings().first()
        if row is None:
            raise NotThere(f"There is no key {id_or_shown!r}.")
        return _key(row)

    async def find(self, digest: bytes) -> tuple[Key, Project | None, bool] | None:
        """Return the key with a hash, its project, and whether it is the one before a rotation; None: there is none."""
        table = schema.keys
        old = and_(table.c.old_digest == digest, table.c.old_until_us > now_us())
        wanted = select(*_KEY_COLUMNS, table.c.digest).where(or_(table.c.digest == digest, old))
        async with self.engine.connect() as connection:
            row = (await connection.execute(wanted)).mappings().first()
            if row is None:
                return None
            key, project = _key(row), None
            if key.project_id is not None:
                of = select(schema.projects).where(schema.projects.c.id == key.project_id)
                project = Project(**(await connection.execute(of)).mappings().one())
        return key, project, row["digest"] != digest

    async def rotate_key(self, key_id: str, *, actor: str, old_until: datetime | None = None) -> NewKey:
        """Put a new key in the place of one. The old one is taken until `old_until`, if given. Raises NotThere."""
        secret, table = new_secret(), schema.keys
        until = now_us() if old_until is None else us_of(old_until)
        values = {"digest": digest_of(secret), "shown": shown_of(secret), "rotated_us": now_us()}
        details = {"shown": values["shown"], "old_until_us": until}
        async with self._change(actor, "key.rotate", holder_of("key", key_id), details) as connection:
            changed = await connection.execute(
                update(table)
                .where(table.c.id == key_id, table.c.revoked_us.is_(None))
                .values(**values, old_digest=table.c.digest, old_until_us=until)
            )
            if not changed.rowcount:
                raise NotThere(f"There is no key {key_id!r}, or it is revoked.")
        return NewKey(await self.key(key_id), secret)

    async def change_key(self, key_id: str, *, actor: str, **values: Any) -> Key:
        """Change `name`, `models`, `providers` or `expires_us` of a key. Raises NotThere."""
        unknown = values.keys() - {"name", "models", "providers", "expires_us"}
        if unknown:
            raise TypeError(f"A key has no {', '.join(sorted(unknown))} to be changed.")
        await self._update_key(key_id, "key.change", actor, values)
        return await self.key(key_id)

    async def revoke_key(self, key_id: str, *, actor: str) -> None:
        """Refuse a key from now on, for ever. Raises NotThere."""
        await self._update_key(key_id, "key.revoke", actor, {"revoked_us": now_us()})

    async def _update_key(self, key_id: str, action: str, actor: str, values: Mapping[str, Any]) -> None:
        async with self._change(actor, action, holder_of("key", key_id), dict(values)) as connection:
            changed = await connection.execute(update(schema.keys).where(schema.keys.c.id == key_id).values(**values))
            if not changed.rowcount:
                raise NotThere(f"There is no key {key_id!r}.")

    # --- limits

    async def limits(self, holders: Sequence[Holder]) -> Mapping[Holder, Limits]:
        """Return the limits of each holder that has some."""
        wanted = select(schema.limits).where(schema.limits.c.holder.in_(holders))
        async with self.engine.connect() as connection:
            rows = [dict(row) for row in (await connection.execute(wanted)).mappings()]
        return {row.pop("holder"): Limits(**row) for row in rows}

    async def set_limits(self, holder: Holder, limits: Limits, *, actor: str) -> None:
        """Put limits in the place of those that a holder has. Raises NotThere for a holder that is not there."""
        async with self._change(actor, "limits.set", holder, limits.told()) as connection:
            kind, _, id = holder.partition(":")
            tables = {"project": schema.projects, "key": schema.keys}
            if holder != GATEWAY:
                table = tables.get(kind)
                if (
                    table is None
                    or (await connection.execute(select(table.c.id).where(table.c.id == id))).first() is None
                ):
                    raise NotThere(f"There is no {holder!r}.")
            await _set_limits(connection, holder, limits)

    # --- what was done, by whom

    async def audit(self, *, after: int = 0, most: int = 1000) -> Sequence[Mapping[str, Any]]:
        """Return what was done after a number, in order: `id`, `at_us`, `actor`, `action`, `subject`, `details`."""
        wanted = select(schema.audit).where(schema.audit.c.id > after).order_by(schema.audit.c.id).limit(most)
        async with self.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(wanted)).mappings()]

    async def last_change(self) -> int:
        """Return the number of the newest row of the audit log."""
        wanted = select(schema.audit.c.id).order_by(schema.audit.c.id.desc()).limit(1)
        async with self.engine.connect() as connection:
            return int((await connection.execute(wanted)).scalar() or 0)

    @asynccontextmanager
    async def _change(
        self, actor: str, action: str, subject: str, details: Mapping[str, Any]
    ) -> AsyncIterator[AsyncConnection]:
        """Do something and note that it was done, both or neither."""
        async with self.engine.begin() as connection:
            yield connection
            row = {"at_us": now_us(), "actor": actor, "action": action, "subject": subject, "details": dict(details)}
            await connection.execute(insert(schema.audit), row)


async def _set_limits(connection: AsyncConnection, holder: Holder, limits: Limits) -> None:
    await connection.execute(delete(schema.limits).where(schema.limits.c.holder == holder))
    if limits != Limits():
        await connection.execute(insert(schema.limits), {"holder": holder, **attrs.asdict(limits)})


def _key(row: Any) -> Key:
    values = {field.name: row[field.name] for field in attrs.fields(Key)}
    for name in ("models", "providers"):
        values[name] = None if values[name] is None else tuple(values[name])
    return Key(**values)


def _engine(address: str, pool_size: int) -> AsyncEngine:
    if address.startswith("sqlite"):
        made = create_async_engine(address, connect_args={"timeout": 30})
        event.listen(made.sync_engine, "connect", _set_up_sqlite)
        return made
    return create_async_engine(address, pool_size=pool_size, max_overflow=0, pool_pre_ping=True, pool_timeout=10)


def _writer(address: str) -> Engine | None:
    """Return what SQLite is written with from a thread, None for other databases."""
    if not address.startswith("sqlite"):
        return None
    made = create_engine(make_url(address).set(drivername="sqlite"), connect_args={"timeout": 30})
    event.listen(made, "connect", _set_up_sqlite)
    return made


def _set_up_sqlite(connection: Any, _: Connection) -> None:
    """A log before the tables, so that readers and the one who writes do not wait for one another."""
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
