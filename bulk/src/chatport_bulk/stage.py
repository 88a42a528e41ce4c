"""The stage: an Arrow batch in, an Arrow batch out, whatever engine moves the batches.

It is what an engine (Ray Data, Dask, Daft, Spark) runs in each of its workers. It has a client, a number of calls at
once that it finds out, and a row log for each block of rows: `FOLDER/blocks/xx/DIGEST.sqlite`, named by what the
block asks. So a block that an engine runs again, wherever, asks only what was not answered before; an engine's own
checkpoint does not save that. The folder is one that all workers reach.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Literal, Self

import anyio
import attrs
from anyio.from_thread import BlockingPortal, start_blocking_portal

import chatport
from chatport import ConfigurationError

from .answers import Answer, flat
from .arrow_files import schema_for, table_of
from .asking import Asking, Ending, Settings, Step
from .blocks import Blocks
from .errors import RunStoppedError
from .job import Job
from .lanes import Lane, bulk_config, lanes_of
from .rowlog import RowLog
from .rows import Key, Row
from .tally import Tally

__all__ = ["Stage", "output_schema"]


def output_schema(job: Job, kept: Any = None) -> Any:
    """Return the Arrow schema of what a stage gives; `kept` is the schema of the input, where columns are kept."""
    fields = [] if kept is None else [f for f in kept if "*" in job.keep or f.name in job.keep]
    return schema_for(_properties(job), [_renamed(field) for field in fields])


def _renamed(field: Any) -> Any:
    from .answers import COLUMNS

    is_ours = field.name in (*COLUMNS, "parsed", "tool_calls")
    return field.with_name(f"input_{field.name}") if is_ours else field


def _properties(job: Job) -> Mapping[str, Any] | None:
    properties = (job.schema() or {}).get("properties")
    return properties if isinstance(properties, Mapping) else None


class Stage:
    """Called with a table or a record batch of rows, it returns a table with a row for each, in the same order.

    `job` is sent to the workers as it is. `job.key` names the column that names a row for ever: without one rows are
    named by their places in their block. `folder` is where the logs of blocks are, None for none: then a block that is
    run again is paid again. `client` are further arguments of `chatport.AsyncClient`. `settings.max_usd` is what this
    stage may spend in its life; each worker has one.

    A row that cannot be answered is a row with `error` and `kind`: it never ends a run. What no row can survive (a key
    that is refused, a cap of money) raises RunStoppedError; what was answered until then is in the log of the block.
    Safe to be called from several threads at once: they share the client and the number of calls at once. Nothing is
    opened before the first call, so a stage can be pickled until then.
    """

    def __init__(
        self,
        job: Job,
        folder: str | Path | None = None,
        *,
        config: Any = None,
        settings: Settings | None = None,
        retry_failed: bool = False,
        journal_mode: Literal["WAL", "TRUNCATE"] = "TRUNCATE",
        client: Mapping[str, Any] | None = None,
    ) -> None:
        self.job = job
        self.settings = settings or Settings()
        self._blocks = None if folder is None else Blocks(Path(folder), job, journal_mode)
        self._config = config
        self._retry_failed = retry_failed
        self._client_options = dict(client or {})
        self._opened: _Opened | None = None
        self.tally = Tally()
        self.lost = 0
        """Calls that were under way when a worker died with a block that was given to this stage later."""

    def __getstate__(self) -> dict[str, Any]:
        if self._opened is not None:
            raise ConfigurationError("A stage is sent to a worker before its first call, not after it.")
        return dict(vars(self))

    def __call__(self, batch: Any) -> Any:
        """Return the answers to a table or record batch, row by row. See the class for what is raised."""
        opened = self._open()
        return opened.portal.call(self._answer, opened, batch)

    def recall(self) -> int:
        """Let rows be found that were answered in blocks of another cut; return how many answered rows are known.

        To be called where the workers are told what to do, before the stage is sent to them; `ask` of an engine does
        it. It reads each log that has changed since the last time. Raises StorageError where it cannot be written.
        """
        return 0 if self._blocks is None else self._blocks.recall.write()

    def over(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Give the answers to record batches as record batches, then close: what Spark's `mapInArrow` calls."""
        with self:
            for batch in batches:
                yield from self(batch).combine_chunks().to_batches()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the client and its thread. Safe to call twice."""
        _open_stages.discard(self)
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _open(self) -> _Opened:
        with _OPENING:
            if self._opened is None:
                self._opened = _Opened(self)
                _close_at_exit(self)
            return self._opened

    def refused(self, event: str, fields: Mapping[str, Any]) -> None:
        """Hear of a call that failed: an observer of the client."""
        if event == "attempt_failed" and fields["error"] in ("RateLimitError", "OverloadedError"):
            opened = self._opened
            for asking in () if opened is None else tuple(opened.askings):
                asking.refused(str(fields["target"]))

    # --- one block

    async def _answer(self, opened: _Opened, batch: Any) -> Any:
        contents = batch.to_pylist()
        schema = output_schema(self.job, batch.schema)
        if not contents:
            return schema.empty_table()
        rows = [_row(self.job, content, place) for place, content in enumerate(contents, 1)]
        async with nullcontext() if self._blocks is None else self._blocks.holding(rows) as log:
            block = await anyio.to_thread.run_sync(self._asked_before, rows, log)
            ending = await self._ask(opened, block)
        if ending.how != "done":
            raise RunStoppedError(f"{ending.reason} What was answered of this block is kept.")
        answers = [block.answers[row.key] for row in rows]
        properties = _properties(self.job)
        columns = None if properties is None else tuple(properties)
        return table_of([flat(answer, str, columns) for answer in answers], schema)

    def _asked_before(self, rows: Sequence[Row], log: RowLog | None) -> _Block:
        block = _Block(rows, log)
        if log is None:
            return block
        self.lost += log.open_session()
        if self._retry_failed:
            log.forget_failures()
        block.answers.update(log.answers_in_journal([row.key for row in rows]))
        block.answers.update((answer.key, answer) for answer in log.failures())
        if self._blocks is not None:
            new = [row for row in rows if row.key not in block.answers and not row.problem]
            block.answers.update((answer.key, answer) for answer in self._blocks.recall.find(new))
        self.tally.skipped += len(block.answers)
        return block

    async def _ask(self, opened: _Opened, block: _Block) -> Ending:
        asking = Asking(
            opened.client,
            self.job,
            opened.lanes,
            self._settings_of_a_block(),
            batches=block.batches().__next__,
            commit=block.commit,
            forget=block.forget,
            tally=self.tally,
        )
        opened.askings.append(asking)
        try:
            with nullcontext() if opened.budget is None else opened.budget:
                return await asking.run()
        finally:
            opened.askings.remove(asking)
            if self.tally.answered and self._blocks is not None:
                self._blocks.note_an_answer()

    def _settings_of_a_block(self) -> Settings:
        """Return the settings without the cap, which is the whole stage's, and without alarm once rows were answered.

        Else a block whose first rows are all bad would end a run that goes well.
        """
        is_well = self.tally.answered > 0 or (self._blocks is not None and self._blocks.has_an_answer())
        same_failures = 0 if is_well else self.settings.same_failures
        return attrs.evolve(self.settings, max_usd=None, same_failures=same_failures)


_OPENING = threading.Lock()


def _close_at_exit(stage: Stage) -> None:
    """See to it that a stage which its engine does not close is closed when the program ends.

    That waits for the threads of the stage's loop before `atexit` comes; this is what `concurrent.futures` does.
    """
    if not _registered:
        _registered.append(True)
        register: Any = threading._register_atexit  # type: ignore[attr-defined]  # it has no public name
        with suppress(RuntimeError):  # the program is ending
            register(_close_all)
    _open_stages.add(stage)


def _close_all() -> None:
    for stage in list(_open_stages):
        stage.close()


_open_stages: weakref.WeakSet[Stage] = weakref.WeakSet()
_registered: list[bool] = []


def _row(job: Job, content: Mapping[str, Any], place: int) -> Row:
    try:
        return Row(job.key_of(content, place), content)
    except chatport.ChatportError as error:
        return Row(place, content, error.message)


class _Block:
    """The rows of one call of the stage: what is answered of them, and the log that says so."""

    def __init__(self, rows: Sequence[Row], log: RowLog | None) -> None:
        self.rows = rows
        self.log = log
        self.answers: dict[Any, Answer] = {}

    def batches(self) -> Any:
        """Give what is to be asked, each key once, and None at the end."""
        new = {row.key: row for row in self.rows if row.key not in self.answers}
        if new:
            yield list(new.values())
        while True:
            yield None

    def commit(self, step: Step) -> None:
        if self.log is not None:
            self.log.step(step.begun, step.ended, step.back)
        self.answers.update((answer.key, answer) for answer, _ in step.ended)

    def forget(self, keys: Sequence[Key]) -> None:
        """Let rows be asked again that have failed like all the first ones."""
        if self.log is not None:
            self.log.forget_failures(keys)


class _Opened:
    """What a stage has once it is called: a client in a loop of its own, in a thread of its own."""

    def __init__(self, stage: Stage) -> None:
        self._starting = start_blocking_portal()
        self.portal: BlockingPortal = self._starting.__enter__()
        self.askings: list[Asking] = []
        cap = stage.settings.max_usd
        self.budget = None if cap is None else chatport.Budget(usd=cap, name="max_usd")
        try:
            self.client = self.portal.call(self._make_client, stage)
            self.lanes: list[Lane] = lanes_of(
                self.client,
                stage.job.model,
                spread=stage.job.spread,
                most=stage.settings.concurrency,
                first=stage.settings.first_concurrency,
            )
        except BaseException:
            self._starting.__exit__(None, None, None)
            raise

    async def _make_client(self, stage: Stage) -> chatport.AsyncClient:
        return chatport.AsyncClient(bulk_config(stage._config), observers=(stage.refused,), **stage._client_options)

    def close(self) -> None:
        """End the calls that are under way, if any, and the loop."""
        with suppress(RuntimeError):  # it has ended
            self.portal.call(self.client.aclose)
            self.portal.call(self.portal.stop, True)
        self._starting.__exit__(None, None, None)
