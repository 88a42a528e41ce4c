"""The lane of vendors' batches: rows go in, half the price is paid, results come within a day.

It reads the rows in passes. A pass puts all rows that nobody has answered into batches, as many as the vendor and the
money let be open at once, waits for them, and reads whatever they have brought. What is missing then goes into the
next pass, and after the last one, or after the deadline, to the online lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs
import msgspec

import chatport
from chatport import ChatportError

from ..answers import Answer
from ..asking import Ending, Step
from ..job import Job
from ..lanes import is_fatal, is_refusal, is_transient
from ..rowlog import RowLog
from ..rows import Row, digest_of
from ..tally import Tally
from .api import VendorBatches
from .desk import BatchDesk, StopError, TooManyError
from .draft import Bounds, Draft, Line
from .log import Batch, BatchLog
from .reading import ResultReader
from .settings import BatchSettings, batch_target
from .shaping import Shaper
from .waiting import Waiting

__all__ = ["BatchHost", "BatchLane"]

_LOOKS_FOR_LOST = 3
"""How often a batch is looked for whose beginning was not answered, before it is begun anew: lists may lag behind."""


@attrs.frozen
class BatchHost:
    """What the run gives its lane. `money_left` is in USD, what is open not taken off, None without a cap."""

    client: chatport.AsyncClient
    options: Mapping[str, Any]
    job: Job
    log: RowLog
    folder: Path
    tally: Tally
    to_ask: Callable[[], Iterator[list[Row]]]
    write: Callable[[Step], None]
    give_back: Callable[[Any], None]
    money_left: Callable[[], float | None]
    same_failures: int
    patience_seconds: float


class BatchLane:
    """Asks rows by batches. `run` returns how it ended, None where the rest is to be asked online."""

    def __init__(self, host: BatchHost, settings: BatchSettings) -> None:
        self._host = host
        self._settings = settings
        self._target, self._rule, alias = batch_target(host.client, host.job.model)
        options = {**alias, **host.job.call_options()}
        self._waiting = Waiting(
            host.options.get("clock"), settings.poll_seconds, settings.longest_poll_seconds, host.patience_seconds
        )
        self._vendor = VendorBatches(host.client, self._target, self._rule)
        most = [n for n in (settings.most_enqueued_tokens, self._rule.most_enqueued_tokens) if n is not None]
        self._most_tokens: float | None = min(most, default=None)
        self._has_cap = host.money_left() is not None
        counts = self._has_cap or self._most_tokens is not None or bool(self._rule.too_many)
        self._shaper = Shaper(host.client, self._vendor, self._target, host.job, options, counts=counts)
        if self._has_cap and not self._shaper.has_price:
            raise chatport.ConfigurationError(
                f"There is a cap, and no price of {self._target} is known: state its prices in "
                f'[models."{self._target}"]. Nothing was sent.'
            )
        reader = ResultReader(host.client.config, host.options, self._target, host.job, options, self._rule)
        self._reader = reader
        place = host.folder / "batches"
        place.mkdir(exist_ok=True)
        self._desk = BatchDesk(
            self._vendor,
            BatchLog(host.log),
            place,
            reader,
            write=host.write,
            give_back=host.give_back,
            spend=host.log.add_spent,
            tally=host.tally,
            now=self._waiting.now,
            same_failures=host.same_failures,
            deletes_files=settings.deletes_files,
        )
        self._is_over_limit = False
        self._of_input: ChatportError | None = None  # what reading the input has raised
        self._number = 1

    def stop(self) -> None:
        """Begin no more batches and wait for none. Those at the vendor go on there."""
        self._waiting.stop()

    async def run(self) -> Ending | None:
        """Ask the rows. Raises StorageError and what reading the input raises."""
        try:
            return await self._run()
        except StopError as stop:
            return stop.ending
        except ChatportError as error:
            if self._waiting.is_stopped:
                return self._stopped()
            is_of_batch = is_fatal(error) or is_refusal(error) or is_transient(error) or error.status
            if error is self._of_input or not is_of_batch:
                raise
            return Ending("failed", f"A batch could not be made or read. {type(error).__name__}: {error}")
        finally:
            self._host.tally.batches = ""
            with anyio.CancelScope(shield=True):
                await self._reader.aclose()

    async def _run(self) -> Ending | None:
        log = self._host.log
        self._desk.has_answer = bool(log.standing().answered)
        self._host.tally.skipped -= sum(batch.rows for batch in self._desk.log.open())
        await self._recover()
        if self._settings.cancels:
            return await self._cancel_and_read()
        while self._round() < self._settings.rounds and not self._is_late():
            was_open = len(self._desk.log.open())
            made = await self._fill()
            await self._wait_for(lambda batches: not batches)
            if not made and not was_open and not self._is_over_limit:
                break
            if not self._is_over_limit:
                log.set_meta(batch_round=str(self._round() + 1))
            else:
                await self._waiting.wait()
            self._is_over_limit = False
        await self._wait_for(lambda batches: not batches)
        log.set_meta(batch_round="0", batch_began="")
        return None

    # --- what was there before

    async def _recover(self) -> None:
        """Look after what the session before has left."""
        for place in self._desk.folder.glob("draft-*"):
            place.unlink(missing_ok=True)
        for batch in self._desk.log.open():
            if batch.state in ("made", "uploaded"):
                await self._desk.give_up(batch)

    async def _cancel_and_read(self) -> Ending:
        open_now = self._desk.log.open()
        for batch in open_now:
            if batch.state == "creating":
                batch = await self._waiting.patiently(partial(self._settle, batch))
            if batch.state == "open":
                await self._waiting.patiently(partial(self._desk.cancel, batch))
        await self._wait_for(lambda batches: not batches)
        ended = [batch for batch in self._desk.log.all() if batch.number in {one.number for one in open_now}]
        answered = sum(batch.answered for batch in ended)
        return Ending(
            "stopped",
            f"{len(open_now)} batches were cancelled. {answered:,} of their rows were answered until then, and are "
            "kept; the same run asks the others again.",
        )

    # --- rows into batches

    async def _fill(self) -> int:
        """Put the rows that nobody has answered into batches; return how many batches that were."""
        made = 0
        draft: Draft | None = None
        skipped = self._host.tally.skipped
        is_first = self._round() == 0
        rows = self._host.to_ask()
        asked = self._desk.log.questions() if self._host.job.dedupe else set[bytes]()
        try:
            while not self._takes_no_more() and not self._is_late():
                batch_of_rows = await self._next_of(rows)
                if batch_of_rows is None:
                    break
                for line in await self._lines(batch_of_rows, asked):
                    self._check_stopped()
                    request = self._request(line)
                    if draft is not None and not draft.fits(line, len(request)):
                        full, draft = draft, None
                        made += await self._send(full)
                    if self._takes_no_more():
                        self._host.give_back([line.row.key])
                        continue
                    if draft is None:
                        draft = await self._draft_for(line)
                        request = self._request(line)
                    draft.add(line, request)
            if draft is not None:
                last, draft = draft, None
                made += await self._send(last)
        finally:
            if draft is not None:
                draft.close(keep=False)
                self._host.give_back([row.key for row in draft.rows])
        if not is_first:
            self._host.tally.skipped = skipped
        return made

    async def _lines(self, rows: list[Row], asked: set[bytes]) -> list[Line]:
        """Shape rows. Those that cannot be asked fail, those that are asked already wait for the next pass."""
        shaped = await anyio.to_thread.run_sync(self._shaper.shaped, rows)
        questions = [found.row.question for _, found in shaped if isinstance(found, Line) and found.row.question]
        known = self._host.log.memo(questions) if questions else {}
        lines: list[Line] = []
        step = Step([], [], [], [])
        for row, found in shaped:
            if isinstance(found, Answer):
                step.ended.append((found, digest_of(row.content)))
            elif found is None or self._is_too_large(found):
                self._host.give_back([row.key])  # it is asked online
            elif found.row.question is None:
                lines.append(found)
            elif found.row.question in known:
                step.ended.append((_same(found, known[found.row.question]), found.row.digest))
            elif found.row.question in asked:
                self._host.give_back([row.key])
            else:
                asked.add(found.row.question)
                lines.append(found)
        if step.ended:
            await anyio.to_thread.run_sync(self._host.write, step)
            for answer, _ in step.ended:
                self._host.tally.count(answer)
        return lines

    def _is_too_large(self, line: Line) -> bool:
        return len(self._request(line)) + 1 > self._most_bytes or (
            self._rule.most_enqueued_tokens is not None and line.tokens > self._rule.most_enqueued_tokens
        )

    @property
    def _most_bytes(self) -> int:
        return min(self._settings.most_bytes, self._rule.most_bytes)

    def _request(self, line: Line) -> bytes:
        own = self._desk.own_id(line.row.key, self._number)
        return self._vendor.line(own, line.endpoint, line.body)

    async def _draft_for(self, line: Line) -> Draft:
        """Return a draft into which a row fits, when there is room and money for it."""

        def has_room(batches: list[Batch]) -> bool:
            tokens = sum(batch.tokens for batch in batches)
            return self._most_tokens is None or not batches or tokens + line.tokens <= self._most_tokens

        await self._wait_for(lambda batches: has_room(batches) and (not batches or self._pays(batches, line)))
        batches = self._desk.log.open()
        if not self._pays(batches, line):
            raise StopError(Ending("money", self._out_of_money(line)))
        tokens = None if self._most_tokens is None else self._most_tokens - sum(batch.tokens for batch in batches)
        most = min(self._settings.most_rows, self._rule.most_rows)
        self._number = self._desk.log.next_number()
        left = self._money(batches)
        bounds = Bounds(most, self._most_bytes, None if tokens is None else max(tokens, line.tokens), left)
        return Draft(self._desk.folder / f"draft-{self._number}", bounds)

    def _money(self, batches: list[Batch]) -> float | None:
        left = self._host.money_left() if self._has_cap else None
        return None if left is None else left - sum(batch.usd for batch in batches)

    def _pays(self, batches: list[Batch], line: Line) -> bool:
        left = self._money(batches)
        return left is None or line.usd <= left

    def _out_of_money(self, line: Line) -> str:
        left = max(self._host.money_left() or 0.0, 0.0)
        return (
            f"--max-usd is reached: {left:.6f} USD are left, and a row may cost {line.usd:.6f} USD in a batch. Raise "
            "it, and run the same command again."
        )

    async def _next_of(self, rows: Iterator[list[Row]]) -> list[Row] | None:
        try:
            return await anyio.to_thread.run_sync(next, rows, None)
        except ChatportError as error:
            self._of_input = error
            raise

    async def _send(self, draft: Draft) -> int:
        """Begin a batch; return 1, or 0 where the vendor takes no more for now."""
        self._check_stopped()
        if self._now_began() is None:
            self._host.log.set_meta(batch_began=str(self._waiting.now()))
        try:
            batch = await self._desk.begin(draft, self._number, self._target, self._waiting.patiently)
            if batch.state == "creating":
                await self._waiting.patiently(partial(self._settle, batch))
        except TooManyError:
            self._note_too_many(draft.tokens, len(draft.rows))
            return 0
        self._waiting.quicken()
        self._tell()
        return 1

    def _takes_no_more(self) -> bool:
        return self._is_over_limit

    def _note_too_many(self, tokens: int, rows: int) -> None:
        """Make the next batches smaller: the vendor does not say beforehand how much an account may have waiting."""
        waiting = sum(batch.tokens for batch in self._desk.log.open())
        if rows <= 1 and not waiting:
            raise StopError(
                Ending("failed", "The vendor takes no batch of even one row: its limit of waiting tokens is too low.")
            )
        self._is_over_limit = True
        self._most_tokens = max(waiting + tokens * (0.9 if waiting else 0.5), 1.0)

    async def _settle(self, batch: Batch) -> Batch:
        """Find a batch whose beginning was not answered, or begin it. Looks several times before it does."""
        for _ in range(_LOOKS_FOR_LOST):
            found = await self._desk.find(batch)
            if found is not None:
                return found
            await self._waiting.wait()
            self._check_stopped()  # the waits are over at once then: the next session looks again
        return await self._desk.begin_again(batch)

    # --- waiting

    async def _wait_for(self, is_enough: Callable[[list[Batch]], bool]) -> None:
        """Look at what is open, and read what has ended, until it is enough."""
        cancelled: set[int] = set()
        while True:
            batches = self._desk.log.open()
            self._tell()
            if is_enough(batches):
                return
            self._check_stopped()
            if self._is_late():
                for batch in batches:
                    if batch.state == "open" and batch.number not in cancelled:
                        await self._waiting.patiently(partial(self._desk.cancel, batch))
                        cancelled.add(batch.number)
            before = len(batches)
            for batch in batches:
                await self._waiting.patiently(partial(self._get_on, batch))
            if len(self._desk.log.open()) < before:
                self._waiting.quicken()
                continue
            await self._waiting.wait()

    async def _get_on(self, batch: Batch) -> None:
        """Take a batch as far as it goes now."""
        try:
            if batch.state == "creating":
                batch = await self._settle(batch)
            if batch.state == "open":
                batch = await self._desk.look(batch)
        except TooManyError:
            self._note_too_many(batch.tokens, batch.rows)
            return
        if batch.state == "ended":
            await self._desk.read(batch)

    def _check_stopped(self) -> None:
        if self._waiting.is_stopped:
            raise StopError(self._stopped())

    def _stopped(self) -> Ending:
        batches = [batch for batch in self._desk.log.open() if batch.job]
        rows = sum(batch.rows for batch in batches)
        stay = (
            f" {len(batches)} batches with {rows:,} rows stay at the vendor and go on there: the same command reads "
            "them, and `chatport bulk cancel` stops them."
        )
        return Ending("stopped", "It was stopped." + (stay if batches else ""))

    # --- what it stands at

    def _now_began(self) -> float | None:
        return float(self._host.log.meta("batch_began") or 0) or None

    def _is_late(self) -> bool:
        began, deadline = self._now_began(), self._settings.deadline_seconds
        return began is not None and deadline is not None and self._waiting.now() >= began + deadline

    def _round(self) -> int:
        return int(self._host.log.meta("batch_round") or 0)

    def _tell(self) -> None:
        batches = self._desk.log.open()
        rows = sum(batch.rows for batch in batches)
        self._host.tally.batches = f"{len(batches)} batches with {rows:,} rows at the vendor" if batches else ""


def _same(line: Line, answer: Answer) -> Answer:
    same_as = answer.key if answer.same_as is None else answer.same_as
    return msgspec.structs.replace(
        answer, key=line.row.key, same_as=same_as, kept=line.row.kept, cost=0.0, attempts=0, seconds=0.0
    )
