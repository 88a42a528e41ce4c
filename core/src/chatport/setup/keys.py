"""Where a key comes from: an environment variable, a file, a command, the system's keyring, or a function.

A configuration refers to a key, so that the key itself stands in no file of the project. What is read here goes into
a `Secret` at once. No error of this module holds what a command wrote or a file contained. Nor does it, or a traceback,
hold what a reference says where that may be the key itself, put there by mistake.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import stat
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..basics.blocking import OverdueError, Room, StuckError
from ..basics.secret import Secret
from ..basics.typed import expect
from ..errors import ConfigurationError

__all__ = [
    "Reference",
    "asks_nobody",
    "fetched",
    "is_given_by_function",
    "is_slow",
    "kind_of",
    "may_be_shown",
    "read_reference",
    "refresh_seconds",
    "resolve",
    "told",
]

_COMMAND_SECONDS = 30.0
_READ_SECONDS = 30.0  # for a file on a server that is gone, and a keyring whose owner is not there
_MOST_BYTES = 64 * 1024
_NO_FILE = "it is a folder, a pipe or a device, not a file. What has to be waited for is read by an api_key.command"
_ROOM = Room("readings of keys", stuck_after_seconds=30)
_SHORTEST_KEY = 12
"""What is shorter, in the place of a path or a program, is no key that was put there by mistake."""
_SHORTEST_REFRESH_SECONDS = 1.0
_FIELDS = {
    "env": {"env"},
    "file": {"file", "refresh_seconds"},
    "command": {"command", "refresh_seconds"},
    "keyring": {"keyring", "user", "refresh_seconds"},
    "function": {"function", "refresh_seconds"},
}
_NOT_SHOWN = "(not shown, since it may be the key itself)"
_SHAPES = (
    'a text, { env = "NAME" }, { file = "path" }, { command = ["program", "argument"] } or '
    '{ keyring = "service", user = "name" }'
)


class Reference(dict[str, Any]):
    """A checked reference to a key. Its repr shows only its kind: a key may have been put in the place of a path.

    `bound`: nobody has said that this key may go anywhere else than to its vendor, or to the address beside which it
    stands in the environment.
    """

    def __init__(self, fields: Mapping[str, Any], *, bound: bool = False) -> None:
        super().__init__(fields)
        self.bound = bound

    def __repr__(self) -> str:
        return f"Reference({kind_of(self)}=***)"

    __str__ = __repr__


def kind_of(reference: Mapping[str, Any]) -> str:
    """Return where a reference leads: `env`, `file`, `command`, `keyring` or `function`."""
    return next((kind for kind in _FIELDS if kind in reference), "nothing")


def may_be_shown(text: str) -> bool:
    """Whether a word is no key that was put in the wrong place: short, or small letters without digits, or no small."""
    return len(text) < 20 or text == text.upper() or (text == text.lower() and re.search("[0-9]", text) is None)


def told(text: str) -> str:
    """Return a name for a message, unless it may be a key that was put in its place."""
    return repr(text) if may_be_shown(text) else _NOT_SHOWN


def read_reference(value: Any, where: str, name: str = "api_key") -> Secret | Mapping[str, Any] | None:
    """Return a key as a configuration keeps it. Raises ConfigurationError, which never shows the value."""
    if isinstance(value, Secret):
        expect(value.reveal(), str, f"{where} api_key is a Secret of a text", ConfigurationError)
        if not value:
            raise ConfigurationError(f"{where} {name} is empty. Leave it out where no key is needed.")
        return value
    if value is None:
        return None
    if callable(value):
        value = {"function": value}
    if isinstance(value, Mapping):
        kind = next((kind for kind in _FIELDS if kind in value), None)
        if kind is not None and set(value) <= _FIELDS[kind]:
            checked = {**_CHECKS[kind](value, f"{where} {name}"), **_refreshing(value, f"{where} {name}")}
            return Reference(checked, bound=isinstance(value, Reference) and value.bound)
    raise ConfigurationError(f"{where} {name} is {_SHAPES}.")


def _refreshing(value: Mapping[str, Any], where: str) -> Mapping[str, float]:
    if "refresh_seconds" not in value:
        return {}
    seconds = value["refresh_seconds"]
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not _SHORTEST_REFRESH_SECONDS <= seconds < 1e9:
        raise ConfigurationError(f"{where}.refresh_seconds is a number of seconds, at least 1.")
    return {"refresh_seconds": float(seconds)}


def _file(value: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    return {"file": _text(value["file"], f"{where}.file")}


def _function(value: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if not callable(value["function"]):
        raise ConfigurationError(f"{where}.function is a function of your program, which a file cannot name.")
    return {"function": value["function"]}


def _variable(value: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    reference = {"env": _text(value["env"], f"{where}.env")}
    if not re.fullmatch(r"[A-Za-z_]\w*", reference["env"], re.ASCII) or not may_be_shown(reference["env"]):
        raise ConfigurationError(
            f"{where}.env is the name of an environment variable, such as ACME_API_KEY. What stands there is no such "
            "name, and is not shown, since it may be the key itself."
        )
    return reference


def _command(value: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    words = value["command"]
    if isinstance(words, str):
        raise ConfigurationError(
            f'{where}.command is a list of words, not a text: ["pass", "show", "acme"]. No shell reads it, so '
            "nothing needs quotes, and variables, pipes and ~ mean nothing in it."
        )
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        raise ConfigurationError(f"{where}.command is a list of words, the program first.")
    if not words[0].strip() or any("\0" in word for word in words):
        raise ConfigurationError(f"{where}.command names no program, or holds a NUL character.")
    return {"command": tuple(words)}


def _keyring(value: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if "user" not in value:
        raise ConfigurationError(f'{where}.keyring needs user = "name" beside it: whose entry it is.')
    return {name: _text(value[name], f"{where}.{name}") for name in ("keyring", "user")}


_CHECKS: dict[str, Callable[[Mapping[str, Any], str], Mapping[str, Any]]] = {
    "env": _variable,
    "file": _file,
    "command": _command,
    "keyring": _keyring,
    "function": _function,
}


def _text(value: Any, where: str) -> str:
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return value
    raise ConfigurationError(f"{where} must be a text that is not empty.")


def is_slow(reference: Secret | Mapping[str, Any] | None) -> bool:
    """Whether `resolve` may take its time: a command or a function runs, a keyring asks, a file is far away."""
    return isinstance(reference, Mapping) and "env" not in reference


def asks_nobody(reference: Secret | Mapping[str, Any] | None) -> bool:
    """Whether a slow `resolve` is only the reading of a file."""
    return isinstance(reference, Mapping) and "file" in reference


def is_given_by_function(reference: Secret | Mapping[str, Any] | None) -> bool:
    """Whether a function of the program gives the key: it may be one that an event loop has to await."""
    return isinstance(reference, Mapping) and "function" in reference


def refresh_seconds(reference: Secret | Mapping[str, Any] | None) -> float | None:
    """Return after how many seconds the key is to be read again, None for never."""
    return reference.get("refresh_seconds") if isinstance(reference, Mapping) else None


def resolve(
    reference: Mapping[str, Any], provider: str, *, folder: Path, variable: Callable[[str], str | None]
) -> Secret:
    """Return the key that a checked reference means. May block, see `is_slow`.

    `folder` is where relative paths start; `variable` looks a variable of the environment up. Raises
    ConfigurationError that says which provider's key cannot be read, where from, and why.
    """
    if "env" in reference:
        return _from_environment(reference["env"], provider, variable)
    if "file" in reference:
        return _from_file(reference, folder, provider)
    if "command" in reference:
        return _from_command(reference, provider)
    if "function" in reference:
        return _from_function(reference["function"], provider)
    return _from_keyring(reference, provider)


def _from_environment(name: str, provider: str, variable: Callable[[str], str | None]) -> Secret:
    key = Secret((variable(name) or "").strip())
    if not key:
        raise ConfigurationError(
            f"The API key of {provider} is to come from ${name}, which is not set.", provider=provider
        )
    return key


def _from_file(reference: Mapping[str, Any], folder: Path, provider: str) -> Secret:
    path = folder / reference["file"]
    try:
        path = folder / Path(reference["file"]).expanduser()
        key, is_open = _ROOM.run(("file", path), partial(_read_file, path), _READ_SECONDS)
    except RuntimeError:
        key = "nobody knows whose home folder that is"
    except OverdueError:
        key = f"it could not be read within {_READ_SECONDS:g} s"
    except OSError as error:
        key = str(error.strerror or error)
    if isinstance(key, Secret):
        if is_open:
            # A warning, not an error: in a container a mounted secret is often readable by all, and nobody else is
            # there. RuntimeWarning, as for every other thing that works and should be looked into.
            warnings.warn(
                f"Everybody on this machine can read the API key of {provider} in {path}. Close it: chmod 600 {path}",
                RuntimeWarning,
                stacklevel=2,
            )
        return key
    place = str(path) if os.path.lexists(path) or len(reference["file"]) < _SHORTEST_KEY else _told_folder(path)
    del path  # it may be the key, and a traceback may show locals
    raise ConfigurationError(f"Cannot read the API key of {provider} from {place}: {key}.", provider=provider)


def _told_folder(path: Path) -> str:
    """Return a path that does not exist for a message: it may be a key, so only a folder that exists is shown of it."""
    place = f" in {path.parent}" if path.parent.is_dir() else ""
    return f"a file{place} {_NOT_SHOWN}"


def _read_file(path: Path) -> tuple[Secret | str, bool]:
    """Return the key in a file, or why there is none, and whether everybody can read it. Raises OSError.

    What is no file is not read, since it could be waited for for ever; it is not even opened, since that alone does
    something to some devices. Asked again when it is open: it may be another one by then.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return _NO_FILE, False
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:  # Path.open takes no opener
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            return _NO_FILE, False
        key = _text_of(file)
    return key, os.name == "posix" and bool(mode & stat.S_IROTH) and _is_reachable(path)


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _text_of(stream: Any, errors: str = "strict") -> Secret | str:
    """Return all that comes, or why it is no key. Not raised: errors keep the frames in which the bytes are."""
    data = bytearray()
    while piece := stream.read(_MOST_BYTES + 1 - len(data)):
        data += piece
        if len(data) > _MOST_BYTES:
            return f"there are more than {_MOST_BYTES // 1024} KiB, and a key is short"
    try:
        return Secret(data.decode("utf-8", errors).strip())
    except UnicodeDecodeError:
        return "it is not a text"


