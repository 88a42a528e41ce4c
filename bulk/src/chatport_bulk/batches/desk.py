"""What is done with one batch: made, begun, looked for, looked at, stopped, read. Each step is written down first."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import anyio
import anyio.to_thread

from chatport import ChatportError, MalformedReplyError, RateLimitError

from ..answers import Answer
from ..asking import Ending, Step
from ..lanes import is_refusal
from ..rows import Key
from ..tally import Tally
from .api import Seen, VendorBatches
from .draft import Draft
from .ids import own_id
from .log import Batch, BatchLog, BatchRow
from .reading import Result, ResultReader, is_whole, results_in

__all__ = ["BatchDesk", "StopError", "TooManyError"]

T = TypeVar("T")

Patiently: TypeAlias = Callable[[Callable[[], Awaitable[str]]], Awaitable[str]]

_ROWS_OF_A_STEP = 500
_FETCHES = 3
_NEW_SECONDS = 600.0
"""For so long a vendor may not find a batch that it has just made."""
_UNSURE = (408, 409, 425)
"""Statuses below 500 that do not say for sure that nothing was begun."""


class StopError(Exception):
    """The run cannot go on, for the reason in `ending`."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class TooManyError(Exception):
    """The vendor holds as many requests as it takes for now: a batch is to be smaller, or later."""


