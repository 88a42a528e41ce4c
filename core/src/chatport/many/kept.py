"""The resume file of a map: answers as they come, one a line, so that what was paid for is there after any end.

    {"chatport":"map","form":1,"made_with":{"model":["deepseek:deepseek-flash"],"temperature":0}}
    {"index":0,"key":null,"asked":"9f86d08…","reply":{"chatport":"reply","form":1,"value":{…}}}

The first line says what all were asked with. `asked` is the digest of an item's messages: an answer is given again only
for the very same. Lines are only appended, each in one write, and of two with one name the later one holds. A last line
without its end was torn by what had ended the process, and is cut off. Prompts are not in the file; answers are, so it
is its owner's alone. Headers are not, since they may be keys.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .. import jsoncodec
from ..basics.blocking import Job, Room, StuckError
from ..basics.display import one_line
from ..basics.forks import new_lock, tell_child
from ..call import Call
from ..errors import BadRequestError, ConfigurationError
from ..types import Message, Reply
from ..types.keeping import written
from .lock import is_taken, lock_file

__all__ = ["FORM", "KeptAnswers", "asked_of", "made_with"]

FORM = 1
"""The form that is written. All forms up to it are read."""

_SYNC_SECONDS = 1.0
"""What has come since the last `fsync` is lost with the machine's power, not with the process."""
_SYNCS = Room("syncs of resume files", stuck_after_seconds=math.inf)
_BEGINS = b'{"chatport":"map",'
_SHOWN = 80


class _Line(msgspec.Struct):
    index: int
    asked: str
    reply: msgspec.Raw
    key: str | None = None


class _Head(msgspec.Struct):
    chatport: str
    form: int
    made_with: dict[str, Any]


class _Place(msgspec.Struct, frozen=True):
    """Where the answer to what was asked stands in the file."""

    asked: str
    at: int
    size: int


_read_line = msgspec.json.Decoder(_Line).decode
_read_head = msgspec.json.Decoder(_Head).decode


