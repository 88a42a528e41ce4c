"""Which recorded request is the one that is asked: the same method, address and body.

Bodies of JSON are compared as values: the order of keys, blanks and escapes mean nothing. Headers are not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...basics.display import one_line
from ...engine.commands import HttpRequest
from .exchanges import Asked
from .hiding import Hider

__all__ = ["asked_of", "differences", "key_of"]

_MOST_DIFFERENCES = 5
_SHOWN = 60
_BEFORE = 20
"""So many characters are shown of a text before the first one that differs."""


def asked_of(request: HttpRequest, hider: Hider) -> Asked:
    """Return what is matched and kept of a request."""
    hider.learn(request)
    headers = hider.sent_headers(request.headers)
    method, url = request.method.upper(), hider.url(request)
    content = hider.content(request.content)
    if not content:
        return Asked(method, url, headers=headers)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return Asked(method, url, "base64", content, headers)
    try:
        return Asked(method, url, "json", json.loads(text), headers)
    except ValueError:
        return Asked(method, url, "text", text, headers)


def key_of(asked: Asked, ignored: Sequence[str]) -> str:
    """Return what is the same for requests that are the same. `ignored` are fields of bodies (`metadata.run`)."""
    body = without(asked.body, ignored) if asked.form == "json" else asked.body
    shown = repr(body) if asked.form == "base64" else json.dumps(body, sort_keys=True)
    return f"{asked.method} {asked.url}\n{asked.form} {shown}"


def without(body: Any, ignored: Sequence[str]) -> Any:
    """Return a JSON value without some fields. A path names the fields on the way to one, with dots between."""
    for path in ignored:
        name, _, rest = path.partition(".")
        if isinstance(body, Mapping) and name in body:
            others = {key: value for key, value in body.items() if key != name}
            body = {**others, name: without(body[name], (rest,))} if rest else others
    return body


def differences(recorded: Asked, asked: Asked, ignored: Sequence[str]) -> list[str]:
    """Return in words what is not the same, the method and the address first."""
    found = []
    for what, old, new in (("method", recorded.method, asked.method), ("address", recorded.url, asked.url)):
        if old != new:
            found.append(f"{what}: {new}, and {old} on the tape")
    if recorded.form == asked.form == "json":
        found += list(_in_json(without(recorded.body, ignored), without(asked.body, ignored), ""))
    elif recorded.body != asked.body or recorded.form != asked.form:
        found.append(f"body: {_shown(asked.body, 0)}, and {_shown(recorded.body, 0)} on the tape")
    more = len(found) - _MOST_DIFFERENCES
    return [*found[:_MOST_DIFFERENCES], f"and {more} more"] if more > 0 else found


def _in_json(old: Any, new: Any, place: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*new, *(name for name in old if name not in new)]:
            inner = f"{place}.{name}" if place else name
            if name not in old:
                yield f"{inner}: {_shown(new[name], 0)}, and not on the tape"
            elif name not in new:
                yield f"{inner}: not asked, and {_shown(old[name], 0)} on the tape"
            else:
                yield from _in_json(old[name], new[name], inner)
    elif isinstance(old, list) and isinstance(new, list):
        for number, (before, now) in enumerate(zip(old, new, strict=False)):
            yield from _in_json(before, now, f"{place}[{number}]")
        if len(old) != len(new):
            yield f"{place or 'body'}: {len(new)} items, and {len(old)} on the tape"
    elif json.dumps(old) != json.dumps(new):
        start = _first_difference(old, new)
        yield f"{place or 'body'}: {_shown(new, start)}, and {_shown(old, start)} on the tape"


def _first_difference(old: Any, new: Any) -> int:
    if not (isinstance(old, str) and isinstance(new, str)):
        return 0
    pairs = enumerate(zip(old, new, strict=False))
    same = next((at for at, (before, now) in pairs if before != now), min(len(old), len(new)))
    return max(same - _BEFORE, 0)


def _shown(value: Any, start: int) -> str:
    """Return a value for a message, of a text what stands from `start` on."""
    if isinstance(value, str) and start:
        return "…" + one_line(json.dumps(value[start : start + _SHOWN], ensure_ascii=False), _SHOWN + 8)
    words = repr(value) if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
    return one_line(words, _SHOWN)