def _is_reachable(path: Path) -> bool:
    """Whether every folder above a file lets everybody through."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def _from_command(reference: Mapping[str, Any], provider: str) -> Secret:
    """Run a command without a shell. Its arguments, its output and its complaints may hold the key: none is shown."""
    key = _answer_of(reference["command"])
    if isinstance(key, Secret):
        return key
    # Outside of what raised: such errors hold the arguments.
    program = _told_program(reference["command"])
    raise ConfigurationError(
        f"The command {program}, which gives the API key of {provider}, {key}. Run it by hand to see why.",
        provider=provider,
    )


def _told_program(words: tuple[str, ...]) -> str:
    """Return a command's program for a message. A lone word that is no program may be a key in the wrong place."""
    if shutil.which(words[0]) is not None or len(words[0]) < _SHORTEST_KEY:
        return repr(words[0])
    return told(words[0]) if len(words) > 1 else _NOT_SHOWN


def _answer_of(words: tuple[str, ...]) -> Secret | str:
    """Return what a command writes, or what is wrong with it."""
    import subprocess  # only who keeps keys with a program of his own needs it

    try:
        process = subprocess.Popen(
            words, bufsize=0, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:  # ValueError: a word that this system cannot write
        return f"cannot be run: {error.strerror if isinstance(error, OSError) else 'its words are no text'}"
    try:
        return _ROOM.run(("command", id(process)), lambda: _written_by(process), _COMMAND_SECONDS)
    except OverdueError:
        return f"did not end within {_COMMAND_SECONDS:g} s"
    except StuckError as error:
        if process.stdout is not None:
            process.stdout.close()  # nobody reads it
        return f"is not waited for: {error}"
    finally:
        process.kill()  # also where Ctrl-C ends the wait; nothing where it has ended
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)