class KeptAnswers:
    """An open resume file, locked. Safe to use from any thread."""

    def __init__(self, path: Path, made_with: Mapping[str, Any]) -> None:
        """Open it, or begin it. Raises ConfigurationError where it cannot be, is in use, or was made otherwise."""
        self._path = path
        self._lock = new_lock()
        self._places: dict[str | int, _Place] = {}
        self._seen: set[str] = set()
        self._synced_at = time.monotonic()
        self._syncing: Job[None] | None = None
        self._file = self._opened()
        try:
            self._read(made_with)
        except BaseException:
            self._file.close()
            raise
        tell_child(self)

    def forked(self) -> None:
        """Leave the file, and its lock, to the parent."""
        self._file.close()

    def _opened(self) -> io.FileIO:
        try:
            is_new = not self._path.exists()
            file = io.FileIO(self._path, "a+", opener=_private)
        except OSError as error:
            raise self._unusable(f"cannot be opened: {error.strerror or error}") from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a device may be read for ever
            file.close()
            raise self._unusable("is no file")
        try:
            lock_file(file.fileno())
            if is_new:
                _sync_folder(self._path.parent)
        except OSError as error:
            file.close()
            if is_taken(error):
                raise self._unusable("is in use by another map, of this process or of another") from None
            raise self._unusable(f"cannot be locked: {error.strerror or error}") from error
        return file

    # --- what was kept before

    def _read(self, made_with: Mapping[str, Any]) -> None:
        end, whole = 0, True
        with open(self._path, "rb") as lines:
            for number, (at, line) in enumerate(_with_places(lines), 1):
                whole = line.endswith(b"\n")
                is_good = self._take(number, at, line, whole) if at else self._is_head(line, whole, made_with)
                if not is_good:
                    break
                end = at + len(line)
        if end < os.fstat(self._file.fileno()).st_size:
            self._file.truncate(end)
        elif not whole:
            self._append(b"\n")
        if not end:
            head = {"chatport": "map", "form": FORM, "made_with": made_with}
            self._append(jsoncodec.encode_anything(head) + b"\n")

    def _is_head(self, line: bytes, whole: bool, made_with: Mapping[str, Any]) -> bool:
        """Whether the first line is whole, and says that the rest was asked as it would be now."""
        try:
            head = _read_head(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            if not whole and (line.startswith(_BEGINS) or _BEGINS.startswith(line)):
                return False
            raise self._unusable("is not the resume file of a map, and was left as it is") from None
        if head.chatport != "map":
            raise self._unusable("is not the resume file of a map, and was left as it is")
        if head.form > FORM:
            raise self._unusable(f"was made by a newer Chatport, in form {head.form}; update chatport-core")
        changes = _changes(head.made_with, json.loads(jsoncodec.encode_anything(made_with)))
        if changes:
            words = f"has answers to something else: {'; '.join(changes)}"
            raise self._unusable(f"{words}. Ask as before, or keep these answers in another file")
        return True

    def _take(self, number: int, at: int, line: bytes, whole: bool) -> bool:
        """Remember where an answer is; False for a last line that was torn."""
        try:
            found = _read_line(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            if not whole or not line.strip():
                return whole
            raise self._unusable(f"is broken in line {number}, which is no answer. Remove that line") from None
        self._places[found.index if found.key is None else found.key] = _Place(found.asked, at, len(line))
        return True

    def find(self, index: int, key: str | None, asked: str) -> Reply | None:
        """Return the answer that is kept for an item, None where it is to be asked for.

        Raises BadRequestError for a key that an earlier item had: its answer would be given twice; ConfigurationError
        for an answer that this version cannot read.
        """
        with self._lock:
            if key is not None:
                if key in self._seen:
                    raise BadRequestError(f"Two items have the key {one_line(repr(key), _SHOWN)}. Each has its own.")
                self._seen.add(key)
            place = self._places.pop(index if key is None else key, None)
            if place is None or place.asked != asked:
                return None
            self._file.seek(place.at)
            line = _read_line(_read_whole(self._file, place.size))
        try:
            return Reply.from_json(bytes(line.reply))
        except BadRequestError as error:
            raise self._unusable(f"has an answer to item {index} that cannot be read: {error.message}") from error

    # --- what is kept now

    def keep(self, index: int, key: str | None, asked: str, reply: Reply) -> None:
        """Write an answer. Raises ConfigurationError where that fails, BadRequestError where it cannot be JSON."""
        front = jsoncodec.encode_text({"index": index, "key": key, "asked": asked})
        line = f'{front[:-1]},"reply":{reply.to_json()}}}\n'.encode()
        with self._lock:
            if self._file.closed:
                return  # the map was left, and nobody hears of this answer
            self._append(line)
            now = time.monotonic()
            if now - self._synced_at < _SYNC_SECONDS:
                return
            self._synced_at = now
        with contextlib.suppress(StuckError):  # then it is synced at the end
            self._syncing = _SYNCS.job(self, self._sync)

    def _append(self, data: bytes) -> None:
        size = os.fstat(self._file.fileno()).st_size
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(size)  # half a line would stand before the next one
            raise self._unusable(f"cannot be written: {error.strerror or error}") from error

    def _sync(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile, or no file that can be synced
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """See that all is on the disk, and let go of the file. Safe to call twice."""
        if self._syncing is not None:
            self._syncing.wait(None)
        with self._lock:
            self._sync()
            self._file.close()

    def _unusable(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"resume: {one_line(str(self._path), 1000)} {problem}.")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    """See that the name of a new file is on the disk, where a folder can be synced."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _with_places(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    at = 0
    for line in lines:
        yield at, line
        at += len(line)


def _read_whole(file: io.FileIO, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


# --- what was asked


def _digest(value: Any) -> str:
    """Return a name for a value that JSON has, which another one has not."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def asked_of(messages: Iterable[Message]) -> str:
    """Return a name for a conversation. Raises BadRequestError for values in it that JSON has not."""
    try:
        return _digest([written(message) for message in messages])
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequestError(f"What is asked cannot be written as JSON, so no answer can be kept: {error}.") from error


def made_with(call: Call, targets: Iterable[str], *, is_keyed: bool) -> dict[str, Any]:
    """Return what all answers of a map depend on: short values as they are, long ones and the caller's own as digests.

    Not in it: what changes no answer (`timeout`, `retry_invalid`), and headers, which may be keys.
    """
    shown = {
        "model": list(targets),
        "reasoning": call.reasoning,
        "temperature": call.temperature,
        "top_p": call.top_p,
        "max_tokens": call.max_tokens,
        "stop": list(call.stop),
        "seed": call.seed,
        "key": is_keyed,
    }
    tools = [(tool.name, tool.description, tool.schema, tool.strict, tool.extra) for tool in call.tools]
    long = {
        "tools": [*tools, *call.server_tools],
        "tool_choice": written(call.tool_choice),
        "output": None if call.output is None else [call.output.schema, call.output.inside],
        "extra": call.extra,
        "native": None if call.native is None else [call.native.protocol, call.native.fields],
    }
    found = {name: value for name, value in shown.items() if value not in (None, [], False)}
    return {**found, **{name: _safe_digest(value) for name, value in long.items() if value}}


def _safe_digest(value: Any) -> str:
    try:
        return _digest(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequestError(f"resume: an option cannot be written as JSON: {error}.") from error


_LONG = ("tools", "tool_choice", "output", "extra", "native")


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
    return [_change(name, before.get(name), now.get(name)) for name in names]


def _change(name: str, before: Any, now: Any) -> str:
    if name in _LONG and before is not None and now is not None:
        return f"{name} has changed"
    shown = ["not given" if value is None else "…" if name in _LONG else _short(value) for value in (before, now)]
    return f"{name} was {shown[0]}, and is {shown[1]}"


def _short(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), _SHOWN)
