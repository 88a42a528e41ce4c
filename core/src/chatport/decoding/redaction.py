"""Takes a key out of what a vendor wrote, before that reaches an error, a log, an observer, a span or a warning.

The one place for it. What an answer says (its text, reasoning, tool calls, `raw`) is the caller's and is handed over as
it came; everything that is told about it goes through here.

A key is found as it is, cut, in escapes of JSON (also escaped again), percent encoded, and as references of HTML. One
that was encoded as a whole, as in base64, is not looked for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from ..basics.secret import Revealed, Secret
from ..errors import ChatportError
from ..types import Adjustment, Alternative, Reply

__all__ = [
    "cover_key",
    "hide_key",
    "hide_key_in",
    "hide_key_in_cause",
    "hide_key_in_error",
    "hide_key_in_reply",
    "hide_keys",
    "run_without_key",
]

T = TypeVar("T")
E = TypeVar("E", bound=ChatportError)
V = TypeVar("V", Adjustment, Alternative)

HIDDEN = "***"
_SHORTEST = 4
_TELLING_CHARACTERS = 10
"""How much of a key's beginning is hidden even alone. Shorter ones, such as "sk-proj-", are no secret."""
_ESCAPE = re.compile(
    r"""
      (?P<slashes>\\++) (?: u(?P<json>[0-9a-fA-F]{4}) | x(?P<python>[0-9a-fA-F]{2}) )?+  # \/ \u002f \\u002f \x2f
    | % (?:25)*+ (?P<percent>[0-9a-fA-F]{2})                                            # %2F %252F
    | & (?:amp;)*+ \# (?: [xX]0*+(?P<html>[0-9a-fA-F]{2}) | 0*+(?P<decimal>[0-9]{2,3}) ) ;    # &#x2F; &#47;
    | (?P<alone> %25 | &(?:amp|lt|gt|quot|apos|sol|plus|period|lowbar); )
    """,
    re.VERBOSE,
)
_ALONE = {
    "%25": "%", "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'",
    "&sol;": "/", "&plus;": "+", "&period;": ".", "&lowbar;": "_",
}  # fmt: skip
_END = re.compile(r"[\s\"'<>]|\Z")


def hide_key(text: str, key: Revealed) -> str:
    """Return a text with the key, and what a cut or escapes have left of it, replaced by `***`.

    A key of less than four characters is not looked for: it would be found in ordinary words. Takes linear time, and
    next to none where no part of the key can be there. Of several keys each is replaced.
    """
    if isinstance(key, tuple):
        for each in key:
            text = hide_key(text, each)
        return text
    if len(key) < _SHORTEST:
        return text
    text = text.replace(key, HIDDEN)  # first: what stands before the key might look like the beginning of an escape
    if "\\" in text or "%" in text or "&" in text:
        return _without(text, _Plain(text, key), _Plain(key, key).text, _as_word)
    return _without(text, None, key, _as_word) if key[:_TELLING_CHARACTERS] in text else text


def cover_key(text: str, key: str) -> str:
    """Return a text with each character of the key under a star: as long as it was, so that all places in it stay."""
    if len(key) < _SHORTEST:
        return text
    text = text.replace(key, _as_stars(len(key)))
    return _without(text, _Plain(text, key), _Plain(key, key).text, _as_stars)


def _as_word(length: int) -> str:
    return HIDDEN


def _as_stars(length: int) -> str:
    return "*" * length


def hide_keys(text: str, keys: Sequence[str]) -> str:
    """Return a text without any of many keys, of which hardly one is there: as `hide_key`, and as fast as for one.

    The escapes are read once, as they may stand for a character of any key; a key is looked for closely where it, or
    its beginning, is in the text as it is, so read, or without its backslashes.
    """
    seen = [text]
    if "\\" in text or "%" in text or "&" in text:
        seen += [_Plain(text, "".join(keys)).text, text.replace("\\", "")]
    for key in keys:
        if len(key) >= _SHORTEST and any(key[:_TELLING_CHARACTERS] in each for each in seen):
            text = hide_key(text, key)
    return text


def _without(text: str, plain: _Plain | None, key: str, hidden: Callable[[int], str]) -> str:
    """Cut a key out of a text, where `plain` is the text with its escapes read, None if it has none."""
    read = text if plain is None else plain.text
    place: Callable[[int], int] = int if plain is None else plain.place
    beginning = key[:_TELLING_CHARACTERS]
    at = read.find(beginning) if len(beginning) >= _SHORTEST else -1
    pieces, done = [], 0
    while at >= 0:
        end = at + len(key)
        if not read.startswith(key, at):  # it was cut: what follows, up to where a text ends, may be more of it
            end = _END.search(read, at + len(beginning)).start()  # type: ignore[union-attr]  # there is always an end
        pieces += [text[done : place(at)], hidden(place(end) - place(at))]
        done = place(end)
        at = read.find(beginning, end)
    return "".join([*pieces, text[done:]])


