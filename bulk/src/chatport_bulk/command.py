"""`chatport bulk`: what was asked for goes to stdout, everything about it to stderr.

Exit codes: 0 every row was answered, 1 it stopped before the end or rows have failed, 2 wrong use or configuration, or
a run of something else, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import click
import msgspec

import chatport
from chatport import ChatportError, ConfigurationError

from .batches.command import BATCH_OPTIONS, batch_lines, batch_options, batch_settings

if TYPE_CHECKING:
    from .batches.log import Batch

__all__ = ["command"]

_ASK_ABOVE_USD = 10.0
_CONFIG = click.Path(exists=True, dir_okay=False)


@click.group("bulk", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Ask a model about every row of a file, each paid once."""


def _asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is asked."""
    options = (
        click.option("--config", type=_CONFIG, help="Configuration file."),
        click.option("-m", "--model", metavar="TARGET", help="provider:model, or an alias (default: $LLM_MODEL)."),
        click.option("-p", "--prompt", help="What is asked, with {column} for a column; or @FILE."),
        click.option("--function", metavar="FILE.py:NAME", help="A Python function of the row instead of a prompt."),
        click.option("-s", "--system", default="", help="A system prompt, or @FILE."),
        click.option("--schema", type=_CONFIG, help="A JSON Schema that the answers shall fit."),
        click.option("--tools", type=_CONFIG, help="A JSON file with a list of tools; calls are answers, none is run."),
        click.option("--image", "images", multiple=True, metavar="COLUMN", help="A column with paths of images."),
        click.option("--max-tokens", type=click.IntRange(1), help="The longest answer."),
        click.option("--temperature", type=float),
        click.option("--reasoning", metavar="EFFORT", help="none, minimal, low, medium, high, xhigh, max, or tokens."),
        click.option("--seed", type=int),
        click.option("--key", metavar="COLUMN", help="The column that names a row (default: its place)."),
        click.option("--keep", multiple=True, metavar="COLUMN", help="A column that goes into the answers; '*' all."),
        click.option("--dedupe", is_flag=True, help="Ask rows that ask the same only once."),
        click.option("--spread", is_flag=True, help="Use all targets of an alias at once."),
        click.option("--format", "kind", type=click.Choice(["parquet", "jsonl"]), help="Of the answers."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _running(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how far and how fast."""
    options = (
        click.option("--max-usd", type=click.FloatRange(0), help="What the whole run may cost."),
        click.option("--concurrency", type=click.IntRange(1), default=256, help="The most calls at once."),
        click.option("--limit", type=click.IntRange(1), help="Ask no more than so many rows now."),
        click.option("--retry-failed", is_flag=True, help="Ask the rows again that have failed."),
        click.option(
            "--changed", type=click.Choice(["error", "keep"]), default="error", help="Rows that have changed."
        ),
        click.option("--patience", type=click.FloatRange(1), default=900.0, help="Seconds with refusals only."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask before a dear run."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command("run")
@click.argument("input")
@click.option("-o", "--out", required=True, help="The folder of the run.")
@_asking
@_running
@batch_options
def run_command(input: str, out: str, **given: Any) -> None:
    """Ask about every row of INPUT; the same command again goes on where it stopped.

    INPUT is JSONL, CSV, Parquet or Arrow: a file, a folder, a pattern, or an address such as s3://.
    """
    asked, how = _split(given)
    with _reporting():
        _run(input, out, asked, how)


@command.command("resume")
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@_running
@batch_options
def resume_command(folder: str, **how: Any) -> None:
    """Go on with the run in FOLDER, with the input and prompt that it was begun with."""
    with _reporting():
        begun = _begun(folder)
        _run(begun["input"], folder, begun["asked"], how)


@command.command("cancel")
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--batch-poll", type=click.FloatRange(0, min_open=True), help="Seconds between the first looks (10).")
@click.option("--delete-files", is_flag=True, help="Delete the vendor's files of a batch that was read.")
def cancel_command(folder: str, **batch: Any) -> None:
    """Cancel the open batches of the run in FOLDER, wait until they say so, and keep what they have answered."""
    from .batches.log import BatchLog
    from .rowlog import RowLog

    with _reporting():
        begun = _begun(folder)
        log = RowLog(Path(folder) / "run.sqlite", read_only=True)
        is_any = bool(BatchLog(log, read_only=True).open())
        log.close()
        if not is_any:
            click.echo("No batch is open.", err=True)
            return
        how = {"max_usd": None, "concurrency": 1, "limit": None, "retry_failed": False, "changed": "keep"}
        rest = {"patience": 900.0, "yes": True, "lane": "batch", **batch}
        _run(begun["input"], folder, begun["asked"], {**how, **rest}, cancels=True)


def _begun(folder: str) -> Any:
    """Return with what the run in a folder was begun."""
    from .rowlog import RowLog

    path = Path(folder) / "run.sqlite"
    if not path.is_file():
        raise ConfigurationError(f"{folder} holds no run: it has no run.sqlite.")
    log = RowLog(path, read_only=True)
    told = log.meta("command")
    log.close()
    if told is None:
        raise ConfigurationError(f"The run in {folder} was not begun by `chatport bulk run`; go on as it began.")
    return json.loads(told)


@command.command("plan")
@click.argument("input")
@click.option("-o", "--out", help="The folder of a run that has begun: its figures are measured ones.")
@click.option("--rows", type=click.IntRange(1), default=100, help="How many rows to look at.")
@_asking
def plan_command(input: str, out: str | None, rows: int, **asked: Any) -> None:
    """Say how many rows INPUT has, and what asking will take. Nothing is sent."""
    from .planning import plan

    with _reporting():
        for line in plan(input, _job(asked), out, config=asked["config"], rows=rows).lines():
            click.echo(line)


@command.command("status")
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True)
def status_command(folder: str, as_json: bool) -> None:
    """Say what the run in FOLDER stands at, or the blocks of an engine; also while it goes on."""
    from .batches.log import BatchLog
    from .blocks import standing_of_blocks
    from .rowlog import RowLog

    batches: list[Batch] = []
    with _reporting():
        if (Path(folder) / "run.sqlite").is_file():
            log = RowLog(Path(folder) / "run.sqlite", read_only=True)
            standing, batches = log.standing(), BatchLog(log, read_only=True).all()
            log.close()
        elif (Path(folder) / "blocks").is_dir():
            standing = standing_of_blocks(folder)
        else:
            raise ConfigurationError(f"{folder} holds no run: it has no run.sqlite, and no blocks of an engine.")
        if as_json:
            told = msgspec.to_builtins(standing)
            if batches:
                told["batches"] = msgspec.to_builtins(batches)
            click.echo(msgspec.json.encode(told).decode())
            return
        for line in (*_standing_lines(standing), *batch_lines(batches)):
            click.echo(line)


@command.command("compare")
@click.argument("a", type=click.Path(exists=True, file_okay=False))
@click.argument("b", type=click.Path(exists=True, file_okay=False))
@click.option("--page", type=click.Path(dir_okay=False), help="Write a page (HTML) with the rows that differ most.")
@click.option("--differences", type=click.IntRange(0), default=200, help="How many of them.")
def compare_command(a: str, b: str, page: str | None, differences: int) -> None:
    """Compare the runs in folders A and B over the same rows: agreement, cost, time, errors."""
    from .comparing import compare

    with _reporting():
        found = compare(a, b, most_differences=differences)
        for line in found.lines():
            click.echo(line)
        if page is not None:
            Path(page).write_text(found.page(), encoding="utf-8")


# --- from options to a job


def _split(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = ("max_usd", "concurrency", "limit", "retry_failed", "changed", "patience", "yes", *BATCH_OPTIONS)
    return {k: v for k, v in given.items() if k not in names}, {k: v for k, v in given.items() if k in names}


def _job(asked: Mapping[str, Any]) -> Any:
    from .job import Job

    options = {name: asked[name] for name in ("max_tokens", "temperature", "seed") if asked[name] is not None}
    effort = asked["reasoning"]
    if effort is not None:
        options["reasoning"] = int(effort) if effort.isascii() and effort.isdigit() else effort
    if asked["prompt"] is not None and asked["function"] is not None:
        raise ConfigurationError("Give either --prompt or --function.")
    prompt = _function(asked["function"]) if asked["function"] is not None else _text(asked["prompt"])
    return Job(
        _model(asked),
        prompt,
        system=_text(asked["system"]) or "",
        images=tuple(asked["images"]),
        output=_read_json(asked["schema"], dict, "a JSON Schema"),
        tools=_read_json(asked["tools"], list, "a list of tools") or (),
        options=options,
        key=asked["key"],
        keep=tuple(asked["keep"]),
        dedupe=asked["dedupe"],
        spread=asked["spread"],
        format=asked["kind"] or _usual_format(),
    )


def _model(asked: Mapping[str, Any]) -> str:
    model = asked["model"] or chatport.load_config(asked["config"]).model
    if not model:
        raise ConfigurationError("No model is named: --model provider:model, or LLM_MODEL.")
    return str(model)


def _usual_format() -> Literal["parquet", "jsonl"]:
    from importlib.util import find_spec

    if find_spec("pyarrow") is not None:
        return "parquet"
    click.echo("Answers are written as JSONL; for Parquet: pip install 'chatport-bulk[arrow]'.", err=True)
    return "jsonl"


def _text(given: str | None) -> str | None:
    if given is None or not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file {given[1:]} cannot be read: {error}.") from error


def _read_json(path: str | None, kind: type, what: str) -> Any:
    if path is None:
        return None
    try:
        value = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(value, kind):
        raise ConfigurationError(f"{path} does not hold {what}.")
    return value


def _function(place: str) -> Callable[[Mapping[str, Any]], Any]:
    """Load a function from a file that the user has named."""
    from importlib.util import module_from_spec, spec_from_file_location

    path, colon, name = place.rpartition(":")
    spec = spec_from_file_location("chatport_bulk_prompt", path) if colon else None
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise ConfigurationError(f"--function is FILE.py:NAME, not {place!r}.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # so that its source is found
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigurationError(f"{path} has no function {name!r}.")
    made: Callable[[Mapping[str, Any]], Any] = function
    return made


# --- running


def _run(input: str, out: str, asked: Mapping[str, Any], how: Mapping[str, Any], *, cancels: bool = False) -> None:
    from .asking import Settings
    from .running import Run

    asked = {**asked, "kind": asked["kind"] or _format_of(out)}
    job = _job(asked)
    if how["max_usd"] is None and not how["yes"]:
        _confirm(input, job, out, asked["config"], how["limit"], how["lane"])
    made = Run(
        input,
        job,
        out,
        config=asked["config"],
        settings=Settings(concurrency=how["concurrency"], patience_seconds=how["patience"]),
        max_usd=how["max_usd"],
        retry_failed=how["retry_failed"],
        changed=how["changed"],
        limit=how["limit"],
        lane=how["lane"],
        batch=batch_settings(how, cancels=cancels),
    )
    made.log.set_meta(command=json.dumps({"input": input, "asked": asked}))
    if made.lost:
        click.echo(
            f"{made.lost} calls were under way when the run was stopped before. They may have been paid, and are asked "
            "again.",
            err=True,
        )
    report = _watched(made)
    if cancels:
        click.echo(report.ending.reason, err=True)
        return
    _report(report)


def _format_of(out: str) -> str:
    """Return the format that the run in a folder was begun with, else the usual one."""
    from .rowlog import RowLog

    path = Path(out) / "run.sqlite"
    if not path.is_file():
        return _usual_format()
    log = RowLog(path, read_only=True)
    told = json.loads(log.meta("job") or "{}").get("format")
    log.close()
    return str(told or _usual_format())


def _watched(made: Any) -> Any:
    """Run it with its progress shown. The first Ctrl-C lets calls under way end, the second leaves them."""
    from .progress import Progress
    from .sources import count_rows

    with suppress(ChatportError, OSError):
        made.tally.total = count_rows(made.source)[0]

    async def run() -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, made, group.cancel_scope)
            report = await made.run()
            group.cancel_scope.cancel()
        return report

    with Progress(made.tally):
        try:
            return anyio.run(run)
        except BaseExceptionGroup as group:
            raise _only(group) from None


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _listen(made: Any, scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        is_first = True
        async for _ in signals:
            if not is_first:
                raise KeyboardInterrupt
            is_first = False
            waiting = "batches stay at the vendor" if made.tally.batches else "calls under way are waited for"
            click.echo(f"Stopping: {waiting}. Once more to leave at once.", err=True)
            made.stop()


def _confirm(input: str, job: Any, out: str, config: Any, limit: int | None, lane: str | None) -> None:
    """Ask before a run that will cost more than `[bulk] ask_above_usd`, or refuse where nobody can be asked."""
    from .planning import plan

    loaded = chatport.load_config(config)
    most = loaded.tables.get("bulk", {}).get("ask_above_usd", _ASK_ABOVE_USD)
    if isinstance(most, bool) or not isinstance(most, int | float):
        raise ConfigurationError("[bulk] ask_above_usd is a number.")
    found = plan(input, job, out, config=config)
    if found.amount is None or not found.left:
        return
    rate = 1.0 if found.currency == "USD" else loaded.budget.rates.get(found.currency, 1.0)
    usd = found.amount * rate * (min(limit, found.left) / found.left if limit else 1)
    usd *= found.batch_factor or 1.0 if lane == "batch" else 1.0
    if usd <= most:
        return
    words = f"This will cost about {found.amount:,.2f} {found.currency} for {found.left:,} rows."
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{words} Nobody is here to be asked: say --yes, or cap it with --max-usd.")
    for line in found.lines():
        click.echo(line, err=True)
    if not click.confirm(f"{words} Go on?", err=True):
        raise click.Abort


def _standing_lines(standing: Any) -> list[str]:
    totals = standing.totals
    costs = ", ".join(f"{amount:,.6f} {name}" for name, amount in standing.costs.items()) or "not known"
    unknown = totals.get("without_cost", 0)
    lines = [
        f"answered: {standing.answered:,}",
        f"failed: {standing.failed:,}",
        *(f"  {kind}: {number:,}" for kind, number in standing.failures.items()),
        f"tokens: {totals.get('input_tokens', 0):,.0f} in, {totals.get('output_tokens', 0):,.0f} out",
        f"cost: {costs}" + (f" (and {unknown:,.0f} answers of unknown cost)" if unknown and standing.costs else ""),
        f"files: {standing.parts}",
    ]
    if totals.get("same"):
        lines.append(f"asked once for several: {totals['same']:,.0f} rows cost nothing")
    if standing.lost:
        lines.append(f"possibly paid twice: {standing.lost} calls, under way when a run was killed")
    if standing.under_way:
        lines.append(f"under way: {standing.under_way}")
    return lines


def _report(report: Any) -> None:
    for line in _standing_lines(report.standing):
        click.echo(line, err=True)
    for name, said in report.tally.problems.items():
        click.echo(f"{name}: {said}", err=True)
    click.echo(str(report.folder / "answers"))
    if report.ending.reason:
        click.echo(report.ending.reason, err=True)
    if report.ending.how == "stopped":
        raise click.exceptions.Exit(130)
    if report.ending.how != "done" or report.standing.failed:
        raise click.exceptions.Exit(1)


class _reporting:
    """Shows a ChatportError as one message, with the exit code of its kind."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ChatportError):
            click.echo(f"{type(error).__name__}: {error}", err=True)
            raise click.exceptions.Exit(2 if isinstance(error, ConfigurationError) else 1) from None
