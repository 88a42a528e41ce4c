"""The tool calls of a choice, as their fragments come: which call a fragment belongs to, and whether it begins one.

Each fragment is looked up, never searched for: a server may send a new id with every one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import jsoncodec
from ..basics.pieces import join_small
from ..basics.sizes import Limits
from ..errors import over_limit
from .unread import READ_OF_CALL, READ_OF_FUNCTION, unread_of_call

__all__ = ["CallCount", "CallState", "Calls"]


_LONGEST_NAME = 1_000
"""Characters of a name that is put together: pieces without end would take time with the square of its length."""


class CallCount:
    """How many calls one answer has, in all of its choices."""

    __slots__ = ("_made", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._made = 0

    def one_more(self) -> None:
        """Count a call. Raises MalformedReplyError if there are too many."""
        if self._made >= self.most:
            raise over_limit("The reply", self.most, "tool calls", "tool_calls")
        self._made += 1


class Calls:
    """The calls of one choice. `newest` is the last that began, `last_used` the last that was given something."""

    __slots__ = ("_count", "_ids", "_known", "_number", "last_used", "newest")

    def __init__(self, count: CallCount | None = None) -> None:
        self._count = count or CallCount(Limits().tool_calls)
        self._known: dict[tuple[Any, ...], CallState] = {}  # the last one by (id,), by (id, index), by ("", index)
        self._ids: set[str] = set()
        self._number = 0
        self.newest: CallState | None = None
        self.last_used: CallState | None = None

    def __len__(self) -> int:
        return self._number

    def take_all(self, fragments: Any) -> Iterator[tuple[CallState, str]]:
        """Give, for each fragment in turn, its call and its piece of the arguments.

        Raises MalformedReplyError if there are more than the answer may have calls: none is sent in several at once.
        """
        given = fragments if isinstance(fragments, list) else [fragments]
        if len(given) > self._count.most:
            raise over_limit("A list of tool calls", self._count.most, "entries", "tool_calls")
        yield from (self._take(fragment) for fragment in given if isinstance(fragment, dict))

    def compact(self) -> None:
        """Join small pieces of what is kept of each call."""
        for call in set(self._known.values()):
            join_small(call.unseen)
            join_small(call.arguments)

    def _take(self, fragment: Mapping[str, Any]) -> tuple[CallState, str]:
        call_id, index = _text(fragment.get("id")), fragment.get("index")
        if isinstance(index, list | dict):
            index = None  # no index of anything
        function = fragment.get("function")
        name = (function.get("name") or "") if isinstance(function, dict) else ""
        call = self._of(call_id, index, name) or self._begin(index)
        self.last_used = call
        if call_id and not call.wire_id:
            call.wire_id = call_id
            call.id = self._own_id(call_id, call.index)
            self._remember(call, (call_id,), (call_id, call.wire_index))
        return call, call.take(fragment)

    def _own_id(self, call_id: str, index: int) -> str:
        """Return an id that no other call of the choice has: two of one id could not be answered apart."""
        while call_id in self._ids:
            call_id = f"{call_id}_{index}"
        self._ids.add(call_id)
        return call_id

    def _of(self, call_id: str, index: Any, name: Any) -> CallState | None:
        """Find the call a fragment belongs to, by id, then by index, then by order; None: it begins a new one."""
        same_id = self._known.get((call_id,)) if call_id else None
        if same_id is not None:
            exact = self._known.get((call_id, index))
            if exact is not None or index is None or not name:  # else: a server that gives all its calls one id
                return exact or same_id
        if index is None:
            return None if call_id or name else self.last_used
        same_index = self._known.get(("", index))
        return None if same_index is None or self._begins_anew(same_index, call_id, name) else same_index

    @staticmethod
    def _begins_anew(call: CallState, call_id: str, name: str) -> bool:
        """Whether a fragment with a known index is yet another call: index 0 for every call was common (OL-T2).

        A new id for the same index is not enough: some stacks give every fragment a new one (GL-S10). With a name it
        is, unless the call so far is still in the middle of its arguments, or of its name.
        """
        if not (call_id and name and call.wire_id) or call_id == call.wire_id:
            return False
        return call.is_whole() or (not call.has_arguments and not call.name_goes_on(name))

    def _begin(self, index: Any) -> CallState:
        self._count.one_more()
        call = self.newest = CallState(self._number, index)
        self._number += 1
        self._remember(call, ("", index))
        return call

    def _remember(self, call: CallState, *keys: tuple[Any, ...]) -> None:
        for key in keys:
            held = self._known.get(key)
            if held is None or held.index < call.index:
                self._known[key] = call


def _text(call_id: Any) -> str:
    return jsoncodec.whole(str(call_id)) if call_id else ""


class CallState:
    """What must be remembered of one call. `wire_id` and `wire_index` are the vendor's, `id` and `index` ours."""

    __slots__ = ("arguments", "id", "index", "name", "nesting", "unread", "unseen", "wire_id", "wire_index")

    def __init__(self, index: int, wire_index: Any) -> None:
        self.index = index
        self.wire_index = wire_index
        self.wire_id = ""
        self.id = f"call_{index}"  # until, or unless, the vendor gives one: a call without an id cannot be answered
        self.name = ""
        self.unread: dict[str, Any] | None = None  # keys of the last fragment that nobody reads, until they are told
        self.arguments: list[str] = []  # emptied once they can no longer become a whole
        self.nesting: jsoncodec.Nesting | None = jsoncodec.Nesting()
        self.unseen: list[str] = []  # what `nesting` has not been fed: it is asked only by stacks that mix up ids

    def is_whole(self) -> bool:
        """Whether the arguments so far are JSON by themselves.

        Asked for every piece where a stack gives each a new id, so the text is decoded only at the end of its
        outermost bracket, and once: where it is no JSON there it will never be, and where it is the call is over.
        """
        if self.nesting is None:
            return False
        for piece in self.unseen:
            self.nesting.feed(piece)
            if self.arguments or piece.strip(" \t\r\n"):  # blanks before the text end nothing
                self.arguments.append(piece)
        self.unseen.clear()
        if self.nesting.is_open or not self.arguments:
            return False
        try:
            jsoncodec.decode_text("".join(self.arguments))
        except ValueError:
            self.nesting = None
            self.arguments.clear()
            return False
        return True

    def take(self, fragment: Mapping[str, Any]) -> str:
        """Take the name, or a piece of it, and return the piece of the arguments."""
        function: Mapping[str, Any] = next(
            (fragment[key] for key in ("function", "custom") if isinstance(fragment.get(key), dict)), {}
        )
        if not (READ_OF_CALL.issuperset(fragment) and READ_OF_FUNCTION.issuperset(function)):
            self.unread = unread_of_call(fragment, function)
        if function.get("name"):
            self._take_name(jsoncodec.whole(str(function["name"])))
        arguments = function.get("arguments", function.get("input"))
        if arguments is None or arguments == "":
            return ""
        if not isinstance(arguments, str):  # an object in place of its text
            arguments = jsoncodec.encode_anything(arguments).decode()
        if self.nesting is not None:
            self.unseen.append(arguments)
        return str(arguments)

    @property
    def has_arguments(self) -> bool:
        """Whether the arguments have begun."""
        return bool(self.unseen or self.arguments) or self.nesting is None

    def name_goes_on(self, name: str) -> bool:
        """Whether a name says again what is known of it, all or its beginning."""
        return self.name.startswith(name) or name.startswith(self.name)

    def _take_name(self, name: str) -> None:
        """Take a name: the first one, or, before the arguments begin, its next piece.

        Most stacks that send a name twice repeat all of it, some what is known of it so far.
        """
        if not self.name:
            self.name = name
        elif not self.has_arguments and name != self.name and len(self.name) < _LONGEST_NAME:
            self.name = name if name.startswith(self.name) else self.name + name