class BatchDesk:
    """Does what is to be done with batches. `write` puts a step into the log, in a thread; `give_back` lets rows be
    asked again; `now` is the time in seconds since 1970."""

    def __init__(
        self,
        vendor: VendorBatches,
        log: BatchLog,
        folder: Path,
        reader: ResultReader,
        *,
        write: Callable[[Step], None],
        give_back: Callable[[Iterable[Key]], None],
        spend: Callable[[Mapping[str, float]], None],
        tally: Tally,
        now: Callable[[], float],
        same_failures: int,
        deletes_files: bool,
    ) -> None:
        self.log = log
        self.folder = folder
        self._vendor = vendor
        self._reader = reader
        self._write = write
        self._give_back = give_back
        self._spend = spend
        self._tally = tally
        self._now = now
        self._same_failures = same_failures
        self._deletes_files = deletes_files
        self.has_answer = False

    def own_id(self, key: Key, number: int) -> str:
        """Return what a row is called in a batch."""
        return own_id(key, number, form=self._vendor.rule.id_form, longest=self._vendor.rule.id_longest)

    # --- the beginning

    async def begin(self, draft: Draft, number: int, target: str, patiently: Patiently) -> Batch:
        """Make a batch of a draft and begin it. `patiently` does a step that may be done again.

        Raises TooManyError and ChatportError, its rows to be asked again.
        """
        draft.close(keep=True)
        name = f"chatport-{uuid.uuid4().hex[:16]}-{number}"
        batch = Batch(
            number, "made", name, target, draft.endpoint, len(draft.rows), draft.tokens, draft.usd, began=self._now()
        )
        await self._in_thread(lambda: draft.place.rename(self._requests(batch)))
        await self._in_thread(self.log.make, batch, draft.rows)
        try:
            if self._vendor.rule.files is not None:
                content = await self._in_thread(self._requests(batch).read_bytes)
                name = batch.name
                file = await patiently(lambda: self._vendor.upload(name, content))
                batch = await self._turn(batch, "uploaded", file=file)
            return await self._create(batch)
        except ChatportError:
            if batch.state in ("made", "uploaded"):
                await self.give_up(batch)
            raise

    async def _create(self, batch: Batch) -> Batch:
        """Begin a batch; one of which nobody knows whether it was begun stays `creating`."""
        batch = await self._turn(batch, "creating", began=self._now())
        content = b"" if batch.file else await self._in_thread(self._requests(batch).read_bytes)
        try:
            seen = await self._vendor.create(batch, content)
        except ChatportError as error:
            if not _is_refused(error):
                return batch
            await self.give_up(batch)
            if isinstance(error, RateLimitError) or error.code in self._vendor.rule.too_many:
                raise TooManyError from error
            raise
        return await self._opened(batch, seen)

    async def find(self, batch: Batch) -> Batch | None:
        """Look for a batch that was sent and not answered; None if it is not there."""
        known = [other.job for other in await self._in_thread(self.log.all) if other.job]
        seen = await self._vendor.find(batch, known)
        return None if seen is None else await self._opened(batch, seen)

    async def begin_again(self, batch: Batch) -> Batch:
        """Begin a batch that was sent, and of which the vendor knows nothing."""
        if not batch.file and not self._requests(batch).exists():
            return await self.give_up(batch)
        return await self._create(batch)

    async def _opened(self, batch: Batch, seen: Seen) -> Batch:
        batch = await self._turn(batch, "open", job=seen.id, said=seen.status)
        await self._in_thread(lambda: self._requests(batch).unlink(missing_ok=True))
        return batch

    async def give_up(self, batch: Batch) -> Batch:
        """Give up a batch that was not begun: its rows are to be asked again."""
        rows = await self._in_thread(self.log.waiting, batch)
        await self._in_thread(lambda: self._requests(batch).unlink(missing_ok=True))
        batch = await self._in_thread(lambda: self.log.close(batch, "given up", rows, ended=self._now()))
        self._give_back(rows)
        if batch.file:
            await self._delete([batch.file])
        return batch

    # --- while it goes on

    async def look(self, batch: Batch) -> Batch:
        """Ask how a batch goes. One that the vendor does not know any more is given up."""
        try:
            seen = await self._vendor.look(batch.job)
        except ChatportError as error:
            if error.status != 404:
                raise
            if self._now() - batch.began < _NEW_SECONDS:
                return batch
            self._tally.problems[f"The batch {batch.job} is gone"] = (
                f"{batch.target.partition(':')[0]} does not know it any more. Its {batch.rows:,} rows may have been "
                "paid, and are asked again."
            )
            return await self.give_up(batch)
        if seen.is_ended:
            batch = await self._turn(batch, "ended", said=seen.status, outputs=seen.outputs)
            if seen.problems:
                await self._refused(batch, seen)
        elif seen.status != batch.said:
            batch = await self._turn(batch, "open", said=seen.status)
        return batch

    async def cancel(self, batch: Batch) -> None:
        """Ask for a batch to be stopped; it is over when it says so. One that has just ended is no error."""
        try:
            await self._vendor.cancel(batch.job)
        except ChatportError as error:
            has_ended = error.status == 409 or _is_refused(error)  # a conflict, as some call it
            if not has_ended or isinstance(error, RateLimitError):
                raise

    async def _refused(self, batch: Batch, seen: Seen) -> None:
        """Look at what is wrong with a batch as a whole. Raises TooManyError, StopError."""
        if any(code in self._vendor.rule.too_many for code, _, _ in seen.problems):
            await self.give_up(batch)
            raise TooManyError
        if seen.outputs and self._vendor.rule.files is not None:
            return  # it was worked on all the same, and its results say the rest
        said = "; ".join(f"{message}" + (f" (line {line})" if line else "") for _, message, line in seen.problems[:3])
        await self.give_up(batch)
        raise StopError(Ending("failed", f"The vendor has refused the batch {batch.job}: {said}"))

    # --- its results

    async def read(self, batch: Batch) -> Batch:
        """Read all results of a batch that has ended, however it did. What has none is to be asked again."""
        rows = await self._in_thread(self.log.waiting, batch)
        left = {self.own_id(key, batch.number): row for key, row in rows.items()}
        reading = _Reading(batch.began)
        place = self.folder / f"{batch.name}.results"
        try:
            for output in batch.outputs:
                await self._fetch(output, place)
                await self._take(place, left, reading)
        finally:
            place.unlink(missing_ok=True)
        is_sure = bool(batch.file) or len(rows) < batch.rows or reading.is_of_this
        if reading.is_of_another and not is_sure:
            return await self._is_not_ours(batch)
        ending = self._ending_of(reading)
        if ending is None:
            await self._commit(reading)
        else:
            left.update({self.own_id(answer.key, batch.number): row for answer, row in reading.held})
        back = [row.key for row in left.values()]
        if reading.wasted:
            await self._in_thread(self._spend, reading.wasted)
        batch = await self._in_thread(lambda: self.log.close(batch, "read", back, ended=self._now()))
        self._give_back(back)
        if self._deletes_files:
            await self._delete([batch.file, *batch.outputs])
        if ending is not None:
            raise StopError(ending)
        return batch

    async def _is_not_ours(self, batch: Batch) -> Batch:
        """Look for a batch again that was known by no more than its size and time: this one is somebody else's."""
        await self._in_thread(self.log.exclude, batch.job)
        return await self._turn(batch, "creating", job="", outputs=())

    async def _fetch(self, output: str, place: Path) -> None:
        """Bring a file of results. One that ends within a line is fetched again, a few times."""
        for _ in range(_FETCHES):
            try:
                await self._vendor.download(output, place)
            except ChatportError as error:
                if error.status != 404:
                    raise
                self._tally.problems[f"The results {output} are gone"] = (
                    "The vendor does not have them any more. Rows whose answers were in them are asked again."
                )
                await self._in_thread(place.write_bytes, b"")
            if await self._in_thread(is_whole, place):
                return

    async def _take(self, place: Path, left: dict[str, BatchRow], reading: _Reading) -> None:
        seconds = max(self._now() - reading.began, 0.0)
        for own, told in results_in(place, self._vendor.rule):
            row = left.get(own)
            if row is None:  # another one of the same, or of somebody else
                reading.is_of_another = True
                continue
            reading.is_of_this = True
            result = await self._reader.read(row, told, seconds)
            if result.answer is None:
                reading.note(result)
                continue
            del left[own]
            reading.held.append((result.answer, row))
            self.has_answer = self.has_answer or not result.answer.is_failure
            if self.has_answer and len(reading.held) >= _ROWS_OF_A_STEP:
                await self._commit(reading)

    async def _commit(self, reading: _Reading) -> None:
        held, reading.held = reading.held, []
        step = Step([], [(answer, row.digest) for answer, row in held], [], [])
        for answer, row in held:
            if row.question is not None and not answer.is_failure:
                step.memo.append((row.question, answer))
        await self._in_thread(self._write, step)
        for answer, _ in held:
            self._tally.count(answer)

    def _ending_of(self, reading: _Reading) -> Ending | None:
        """Return why nothing more is to be asked, None if nothing speaks against it."""
        if reading.fatal is not None:
            kind = type(reading.fatal).__name__
            return Ending("failed", f"No call can succeed. {kind}: {reading.fatal}")
        kinds = Counter(answer.kind for answer, _ in reading.held)
        if self.has_answer or not self._same_failures or len(kinds) != 1 or len(reading.held) < self._same_failures:
            return None
        answer = reading.held[0][0]
        return Ending(
            "failed",
            f"The first {len(reading.held)} rows failed in the same way, and none was answered. "
            f"{answer.kind}: {answer.error}",
        )

    async def _delete(self, files: Iterable[str]) -> None:
        for file in filter(None, files):
            try:
                await self._vendor.delete(file)
            except ChatportError as error:  # it is read, and that is what counts
                self._tally.problems[f"A file was not deleted ({type(error).__name__})"] = error.message

    # --- tools

    def _requests(self, batch: Batch) -> Path:
        return self.folder / f"{batch.name}.jsonl"

    async def _turn(self, batch: Batch, state: str, **fields: Any) -> Batch:
        return await self._in_thread(lambda: self.log.turn(batch, state, **fields))

    async def _in_thread(self, function: Callable[..., T], *values: Any) -> T:
        return await anyio.to_thread.run_sync(function, *values)


class _Reading:
    """What has come of the results of one batch, and is not in the log yet."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.is_of_this = False
        self.is_of_another = False
        self.held: list[tuple[Answer, BatchRow]] = []
        self.fatal: ChatportError | None = None
        self.wasted: dict[str, float] = {}

    def note(self, result: Result) -> None:
        """Note a result that is no answer."""
        self.fatal = self.fatal or result.fatal
        if result.wasted is None:
            return
        answer = result.wasted
        sums: dict[str, float] = {
            "input_tokens": answer.input_tokens or 0,
            "output_tokens": answer.output_tokens or 0,
            "attempts": answer.attempts,
        }
        if answer.cost is not None:
            sums[f"cost {answer.currency}"] = answer.cost
        for name, value in sums.items():
            self.wasted[name] = self.wasted.get(name, 0.0) + value


def _is_refused(error: ChatportError) -> bool:
    """Whether it is sure that nothing was begun."""
    if isinstance(error, MalformedReplyError):
        return False
    status = error.status or 0
    return (is_refusal(error) and status == 429) or (400 <= status < 500 and status not in _UNSURE)