class _Plain:
    """A text with those escapes read that stand for a character of a key, and without backslashes."""

    def __init__(self, text: str, key: str) -> None:
        self._known = [0]  # places in the read text, and where those are in the text itself
        self._there = [0]
        parts, done, length = [], 0, 0
        for escape in _ESCAPE.finditer(text):
            letter, end = _letter(escape), escape.end()
            if letter not in key and escape[0].startswith("%25"):
                letter, end = "%", escape.start() + 3
            if letter not in key:
                letter, end = "", escape.start() + len(escape["slashes"] or "")
                if end == escape.start():
                    continue
            letter = letter.removesuffix("\\")
            parts += [text[done : escape.start()], letter]
            length += escape.start() - done + len(letter)
            # A backslash belongs to the character behind it; the next but one begins behind that.
            self._known += [length - len(letter), length + (not letter)]
            self._there += [escape.start(), end + (not letter)]
            done = end
        self.text = "".join([*parts, text[done:]])

    def place(self, at: int) -> int:
        """Return where a place of the read text is in the text itself."""
        nearest = bisect_right(self._known, at) - 1
        return self._there[nearest] + at - self._known[nearest]


def _letter(escape: re.Match[str]) -> str:
    """Return the character that an escape stands for; several, which no key has, where it stands for none."""
    code = escape["json"] or escape["python"] or escape["percent"] or escape["html"]
    if code:
        return chr(int(code, 16))
    if escape["decimal"]:
        return chr(int(escape["decimal"]))
    return _ALONE.get(escape["alone"] or "", "\0")


# --- what holds texts


def hide_key_in(value: Any, key: Revealed) -> Any:
    """Return a value of JSON, or a text, with the key hidden in all its texts, names included."""
    if isinstance(key, tuple):
        for each in key:
            value = hide_key_in(value, each)
        return value
    if len(key) < _SHORTEST:
        return value
    if isinstance(value, str):
        return hide_key(value, key)
    if isinstance(value, bytes):
        return hide_key(value.decode("latin-1"), key).encode("latin-1")
    if isinstance(value, Mapping):
        return {hide_key_in(name, key): hide_key_in(item, key) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide_key_in(item, key) for item in value]
    return value


def hide_key_in_error(error: E, key: Revealed) -> E:
    """Return the error with the key hidden in all that a vendor may have written into it, its cause included.

    `partial` holds what was received, and stays as it came.
    """
    for name in ("message", "raw", "code", "request_id"):
        setattr(error, name, hide_key_in(getattr(error, name), key))
    error.args = (error.message,)
    if hasattr(error, "__notes__"):
        error.__notes__ = hide_key_in(error.__notes__, key)
    error.__context__ = error.__cause__ = hide_key_in_cause(error.__cause__, key)
    return error


def hide_key_in_cause(cause: BaseException | None, key: Revealed) -> BaseException | None:
    """Return what caused an error; its words alone, where it or the locals of its frames show the key.

    A hook of a plugin works on what the vendor sent, and a traceback may show that.
    """
    if isinstance(key, tuple):
        for each in key:
            cause = hide_key_in_cause(cause, each)
        return cause
    if cause is None or len(key) < _SHORTEST:
        return cause
    if all(hide_key(text, key) == text for text in _shown(cause)):
        return cause
    return Exception(hide_key(f"{type(cause).__name__}: {cause}", key))


def _shown(error: BaseException) -> Iterator[str]:
    """Give all that can be seen of an error and of those behind it."""
    from traceback import TracebackException  # only failures of hooks and of connections need it

    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        item = queue.pop()
        if item is not None and id(item) not in seen:
            seen.add(id(item))
            yield "".join(TracebackException.from_exception(item, capture_locals=True).format(chain=False))
            yield repr(vars(item)) + repr(item.args)
            queue += [item.__cause__, item.__context__, *getattr(item, "exceptions", ())]


def run_without_key(secrets: Sequence[Secret], run: Callable[[], T]) -> T:
    """Run what reads a vendor's answer; its error has the key hidden, and no frames whose locals hold that answer."""
    try:
        return run()
    except ChatportError as problem:
        error = hide_key_in_error(problem, tuple(secret.reveal() for secret in secrets))
    raise error.with_traceback(None) from error.__cause__


def hide_key_in_reply(reply: Reply, key: Revealed) -> Reply:
    """Return the reply with the key hidden in what names it and in its warnings. What it says stays as it came."""
    if not key:
        return reply
    names = ("id", "model", "request_id", "raw_finish_reason")
    texts = [reply.id, reply.model, reply.request_id, reply.raw_finish_reason]
    for warning in reply.warnings:
        texts += warning.field, warning.reason
    for other in reply.alternatives:
        texts.append(other.raw_finish_reason)
    all_texts = "\n".join([text for text in texts if isinstance(text, str)])
    if hide_key(all_texts, key) == all_texts:  # one look, for nearly every reply
        return reply
    return attrs.evolve(
        reply,
        **_hidden_fields(reply, names, key),
        warnings=tuple(_without_key(warning, ("field", "reason"), key) for warning in reply.warnings),
        alternatives=tuple(_without_key(other, ("raw_finish_reason",), key) for other in reply.alternatives),
    )


def _without_key(value: V, names: tuple[str, ...], key: Revealed) -> V:
    changed = _hidden_fields(value, names, key)
    return attrs.evolve(value, **changed) if changed else value


def _hidden_fields(value: Any, names: tuple[str, ...], key: Revealed) -> dict[str, Any]:
    """Return those fields that show the key, without it."""
    texts = {name: text for name in names if isinstance(text := getattr(value, name), str)}
    return {name: hidden for name, text in texts.items() if (hidden := hide_key(text, key)) != text}
