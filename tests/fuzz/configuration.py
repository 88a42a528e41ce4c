"""What must hold whatever bytes the `chatport.toml` of a working folder has, which nobody named or trusted."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.steps import count_steps

import chatport.setup.patches  # noqa: F401  # its import, when first needed, is none of what a file makes happen
from chatport import ConfigurationError, PluginError
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.setup.config import Config, load_config
from chatport.setup.origins import is_own_host
from chatport.setup.vendors import Vendors

__all__ = ["CANARY", "check_configuration"]

CANARY = "sk-" + "canary-0123456789-canary"
"""In an input it stands where keys stand, and in no key's name: it may be in nothing that is shown."""
_GENERAL = {"LLM_PROVIDER", "LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "CHATPORT_CONFIG"}
_ACTS = ("exec", "compile", "import", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.")
_MOST_STEPS = (20_000, 400)
"""A start, and so many for each byte of the file."""


class _Environment(dict[str, str]):
    """An environment in which every variable is set that is asked for, to its own name, but for the general ones."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return None if name in _GENERAL or not name.endswith("KEY") else f"value-of-{name}"


class _Watch:
    """Notes what the process does while it is on. Python has no way to take a hook away again."""

    def __init__(self) -> None:
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event == "open":
            path = arguments[0] if isinstance(arguments[0], str | bytes | os.PathLike) else ""
            if Path(os.fsdecode(path)).name != "chatport.toml":
                self.seen.append(f"opens {path!r}")
        elif event.startswith(_ACTS):
            self.seen.append(f"{event} {arguments[:1]!r}")

    @contextmanager
    def nothing_done(self) -> Iterator[None]:
        self.seen, self.is_on = [], True
        try:
            yield
        finally:
            self.is_on = False
        assert not self.seen, self.seen[:3]


@cache
def _watch() -> _Watch:
    """Return the watch, once everything is imported that is imported lazily."""
    for name in installed_providers():
        load_provider(name)
    for text in ("", "[policy]\n[budget]\n[aliases]\na='b:c'", "x", "[providers.deepseek]\nkind='x'", "[models.'a:b']"):
        for named in (True, False):
            _outcome(text.encode(), _Environment(), named=named)
    _open_all(load_config({"providers": {name: {} for name in installed_providers()}}, environment={}), _Environment())
    return _Watch()


def check_configuration(data: bytes, *, counts: bool = True) -> Config | ConfigurationError:
    """Hold what a file of these bytes does against every property; return what came of it.

    It is written into the working folder, which should be a place for such things. Raises AssertionError.
    """
    watch, environment = _watch(), _Environment()
    outcome: list[Config | ConfigurationError] = []
    Path("chatport.toml").write_bytes(data)

    def action() -> None:
        outcome.append(_outcome(data, environment))

    with watch.nothing_done():
        steps = count_steps(action) if counts else 0
        if not counts:
            action()
    start, for_each = _MOST_STEPS
    assert steps <= start + for_each * len(data), steps
    assert environment.asked <= _GENERAL, environment.asked
    if isinstance(outcome[0], ConfigurationError):
        _check_error(outcome[0])
    else:
        with watch.nothing_done():
            _open_all(outcome[0], environment)
        _check_own(environment.asked)
    return outcome[0]


def _outcome(data: bytes, environment: Mapping[str, str], *, named: bool = False) -> Config | ConfigurationError:
    """Return the configuration, or our error; another error is let through."""
    if named:
        Path("chatport.toml").write_bytes(data)
    try:
        return load_config("chatport.toml" if named else None, environment=environment)
    except ConfigurationError as error:
        return error


def _check_error(error: ConfigurationError) -> None:
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    ours = [str(frame.locals) for frame in frames if frame.filename != __file__]
    assert CANARY not in "".join([str(error), repr(vars(error)), *ours]), "the key is shown"
    assert error.__cause__ is None
    assert error.__context__ is None
    assert len(error.message) < 5_000
    assert error.message.isprintable(), "an error directs the terminal"
    assert "chatport.toml" in error.message


def _open_all(config: Config, environment: Mapping[str, str]) -> None:
    """Make every provider ready that the file names: its key goes to nobody but its vendor."""
    vendors = Vendors(config, environment=environment)
    for name in set(config.providers) & set(installed_providers()):
        provider = load_provider(name)
        if provider.discover is not None:  # it would look for running servers
            continue
        try:
            ready = vendors.provider(name)
        except (ConfigurationError, PluginError):
            continue
        assert is_own_host(provider, ready.base_url), ready.base_url
        assert not ready.patches
        assert not ready.config.headers
        allowed = {f"value-of-{variable}" for variable in provider.key_env}
        assert ready.key is None or ready.key.reveal() in allowed, ready.key.reveal()


def _check_own(asked: set[str]) -> None:
    own = {
        variable
        for name in installed_providers()
        for provider in [load_provider(name)]
        for variable in (*provider.key_env, *provider.base_url_env, *provider.settings_env.values())
    }
    assert asked <= _GENERAL | own, asked - own
