"""One run: an input, what is asked of each row, and the folder in which the answers come together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import attrs

import chatport

from .asking import Asking, Ending, Settings, Step
from .batches.lane import BatchHost, BatchLane
from .batches.log import BatchLog
from .batches.settings import BatchSettings, batch_target
from .errors import ChangedRunError, RunStoppedError, StorageError
from .folder import RunFolder
from .job import Job
from .lanes import bulk_config, lanes_of
from .parts import MOST_ROWS, Parts
from .rowlog import RowLog, Standing
from .rows import Key, Row, digest_of
from .sources import Source, open_source
from .tally import Tally

__all__ = ["Report", "Run", "run"]


@attrs.frozen
class Report:
    """How a session ended, and what the whole run stands at. `lost` calls of the session before may be paid twice."""

    ending: Ending
    standing: Standing
    tally: Tally
    folder: Path
    lost: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every row was asked; some may have failed."""
        return self.ending.how == "done"


class Run:
    """A run, to be made once and run once. The same input, job and folder go on where the run before stopped.

    `changed="keep"` keeps the answers of rows that are not what they were; "error" refuses to go on. `limit` asks no
    more than so many rows in this session. `client` are further arguments of `chatport.AsyncClient`. `lane` "batch"
    asks by the vendor's batches, as `batch` says; None is the lane of the session before, else "online".

    Raises ChangedRunError, StorageError and ConfigurationError while it is made, before anything is sent.
    """

    def __init__(
        self,
        input: str | Path,
        job: Job,
        out: str | Path,
        *,
        config: Any = None,
        settings: Settings | None = None,
        max_usd: float | None = None,
        retry_failed: bool = False,
        changed: Literal["error", "keep"] = "error",
        limit: int | None = None,
        client: Mapping[str, Any] | None = None,
        lane: Literal["online", "batch"] | None = None,
        batch: BatchSettings | None = None,
    ) -> None:
        self.job = job
        self._lane = lane
        self._batch_settings = batch or BatchSettings()
        self._batches: BatchLane | None = None
        self._client_options = dict(client or {})
        self._max_usd_wanted = max_usd
        self._chosen: set[Key] = set()
        self.settings = settings or Settings()
        self._changed = changed
        self._limit = limit
        self._asking: Asking | None = None
        self._full: StorageError | None = None
        self._open_keys: set[Key] = set()
        self.tally = Tally()
        self.source = open_source(input)
        self._client = chatport.AsyncClient(bulk_config(config), observers=(self._observe,), **(client or {}))
        targets = self._client.targets(job.model)
        if lane == "batch":
            batch_target(self._client, job.model)  # where it takes none, that is said before anything is made
        self.folder = RunFolder(Path(out))
        try:
            self.log = RowLog(self.folder.log)
            try:
                self._prepare(input, targets, retry_failed)
                self._max_usd = self._money_left(max_usd)
            except BaseException:
                self.log.close()
                raise
        except BaseException:
            self.folder.close()
            raise

    # --- before anything is sent

    def _prepare(self, input: str | Path, targets: Sequence[str], retry_failed: bool) -> None:
        is_new = self.log.meta("job") is None
        wanted = {**self.job.fingerprint(), "input": str(input), "targets": ", ".join(targets)}
        if not is_new:
            self._check_unchanged(json.loads(self.log.meta("job") or "{}"), wanted)
        self.source = self._numbered(self.source)
        self.parts = Parts(
            self.folder.path,
            self.log,
            self.job.format,
            self.job.schema(),
            self.source.label,
            keeps=bool(self.job.keep),
        )
        self.parts.sweep()
        self.log.set_meta(job=json.dumps(wanted), is_single=str(int(self.source.is_single)))
        self._lane = self._lane or ("batch" if self.log.meta("lane") == "batch" else "online")
        self.log.set_meta(lane=self._lane)
        self.lost = self.log.open_session()
        if retry_failed:
            self.log.forget_failures()

    def _check_unchanged(self, was: Mapping[str, str], now: Mapping[str, str]) -> None:
        changes = tuple(
            f"{name}: was {was.get(name, 'not set')!r}, is {now.get(name, 'not set')!r}"
            for name in dict.fromkeys((*was, *now))
            if was.get(name) != now.get(name)
        )
        if changes:
            raise ChangedRunError(
                f"{self.folder.path} holds a run of something else, and nothing was sent. {'; '.join(changes)}. Name "
                "another folder with --out, or give what was given before.",
                changes=changes,
            )

    def _numbered(self, source: Source) -> Source:
        """Return the source with the numbers that its files have had before. Files may be new, or have grown."""
        known = self.log.files()
        numbers = {name: number for name, (number, _, _) in known.items()}
        missing = [name for name in numbers if name not in {file.name for file in source.files}]
        if missing and self._changed == "error" and self.job.key is None:
            raise ChangedRunError(
                f"The input lacks {', '.join(missing[:3])}, which was there before. Put it back, or say "
                "--changed keep.",
                changes=tuple(f"input: {name} is gone" for name in missing),
            )
        for file in source.files:
            size = file.size_bytes
            if file.name in known:
                self._check_file(file, known[file.name], size)
            numbers.setdefault(file.name, len(numbers))
            self.log.set_file(numbers[file.name], file.name, size, file.digest(size))
        return attrs.evolve(source, numbers=numbers)

    def _check_file(self, file: Any, known: tuple[int, int, str], size: int) -> None:
        _, old_size, digest = known
        if self.job.key is not None or self._changed == "keep" or "://" in file.path:
            return  # each row is looked at by itself
        if size < old_size or (size != old_size and not file.is_text) or file.digest(old_size) != digest:
            raise ChangedRunError(
                f"{file.name} is not what it was when this run began: rows are named by their places, so it may grow "
                "at its end and nothing else. Begin in another folder, or name rows by a column: --key.",
                changes=(f"input: {file.name} was changed",),
            )

    def _money_left(self, max_usd: float | None) -> float | None:
        """Return what of a cap is left: what was spent, and what lost calls may have cost, is taken off."""
        if max_usd is None:
            return None
        standing = self.log.standing()
        spent, lost = self._spent(standing)
        left = max_usd - spent - lost
        if left <= 0:
            raise RunStoppedError(
                f"--max-usd {max_usd:g} is spent: {spent:.6f} USD for {standing.answered} rows. Nothing was sent. "
                "Raise it, and run the same command again."
            )
        return left

    def _spent(self, standing: Standing) -> tuple[float, float]:
        """Return what was spent, and what lost calls may have cost, in USD."""
        rates = {**self._client.config.budget.rates, "USD": 1.0}
        spent = sum(amount * rates.get(currency, 1.0) for currency, amount in standing.costs.items())
        return spent, spent / standing.answered * standing.lost if standing.answered else 0.0

    # --- the rows

    def to_ask(self) -> Iterator[list[Row]]:
        """Give the rows that are neither answered nor failed nor elsewhere, in batches; each is given once.

        Raises ChangedRunError for a row that is not what it was when it was answered, and for two rows of one key.
        """
        for batch in self.source.batches(self.job):
            # In this order: what is no longer under way at the second look was written down before it.
            open_keys = {row.key for row in batch if row.key in self._open_keys}
            known = self.log.known([row.key for row in batch])
            new = []
            for row in batch:
                if row.key in open_keys or row.key in known or row.key in self._open_keys:
                    self._check_row(row, known[row.key].digest if row.key in known else None)
                    self.tally.skipped += 1
                elif self._is_beyond_limit(row.key):
                    continue
                else:
                    self._open_keys.add(row.key)
                    new.append(row)
            if new:
                yield new
            if self._limit is not None and len(self._chosen) >= self._limit and not self._batches:
                return

    def _is_beyond_limit(self, key: Key) -> bool:
        """Whether a row is left for another session. Those of this one may be given several times."""
        if self._limit is None or key in self._chosen:
            return False
        if len(self._chosen) >= self._limit:
            return True
        self._chosen.add(key)
        return False

    def give_back(self, keys: Iterable[Key]) -> None:
        """Let rows be given again that were given, and are not under way."""
        self._open_keys.difference_update(keys)

    def _check_row(self, row: Row, digest: bytes | None) -> None:
        if digest is None or self._changed == "keep" or digest == digest_of(row.content):
            return
        raise ChangedRunError(
            f"The row {self.source.label(row.key)} is not what it was when it was answered, or two rows have this key. "
            "Begin in another folder, or keep the answers as they are: --changed keep.",
            changes=(f"row {self.source.label(row.key)}",),
        )

    def write(self, step: Step) -> None:
        """Write down a step of the rows, and a part of the answers where one is full. Blocks; called in one thread.

        On a full disk the room that was kept back is given up and no further call begins; those under way are kept.
        """
        try:
            try:
                self.log.step(step.begun, step.ended, step.back, memo=step.memo)
            except StorageError as error:
                self._is_full(error)
                self.log.step(step.begun, step.ended, step.back, memo=step.memo)
        finally:
            self._open_keys.difference_update([answer.key for answer, _ in step.ended])
        self._written += len(step.ended)
        if self._written >= MOST_ROWS and self._full is None:
            self._written = 0
            try:
                self.parts.write(whole=False)
            except StorageError as error:
                self._is_full(error)

    _written = 0

    def _is_full(self, error: StorageError) -> None:
        had_room = self.folder.give_room()
        if not had_room and self._full is None:
            raise error
        self._full = self._full or error
        if self._asking is not None:
            self._asking.ends(Ending("stopped", str(error)))

    # --- running

    def stop(self) -> None:
        """Begin no more calls; those under way end, and are kept. For Ctrl-C."""
        if self._batches is not None:
            self._batches.stop()
        if self._asking is not None:
            self._asking.stop("stopped", "It was stopped.")

    async def run(self) -> Report:
        """Ask all rows that are to be asked. Raises StorageError, ChangedRunError and what reading the input raises.

        A run that must stop (money, a key that is refused) is no error here: the report's ending says so.
        """
        ending = Ending("stopped", "It was stopped at once: calls under way were left.")
        try:
            async with self._client:
                ending = await self._ask()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._close, ending)
        if self._full is not None:
            raise self._full
        return Report(ending, self._standing, self.tally, self.folder.path, self.lost)

    async def _ask(self) -> Ending:
        """Ask in the lane that was chosen, and what that leaves online. Batches that are open are read in any case."""
        is_online = self._lane != "batch"
        if is_online and self._max_usd is not None:  # what is reserved for open batches is spoken for
            self._max_usd -= sum(batch.usd for batch in BatchLog(self.log).open())
        if is_online and (self._max_usd is None or self._max_usd > 0):
            ending = await self._ask_online()
            if ending.how != "done" or not BatchLog(self.log).open():
                return ending
        how = attrs.evolve(self._batch_settings, rounds=0) if is_online else self._batch_settings
        self._batches = BatchLane(self._host(), how)
        left = await self._batches.run()
        if left is not None:
            return left
        try:
            self._max_usd = self._money_left(self._max_usd_wanted)
        except RunStoppedError as error:
            return Ending("money", error.message)
        self.tally.skipped = -self.tally.ended  # which are passed over once more
        return await self._ask_online()

    def _host(self) -> BatchHost:
        return BatchHost(
            self._client,
            self._client_options,
            self.job,
            self.log,
            self.folder.path,
            self.tally,
            self.to_ask,
            self.write,
            self.give_back,
            self._rest_of_money,
            self.settings.same_failures,
            self.settings.patience_seconds,
        )

    def _rest_of_money(self) -> float | None:
        if self._max_usd_wanted is None:
            return None
        return self._max_usd_wanted - sum(self._spent(self.log.standing()))

    async def _ask_online(self) -> Ending:
        settings = attrs.evolve(self.settings, max_usd=self._max_usd)
        lanes = lanes_of(
            self._client,
            self.job.model,
            spread=self.job.spread,
            most=settings.concurrency,
            first=settings.first_concurrency,
        )
        rows = self.to_ask()
        self._asking = Asking(
            self._client,
            self.job,
            lanes,
            settings,
            batches=lambda: next(rows, None),
            commit=self.write,
            recall=self.log.memo if self.job.dedupe else None,
            forget=self.log.forget_failures,
            tally=self.tally,
        )
        return await self._asking.run()

    def _close(self, ending: Ending) -> None:
        try:
            if self._full is None:
                self.parts.write(whole=True)
                self.parts.write_failures()
            self.log.close_session(ending.how)
            self._standing = self.log.standing()
        finally:
            self.log.close()
            self.folder.close()

    def close(self) -> None:
        """Leave a run that was not run."""
        self.log.close()
        self.folder.close()

    def _observe(self, event: str, fields: Mapping[str, Any]) -> None:
        is_refused = event == "attempt_failed" and fields["error"] in ("RateLimitError", "OverloadedError")
        if is_refused and self._asking is not None:
            self._asking.refused(str(fields["target"]))


def run(
    input: str | Path,
    job: Job,
    out: str | Path,
    *,
    backend: str = "asyncio",
    watch: Callable[[Run], Any] | None = None,
    **options: Any,
) -> Report:
    """Run a job over an input and return how it ended, without a loop of your own. Options as for `Run`.

    `watch` is called with the run before it begins, such as to show its tally from another thread.
    """
    made = Run(input, job, out, **options)
    if watch is not None:
        watch(made)
    return anyio.run(made.run, backend=backend)