def _written_by(process: Any) -> Secret | str:
    """Read until the end: a child of the command may still write when the command itself has ended."""
    with process.stdout:
        key = _text_of(process.stdout, "replace")
    if isinstance(key, str):
        return f"wrote too much: {key}"
    status: int = process.wait()
    lines = key.reveal().count("\n") + 1
    if status:
        return f"failed with exit status {status}"
    if not key:
        return "wrote nothing"
    return key if lines == 1 else f"wrote {lines} lines, and a key is one"


def _from_keyring(reference: Mapping[str, Any], provider: str) -> Secret:
    try:
        keyring = import_module("keyring")
    except ImportError:
        raise ConfigurationError(
            f"The API key of {provider} is to come from the keyring, and the package keyring is not installed: "
            "pip install 'chatport-core[keyring]'.",
            provider=provider,
        ) from None
    entry = (reference["keyring"], reference["user"])
    try:
        key = _ROOM.run(("keyring", *entry), partial(_entry_of, keyring, *entry), _READ_SECONDS)
    except OverdueError:
        problem = f"the keyring did not answer within {_READ_SECONDS:g} s"
    except StuckError as error:
        problem = str(error)
    except Exception as error:  # every backend has its own; some tell in their words what they were asked for
        problem = f"the keyring refuses ({type(error).__name__})"
    else:
        if key:
            return key
        problem = "there is no such entry"
    service, user = map(_told_entry, entry)
    del entry  # a key may have been put there, and a traceback may show locals
    raise ConfigurationError(
        f"Cannot read the API key of {provider} from the keyring, service {service}, user {user}: {problem}.",
        provider=provider,
    )


