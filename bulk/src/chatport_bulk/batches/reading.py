"""From the results of a batch to answers: each is read by the very decoder of a live call, and told at the batch price.

A client with a transport that gives out what the batch has brought makes the call that the row would have been, so that
usage, tool calls, structure and errors are those of the online lane.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import anyio.lowlevel
import attrs
import msgspec

import chatport
from chatport import ChatportError, Cost, Reply
from chatport.helpers import BatchRule, jsoncodec

from ..answers import Answer, answer_of, failure_of
from ..job import Job
from ..lanes import is_fatal, is_refusal, is_transient
from .log import BatchRow

__all__ = ["Result", "ResultReader", "is_whole", "results_in"]

_SAID = "the row's own messages"
_LONGEST_END = 4 * 1024 * 1024
"""Of a longer last line it is not told whether it is whole."""


@attrs.frozen
class Result:
    """What became of a row. `answer` None: nothing that counts, so it is to be asked again.

    `wasted` is what a reply has cost that is of no use; `fatal` what no row can survive.
    """

    answer: Answer | None
    wasted: Answer | None = None
    fatal: ChatportError | None = None


def results_in(place: Path, rule: BatchRule) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the results of a file with the own id of each; what is no result is passed over."""
    with place.open("rb") as file:
        for line in file:
            try:
                told = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue
            own = told.get("custom_id") if isinstance(told, dict) else None
            if isinstance(own, str):
                yield own, told


def is_whole(place: Path) -> bool:
    """Whether a file of results ends with a whole line: a server may cut it in good order, as far as HTTP can tell."""
    with place.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _LONGEST_END, 0))
        line = file.read().rstrip(b"\n")
    _, newline, last = line.rpartition(b"\n")
    if not last or (size > _LONGEST_END and not newline):
        return True  # there is no line, or more of it than is looked at
    try:
        msgspec.json.decode(last)
    except msgspec.DecodeError:
        return False
    return True


class ResultReader:
    """Reads results. `client` are the further arguments of the run's client, less its transport."""

    def __init__(
        self,
        config: chatport.Config,
        client: Mapping[str, Any],
        target: str,
        job: Job,
        options: Mapping[str, Any],
        rule: BatchRule,
    ) -> None:
        self._post = _Post()
        alone = attrs.evolve(
            config,
            retry=attrs.evolve(config.retry, attempts=1),
            pacing=None,
            pacing_store=None,
            providers={name: attrs.evolve(one, pacing=None) for name, one in config.providers.items()},
            budget=attrs.evolve(config.budget, usd=None, tokens=None),
        )
        rest = {name: value for name, value in client.items() if name in ("plugins", "providers")}
        self._client = chatport.AsyncClient(alone, transport=self._post, **rest)
        self._target = target
        self._job = job
        self._options = {name: value for name, value in options.items() if name not in ("retry_invalid", "timeout")}
        self._rule = rule

    async def read(self, row: BatchRow, told: Mapping[str, Any], seconds: float) -> Result:
        """Return what a result means for its row; an answer of the wrong structure is asked for again, and was paid."""
        lines = self._rule.lines
        answer, error = _at(told, lines.answer), _at(told, lines.error)
        if answer is None and (_at(told, lines.kind) in lines.undone or error is None):
            return Result(None)
        status = _at(told, lines.status)
        self._post.status = status if isinstance(status, int) else 200
        self._post.body = jsoncodec.encode(error if answer is None else answer)
        if answer is None and not isinstance(error, Mapping):
            self._post.body = jsoncodec.encode({"error": {"message": str(error)}})
        elif answer is None and "error" not in error:
            self._post.body = jsoncodec.encode({"error": error})
        try:
            reply = await self._client.chat(_SAID, model=self._target, **self._options)
        except ChatportError as failure:
            return self._failed(row, failure, seconds)
        return self._replied(row, self._priced(reply), seconds)

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def _replied(self, row: BatchRow, reply: Reply, seconds: float) -> Result:
        if self._job.output is None or reply.tool_calls:
            return Result(_timed(answer_of(row.key, reply, row.kept), seconds))
        try:
            parsed = reply.parsed()
        except ChatportError as error:
            answer = _timed(answer_of(row.key, reply, row.kept, error=error), seconds)
            return Result(None, wasted=answer) if self._job.retry_invalid else Result(answer)
        return Result(_timed(answer_of(row.key, reply, row.kept, parsed), seconds))

    def _failed(self, row: BatchRow, failure: ChatportError, seconds: float) -> Result:
        if is_fatal(failure):
            return Result(None, fatal=failure)
        if is_refusal(failure) or is_transient(failure):
            return Result(None)
        return Result(_timed(failure_of(row.key, failure, row.kept), seconds))

    def _priced(self, reply: Reply) -> Reply:
        """Return a reply at the price of a batch; what a vendor says it has charged stands."""
        cost = reply.cost
        if cost is None or self._rule.price_factor == 1 or cost.basis.startswith("charged"):
            return reply
        return attrs.evolve(
            reply, cost=Cost(cost.amount * self._rule.price_factor, cost.currency, f"in a batch, {cost.basis}")
        )


def _timed(answer: Answer, seconds: float) -> Answer:
    return msgspec.structs.replace(answer, attempts=1, seconds=round(seconds, 4))


def _at(told: Any, place: str) -> Any:
    for name in place.split("."):
        told = told.get(name) if isinstance(told, Mapping) else None
    return told


class _Post:
    """A transport that answers with what is laid into it. No byte leaves by it."""

    needs_no_key = True

    def __init__(self) -> None:
        self.status = 200
        self.body = b""

    async def send(self, request: Any, connect_seconds: float | None, head_seconds: float | None) -> _Letter:
        await anyio.lowlevel.checkpoint()
        return _Letter(self.status, self.body)

    async def aclose(self) -> None:
        """Nothing is open."""


class _Head(NamedTuple):
    status: int
    headers: Mapping[str, str]


class _Letter:
    def __init__(self, status: int, body: bytes) -> None:
        self.head = _Head(status, {"content-type": "application/json"})
        self._body = body

    async def read(self, seconds: float | None) -> bytes:
        body, self._body = self._body, b""
        return body

    async def aclose(self) -> None:
        self._body = b""
