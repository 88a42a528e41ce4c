"""Rows to a client, answers back: how many at once, what is tried again, when to stop. It knows no file and no log.

One loop decides. It hands calls that begin and rows that ended to `commit`, which writes them down in a worker thread;
a call is made only when its beginning is on the disk, and its place is free again only when its answer is.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import count
from typing import Any, Literal, TypeAlias

import anyio
import anyio.to_thread
import attrs
import msgspec

import chatport
from chatport import BudgetExceededError, ChatportError

from .answers import Answer, answer_of, failure_of
from .job import Job
from .lanes import Lane, is_fatal, is_refusal, is_transient
from .rows import Key, Row, digest_of
from .tally import Tally

__all__ = ["Asking", "Commit", "Ending", "Settings", "Step"]


@attrs.frozen
class Settings:
    """How rows are asked. `concurrency` is the most calls at once, over all lanes; how many are best is found out.

    `rounds`: how often a row is asked in all whose calls fail for passing reasons, each time with the client's own
    attempts; 429s do not count. `patience_seconds`: how long the vendor may refuse everything. `same_failures`: after
    so many rows that failed in the same way, and no answer, the run stops; 0 never. `max_usd` holds for a session.
    """

    concurrency: int = 256
    first_concurrency: int = 8
    rounds: int = 5
    patience_seconds: float = 900.0
    same_failures: int = 20
    max_usd: float | None = None


class Ending(msgspec.Struct, frozen=True):
    """How it ended. `reason` is a sentence for who meets it; empty for `done`."""

    how: Literal["done", "stopped", "failed", "money", "limit"]
    reason: str = ""


class Step(msgspec.Struct):
    """What is written down at once. `ended` has the digest of each row, `memo` the answers by what was asked."""

    begun: list[Key]
    ended: list[tuple[Answer, bytes | None]]
    back: list[Key]
    memo: list[tuple[bytes, Answer]]


Commit: TypeAlias = Callable[[Step], None]


class _Pending(msgspec.Struct, eq=False):
    """A row on its way. `question` is the digest of what it asks, where rows that ask the same are asked once."""

    row: Row
    lane: Lane | None = None
    rounds: int = 0
    avoid: Lane | None = None
    question: bytes | None = None


class Asking:
    """Asks rows. `batches` gives the next rows to be asked, None at the end; it and `commit` are called in a thread.

    `recall` gives the answers to questions that were asked before, by their digests. `forget` lets failed rows be asked
    again. `lanes` are what may be asked at the same time.
    """

    # Invariants: `_active` counts the calls that were begun and whose end is not written down yet; no more than
    # `_most` of them. What is parked waits for the answer to the same question, which is under way.

    def __init__(
        self,
        client: chatport.AsyncClient,
        job: Job,
        lanes: Sequence[Lane],
        settings: Settings,
        *,
        batches: Callable[[], list[Row] | None],
        commit: Commit,
        recall: Callable[[Sequence[bytes]], Mapping[bytes, Answer]] | None = None,
        forget: Callable[[Sequence[Key]], object] | None = None,
        tally: Tally | None = None,
    ) -> None:
        self._client = client
        self._job = job
        self._lanes = list(lanes)
        self._settings = settings
        self._batches = batches
        self._commit = commit
        self._recall = recall
        self._forget = forget
        self.tally = tally or Tally()
        self._options = job.call_options()
        self._ready: deque[_Pending] = deque()
        self._later: list[tuple[float, int, _Pending]] = []
        self._parked: dict[bytes, list[_Pending]] = {}
        self._parked_rows = 0
        self._active = 0
        self._ended: list[tuple[_Pending, Answer]] = []
        self._back: list[tuple[float, _Pending]] = []
        self._is_read = False
        self._ending: Ending | None = None
        self._waits_for_money = False
        self._first: list[tuple[Key, str]] | None = []
        self._order = count()
        self._answered_at = time.monotonic()
        self._bell = anyio.Event()
        self._room = anyio.Event()

    # --- from outside

    def stop(self, how: Literal["stopped", "limit"] = "stopped", reason: str = "") -> None:
        """Begin no more calls; those under way end, and are kept."""
        self._end(Ending(how, reason))

    async def run(self) -> Ending:
        """Ask until there are no more rows, or it has to stop. Raises what `commit` and `batches` raise.

        Where it is cancelled, what has ended until then is written down.
        """
        for lane in self._lanes:
            lane.wakes.append(self._wake)
        cap = self._settings.max_usd  # a budget estimates each call, so there is none without a cap
        try:
            with nullcontext() if cap is None else chatport.Budget(usd=cap, name="--max-usd"):
                async with anyio.create_task_group() as group:
                    group.start_soon(self._read)
                    await self._loop(group.start_soon)
                    group.cancel_scope.cancel()
        except BaseExceptionGroup as group_of:
            raise _first_of(group_of) from None
        finally:
            for lane in self._lanes:
                lane.wakes.remove(self._wake)
            with anyio.CancelScope(shield=True):
                if self._ended or self._back:
                    await self._write([])
        return self._ending or Ending("done")

    # --- the loop

    async def _loop(self, start: Callable[..., object]) -> None:
        while True:
            begun = self._choose()
            if begun or self._ended or self._back:
                await self._write(begun)
                for pending in begun:
                    start(self._ask, pending)
                continue
            if not self._active and (self._ending or self._has_no_more()):
                return
            await self._wait()

    def _has_no_more(self) -> bool:
        return self._is_read and not self._ready and not self._later

    async def _wait(self) -> None:
        bell = self._bell = anyio.Event()
        self._room.set()
        seconds = self._later[0][0] - time.monotonic() if self._later and not self._ending else None
        with anyio.move_on_after(None if seconds is None else max(seconds, 0.001)):
            await bell.wait()

    def _choose(self) -> list[_Pending]:
        """Take what may begin now."""
        if self._ending or self._waits_for_money:
            return []
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        chosen = []
        crowded = len(self._later) > 2 * self._settings.concurrency
        while self._ready and self._active < self._settings.concurrency:
            pending = self._ready[0]
            if crowded and not pending.rounds and pending.avoid is None:
                break  # the vendor is failing: nothing new before some of what waits has gone through
            lane = self._free_lane(pending)
            if lane is None:
                break
            self._ready.popleft()
            pending.lane = lane
            lane.active += 1
            self._active += 1
            chosen.append(pending)
        if len(self._ready) < _FEW_READY:
            self._room.set()
        return chosen

    def _free_lane(self, pending: _Pending) -> Lane | None:
        free = [lane for lane in self._lanes if lane.is_open and lane.active < lane.pace.limit]
        if not free:
            return None
        if len(free) > 1 and pending.avoid in free:
            free.remove(pending.avoid)
        return min(free, key=lambda lane: lane.active / lane.pace.limit)

    async def _write(self, begun: list[_Pending]) -> None:
        ended, back = self._ended, self._back
        self._ended, self._back = [], []
        step = Step([pending.row.key for pending in begun], [], [pending.row.key for _, pending in back], [])
        for pending, answer in ended:
            digest = digest_of(pending.row.content)
            step.ended.append((answer, digest))
            if pending.question is not None:
                self._answer_parked(pending, answer, step)
        await anyio.to_thread.run_sync(self._commit, step)
        for question, answer in step.memo:
            late = self._parked.pop(question, [])
            self._parked_rows -= len(late)
            self._ended += [(other, self._same(other.row, answer)) for other in late]
        for pending in [*(pending for _, pending in back), *(pending for pending, _ in ended)]:
            if pending.lane is not None:  # an answer that was known needed none
                pending.lane.leave()
                self._active -= 1
                pending.lane = None
        for answer, _ in step.ended:
            self.tally.count(answer)
        for at, pending in back:
            heapq.heappush(self._later, (at, next(self._order), pending))
        self.tally.active = self._active
        self.tally.limit = sum(lane.pace.limit for lane in self._lanes if lane.is_open)
        if self._first is not None:
            self._look_at_the_first(step)
        if self._ending and self._ending.how == "failed" and self._forget is not None and self._first:
            forgotten = [key for key, _ in self._first]
            await anyio.to_thread.run_sync(self._forget, forgotten)
            self.tally.forget(len(forgotten))
            self._first = []
        if ended or not self._active:
            self._waits_for_money = False

    def _answer_parked(self, pending: _Pending, answer: Answer, step: Step) -> None:
        question = pending.question
        assert question is not None
        waiting = self._parked.get(question, [])
        if answer.is_failure and waiting:  # the next one tries
            self._ready.appendleft(waiting.pop(0))
            self._parked_rows -= 1
            return
        self._parked_rows -= len(waiting)
        if answer.is_failure:
            self._parked.pop(question, None)
            return
        self._parked[question] = []  # until the answer is in the log, where those who ask the same look first
        step.memo.append((question, answer))
        for other in waiting:
            step.ended.append((self._same(other.row, answer), digest_of(other.row.content)))

    def _same(self, row: Row, answer: Answer) -> Answer:
        same_as = answer.key if answer.same_as is None else answer.same_as
        kept = self._job.kept(row)
        return msgspec.structs.replace(
            answer, key=row.key, same_as=same_as, kept=kept, cost=0.0, attempts=0, seconds=0.0
        )

    def _look_at_the_first(self, step: Step) -> None:
        """Stop where the first rows have all failed in the same way; they are to be asked again."""
        assert self._first is not None
        if any(not answer.is_failure for answer, _ in step.ended):
            self._first = None
            return
        self._first += [(answer.key, f"{answer.kind}: {answer.error}") for answer, _ in step.ended]
        kinds = {said.partition(":")[0] for _, said in self._first}
        most = self._settings.same_failures
        if len(kinds) > 1 or not most:
            self._first = None
        elif len(self._first) >= most:
            said = self._first[0][1]
            reason = f"The first {len(self._first)} rows failed in the same way, and none was answered. {said}"
            self._end(Ending("failed", reason))

    # --- reading

    async def _read(self) -> None:
        while True:
            while len(self._ready) >= _FEW_READY or self._parked_rows >= _MOST_PARKED:
                self._room = anyio.Event()
                await self._room.wait()
            rows = await anyio.to_thread.run_sync(self._batches, abandon_on_cancel=True)
            if rows is None:
                break
            await self._take(rows)
            self._bell.set()
        self._is_read = True
        self._bell.set()

    async def _take(self, rows: list[Row]) -> None:
        good = [_Pending(row) for row in rows if not row.problem]
        for row in rows:
            if row.problem:
                problem = Answer(row.key, error=row.problem, kind="UnreadableRow", kept=self._job.kept(row))
                self._ended.append((_Pending(row), problem))
        if self._job.dedupe:
            good = await self._without_known(good)
        self._ready.extend(good)

    async def _without_known(self, pendings: list[_Pending]) -> list[_Pending]:
        """Return the rows whose question is new; others are answered by what is known, or wait for the same one."""
        questions = await anyio.to_thread.run_sync(lambda: [self._question(p.row) for p in pendings])
        asked = [q for q in questions if q is not None]
        known = await self._known(asked)
        new = []
        for pending, question in zip(pendings, questions, strict=True):
            if question is None:
                new.append(pending)
            elif question in known:
                self._ended.append((pending, self._same(pending.row, known[question])))
            elif question in self._parked:
                pending.question = question
                self._parked[question].append(pending)
                self._parked_rows += 1
            else:
                pending.question = question
                self._parked[question] = []
                new.append(pending)
        return new

    async def _known(self, questions: list[bytes]) -> Mapping[bytes, Answer]:
        """Return the answers that the log has. What was asked for before the look, and is no more, has come since."""
        if self._recall is None or not questions:
            return {}
        waited_for = self._parked.keys() & set(questions)
        known = await anyio.to_thread.run_sync(self._recall, questions)
        come = [question for question in waited_for - self._parked.keys() if question not in known]
        return {**known, **await self._known(come)}

    def _question(self, row: Row) -> bytes | None:
        try:
            return digest_of(self._job.messages(row))
        except Exception:  # its own call will say what is wrong
            return None

    # --- one row

    async def _ask(self, pending: _Pending) -> None:
        row, lane = pending.row, pending.lane
        assert lane is not None
        kept = self._job.kept(row)
        try:
            messages = await self._messages(row)
        except Exception as error:  # the function of the prompt is the user's, and one bad row never ends a run
            self._finish(pending, failure_of(row.key, error, kept))
            return
        began = time.monotonic()
        try:
            reply = await self._client.chat(messages, model=lane.model, **{**lane.options, **self._options})
        except BudgetExceededError as error:
            self._out_of_money(pending, error)
        except ChatportError as error:
            self._failed(pending, error, kept)
        else:
            now = self._answered_at = time.monotonic()
            lane.pace.answered(now, now - began, was_full=lane.active >= lane.pace.limit)
            self._finish(pending, self._read_reply(row, reply, kept))

    async def _messages(self, row: Row) -> Any:
        if callable(self._job.prompt) or self._job.images:  # which may read files
            return await anyio.to_thread.run_sync(self._job.messages, row)
        return self._job.messages(row)

    def _read_reply(self, row: Row, reply: chatport.Reply, kept: Any) -> Answer:
        if self._job.output is None or reply.tool_calls:
            return answer_of(row.key, reply, kept)
        try:
            parsed = reply.parsed()
        except ChatportError as error:
            return answer_of(row.key, reply, kept, error=error)
        return answer_of(row.key, reply, kept, parsed)

    def _failed(self, pending: _Pending, error: ChatportError, kept: Any) -> None:
        lane = pending.lane
        assert lane is not None
        if is_fatal(error):
            self._close(lane, error)
            self._later_again(pending, 0.0)
        elif is_refusal(error):
            patience = self._settings.patience_seconds
            if time.monotonic() - self._answered_at > patience:
                self._end(Ending("failed", f"For {patience:g} s nothing was answered, and the vendor refuses. {error}"))
            self._later_again(pending, error.retry_after_seconds or 1.0 + 4 * random.random())
        elif is_transient(error) and pending.rounds + 1 < self._settings.rounds:
            pending.rounds += 1
            self._later_again(pending, min(2.0**pending.rounds, 60.0) * random.random())
        else:
            self._finish(pending, failure_of(pending.row.key, error, kept))

    def _close(self, lane: Lane, error: ChatportError) -> None:
        lane.is_open = False
        self.tally.problems[f"{type(error).__name__} at {lane.model}"] = str(error)
        if not any(other.is_open for other in self._lanes):
            self._end(Ending("failed", f"No call can succeed. {type(error).__name__}: {error}"))

    def _out_of_money(self, pending: _Pending, error: BudgetExceededError) -> None:
        others = self._active - len(self._ended) - len(self._back) - 1
        if others <= 0 or (error.estimate is None and error.unit == "usd"):
            self._end(Ending("money", str(error)))
        self._waits_for_money = True
        self._later_again(pending, 0.0)

    def _later_again(self, pending: _Pending, seconds: float) -> None:
        pending.avoid = pending.lane
        self._back.append((time.monotonic() + seconds, pending))
        self._bell.set()

    def _finish(self, pending: _Pending, answer: Answer) -> None:
        self._ended.append((pending, answer))
        self._bell.set()

    def _wake(self) -> None:
        self._bell.set()

    def ends(self, ending: Ending) -> None:
        """Note how it ends, from inside `commit`: the loop looks at it when that returns."""
        if self._ending is None:
            self._ending = ending

    def _end(self, ending: Ending) -> None:
        self.ends(ending)
        self._bell.set()

    def refused(self, target: str) -> None:
        """Note that a vendor has refused a call for its number: its lane goes slower."""
        self.tally.refusals += 1
        lane = next((lane for lane in self._lanes if lane.model == target), self._lanes[0])
        lane.pace.refused(time.monotonic())


_FEW_READY = 500
_MOST_PARKED = 10_000


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception of a group, which is what the caller knows how to handle."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