def _entry_of(keyring: Any, service: str, user: str) -> Secret:
    return Secret((keyring.get_password(service, user) or "").strip())


def _told_entry(name: str) -> str:
    return repr(name) if len(name) < _SHORTEST_KEY else _NOT_SHOWN


# --- a function


_FUNCTION_FAULTS = "Call it by hand to see why"


def _from_function(function: Callable[[], Any], provider: str) -> Secret:
    try:
        given = _ROOM.run(("function", id(function)), lambda: _called(function), _READ_SECONDS)
    except OverdueError:
        given = f"did not return within {_READ_SECONDS:g} s"
    except StuckError as error:
        given = f"is not waited for: {error}"
    if inspect.isawaitable(given):
        if inspect.iscoroutine(given):
            given.close()
        given = "is asynchronous, and nothing awaits it here: use it with an AsyncClient"
    return _checked(given, provider)


async def fetched(function: Callable[[], Any], provider: str) -> Secret:
    """Return the key that a function gives, sync (in a thread of our own) or async (on this loop).

    Raises ConfigurationError like `resolve`.
    """
    import anyio  # which a loop of trio's needs as well

    with anyio.move_on_after(_READ_SECONDS):
        given: Any
        if _is_asynchronous(function):
            given = _called(function)
        else:
            try:
                given = await _ROOM.job(("function", id(function)), lambda: _called(function)).finished()
            except StuckError as error:
                given = f"is not waited for: {error}"
        return _checked(await _awaited(given) if inspect.isawaitable(given) else given, provider)
    return _checked(f"did not return within {_READ_SECONDS:g} s", provider)


def _is_asynchronous(function: Callable[[], Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004  # it is an object with an async one that is looked for
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _called(function: Callable[[], Any]) -> Any:
    """Return what a function gives, a text as a secret at once; what went wrong as a text."""
    try:
        return _taken(function())
    except ConfigurationError as error:
        return error
    except Exception as error:
        return _fault(error)


async def _awaited(given: Any) -> Any:
    try:
        return _taken(await given)
    except ConfigurationError as error:
        return error
    except Exception as error:
        return _fault(error)


def _taken(given: Any) -> Any:
    if isinstance(given, str):
        return Secret(given.strip()) if given.strip() else "gave an empty text"
    if isinstance(given, Secret) or inspect.isawaitable(given):
        return given
    return f"gave a value of type {type(given).__name__}, not a text"


def _fault(error: Exception) -> str:
    return f"raised {type(error).__name__}"  # no more: its words and frames may hold a token


def _checked(given: Any, provider: str) -> Secret:
    """Return a key that a function gave. Raises its own ConfigurationError, or one that says what it did instead."""
    if isinstance(given, Secret):
        return given
    if isinstance(given, ConfigurationError):
        problem = given.with_traceback(None)
        problem.provider = problem.provider or provider
        raise problem
    raise ConfigurationError(
        f"The function that gives the API key of {provider} {given}. {_FUNCTION_FAULTS}.", provider=provider
    )
