"""What is kept by names that callers, the users of a server, or vendors choose: bounded, and all sizes in one place.

A program may pass on its users' words as the names of models, so that a million names are used, once each. Whatever
is kept by a name is therefore in one of these two, and forgets what was used least recently:

* `Bounded`: values that can be made again (facts, contexts). What is forgotten costs time, nothing else.
* `Shelf`: values with a memory of their own (breakers, pacers). Only what is idle is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from .forks import new_lock

__all__ = [
    "LONGEST_NAME",
    "LONGEST_URL",
    "MOST_BREAKERS",
    "MOST_CERTIFICATES",
    "MOST_METRIC_MODELS",
    "MOST_MODELS",
    "MOST_PACERS",
    "MOST_RETRY_BUDGETS",
    "MOST_WARNINGS",
    "Bounded",
    "Shelf",
]

LONGEST_NAME = 1024
"""Characters of a target or a model. The longest that is known, a path in a cloud, has less than 200."""
LONGEST_URL = 4096
"""Characters of a URL whose parts are remembered; a longer one is read each time."""
MOST_MODELS = 1024
"""Models whose facts a client keeps, and whose contexts each of its providers keeps."""
MOST_BREAKERS = 1024
MOST_PACERS = 1024
MOST_RETRY_BUDGETS = 1024
MOST_CERTIFICATES = 8
"""Sets of certificates, by the file or folder that the environment names."""
MOST_METRIC_MODELS = 1024
"""Model names under which metrics are recorded: a meter keeps every name it has seen for as long as it lives."""
MOST_WARNINGS = 256
"""Texts of warnings that are not shown a second time."""

_LOOKED_AT = 8
"""How many of the oldest values are asked, for each new one, whether they are idle: so the cost has a bound too."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """A mapping of at most `most` entries. The one used least recently is forgotten. Safe between threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._recent: OrderedDict[K, V] = OrderedDict()
        self._lock = new_lock()

    def __len__(self) -> int:
        return len(self._recent)

    def get(self, key: K) -> V | None:
        """Return what is kept, None if nothing is (any more)."""
        with self._lock:
            value = self._recent.get(key)
            if value is not None:
                self._recent.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, in the place of an earlier one of the same key."""
        with self._lock:
            self._recent[key] = value
            self._recent.move_to_end(key)
            if len(self._recent) > self._most:
                self._recent.popitem(last=False)


class Shelf(Generic[K, V]):
    """Values with a memory of their own, made when first asked for: equal key, same value. Safe between threads.

    At most `most` are kept. What goes is idle, the one used least recently first. What is not idle is never forgotten:
    where there is no room, a newcomer is shared by whoever holds it at the time, and forgotten when the last of them
    lets go of it. `is_idle` says whether forgetting a value would lose nothing that matters; it must not wait.
    """

    def __init__(self, most: int, is_idle: Callable[[V], bool]) -> None:
        self._most = most
        self._is_idle = is_idle
        self._recent: OrderedDict[K, V] = OrderedDict()
        self._alive: WeakValueDictionary[K, V] = WeakValueDictionary()
        self._lock = new_lock()

    def __len__(self) -> int:
        return len(self._recent)

    def find(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key; `make` gives a new one where nobody has it."""
        with self._lock:
            value = self._recent.get(key)
            if value is not None:
                self._recent.move_to_end(key)
                return value
            value = self._alive.get(key)
            if value is None:
                value = self._alive[key] = make()
            if self._has_room():
                self._recent[key] = value
            return value

    def known(self) -> dict[K, V]:
        """Return what is kept now; to look changes nothing of what is forgotten first."""
        with self._lock:
            return dict(self._recent)

    def _has_room(self) -> bool:
        """Forget idle ones among the oldest until there is room. Those in use go to the other end of the queue."""
        for _ in range(_LOOKED_AT):
            if len(self._recent) < self._most:
                return True
            key, value = next(iter(self._recent.items()))
            if self._is_idle(value):
                del self._recent[key]
            else:
                self._recent.move_to_end(key)
        return len(self._recent) < self._most
