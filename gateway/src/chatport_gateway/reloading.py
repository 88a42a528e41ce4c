"""Another configuration in the place of the one that is served, while calls go on.

A configuration is read and checked whole before anything changes; if something is wrong with it, the one before stays.
Requests under way end with what they began with. What cannot change in a process that runs is kept, and said.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio.to_thread
import attrs

from chatport import ChatportError, Config, ConfigurationError

from .settings import GatewaySettings, is_loopback
from .setup import Setup

if TYPE_CHECKING:
    from .app import Gateway

__all__ = ["Read", "Reloads", "reload"]

Read: TypeAlias = Callable[[], tuple[Config, GatewaySettings]]
"""Reads the configuration again, from where it came from."""

_OF_GATEWAY = ("host", "port")
_OF_TEAM = ("folder", "database", "redis")


async def reload(gateway: Gateway, make: Callable[[Setup], Setup]) -> tuple[str, ...]:
    """Serve what `make` gives from now on; return the settings that stay as they are until the process starts again.

    Raises ConfigurationError, and other ChatportErrors, with nothing changed.
    """
    now = gateway.setup
    new, kept = await anyio.to_thread.run_sync(partial(_checked, now, make))
    try:
        if gateway.is_stopping:
            raise ConfigurationError("The gateway is stopping.")
        if gateway.team is not None and new.team is not None:
            await gateway.team.change(new.team)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await new.aclose()
        raise
    if new.client is not now.client:
        new.client.go_on_from(now.client)
    new.tenants.begin()
    gateway.setup = new
    await now.retire()
    return kept


def _checked(now: Setup, make: Callable[[Setup], Setup]) -> tuple[Setup, tuple[str, ...]]:
    """Return what is to be served, and what of it has to stay as it is. Raises ConfigurationError."""
    new = make(now)
    settings, of_gateway = _kept(new.settings, now.settings, _OF_GATEWAY, "gateway")
    team, of_team = now.team, tuple[str, ...]()
    if now.team is not None and new.team is not None:
        team, of_team = _kept(new.team, now.team, _OF_TEAM, "team")
    elif now.team is not new.team:
        of_team = ("[team]",)
    of_tables = [f"[{name}]" for name, table in now.fixed.items() if new.fixed[name] != table]
    new = attrs.evolve(new, settings=settings, team=team, fixed=now.fixed)
    if now.is_guarded and not new.is_guarded:
        raise ConfigurationError(
            "[gateway] names no key any more, and this gateway asks for one: it is not opened while it runs. Start it "
            "again to open it."
        )
    if not new.is_guarded and not is_loopback(settings.host):  # it cannot have been so before
        raise ConfigurationError(f"[gateway] host is {settings.host}, and no key is set.")
    known = now.problems()
    worse = [f"{name}: {said}" for name, said in new.problems().items() if name not in known]
    if worse:
        raise ConfigurationError(" ".join(worse[:5]))
    return new, (*of_gateway, *of_team, *of_tables)


def _kept(new: Any, now: Any, names: tuple[str, ...], table: str) -> tuple[Any, tuple[str, ...]]:
    """Return settings with those of some names as they are now, and the names of those that would have changed."""
    changed = tuple([name for name in names if getattr(new, name) != getattr(now, name)])
    return attrs.evolve(new, **{name: getattr(now, name) for name in changed}), tuple(
        [f"[{table}] {name}" for name in changed]
    )


class Reloads:
    """Reads the configuration again when SIGHUP comes, one time after the other; many signals are one.

    A signal that comes while it is being read has it read once more. When the terminal that the process was started in
    has gone, the same signal says so: `leave` is called then.
    """

    def __init__(self, gateway: Gateway, read: Read) -> None:
        self.leave: Callable[[int, FrameType | None], None] = lambda sig, frame: None
        self.settle: Callable[[], None] = lambda: None
        """What is done once another configuration holds."""
        self._gateway, self._read = gateway, read
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = asyncio.Event()
        self._has_started = asyncio.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear the signal until the block is left, where there is such a one. For the main thread."""
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is None:
            yield
            return
        had_terminal = signal.getsignal(hangup) != signal.SIG_IGN and _has_terminal()

        def heard(number: int, frame: FrameType | None) -> None:
            if had_terminal and not _has_terminal():
                self.leave(number, frame)
            elif self._loop is None:
                self._wanted.set()
            else:
                self._loop.call_soon_threadsafe(self._wanted.set)

        before = signal.signal(hangup, heard)
        try:
            yield
        finally:
            signal.signal(hangup, before)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Do it until the block is left."""
        self._loop = asyncio.get_running_loop()
        task = self._loop.create_task(self._go_on())
        try:
            yield
        finally:
            self._loop = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def started(self) -> None:
        """Begin: what is to be changed is there now."""
        self._has_started.set()

    async def _go_on(self) -> None:
        await self._has_started.wait()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._once()

    async def _once(self) -> None:
        gateway = self._gateway
        try:
            config, settings = await asyncio.to_thread(self._read)
            kept = await gateway.reload(config, settings=settings)
        except ChatportError as error:
            gateway.log.error("reload_refused", error=str(error))
        except Exception as error:  # a plugin's or a driver's: its words may hold anything, and what is served stays
            gateway.log.error("reload_refused", error=f"{type(error).__name__} at {_place_of(error)}")
        else:
            self.settle()
            gateway.log.info("reloaded")
            if kept:
                gateway.log.warning("restart_needed", settings=list(kept))


def _has_terminal() -> bool:
    """Whether there is a terminal that a Ctrl-C would come from."""
    with contextlib.suppress(OSError), open("/dev/tty", "rb"):
        return True
    return False


def _place_of(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "nowhere" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
