"""Write the synchronous twins of asynchronous files, or with --check say whether they are up to date: one text each."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TWINS = {
    "core/src/chatport/client/aio.py": "core/src/chatport/client/sync.py",
    "core/src/chatport/client/crew.py": "core/src/chatport/client/crew_sync.py",
    "core/src/chatport/client/mapping.py": "core/src/chatport/client/mapping_sync.py",
    "core/src/chatport/client/running.py": "core/src/chatport/client/running_sync.py",
    "core/src/chatport/client/series.py": "core/src/chatport/client/series_sync.py",
    "core/src/chatport/client/streamed.py": "core/src/chatport/client/streamed_sync.py",
    "surfaces/src/chatport_surfaces/serving.py": "surfaces/src/chatport_surfaces/serving_sync.py",
}
HEADER = '"""The synchronous client and its driver: the same machine, without an event loop or a thread.'
REPLACEMENTS = (
    ('"""The asynchronous client and its driver, on asyncio and trio alike.', HEADER),
    ("AsyncReplyStream", "ReplyStream"),
    ("AsyncRunStream", "RunStream"),
    (".aio import", ".sync import"),
    *[(f".{name} import", f".{name}_sync import") for name in ("crew", "mapping", "running", "series", "streamed")],
    (": tasks, on asyncio and trio alike.", ": threads of their own."),
    (", on asyncio and trio alike.", ", without an event loop."),
    (" | AsyncIterable[Item]", ""),
    (" | Awaitable[MessagesInput]", ""),
    ("AsyncMapStream", "MapStream"),
    ("AsyncCrew", "Crew"),
    ("AsyncSeries", "Series"),
    ("AsyncDriver", "_Driver"),
    ("AsyncClient", "Client"),
    ("HttpxAsyncTransport", "HttpxTransport"),
    ("AsyncExchange", "Exchange"),
    ("AsyncTransport", "Transport"),
    ("httpx_async", "httpx_sync"),
    ("open_async_transport", "open_transport"),
    ("__anext__", "__next__"),
    ("__aiter__", "__iter__"),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("StopAsyncIteration", "StopIteration"),
    ("checkpoint_async, ", ""),
    ("sleep_async", "sleep"),
    ("pause_async", "pause"),
    ("run_beside_async", "run_beside"),
    ("run_blocking_async", "run_blocking"),
    ("aclose", "close"),
    ("async with", "with"),
    ("async for", "for"),
    ("async def", "def"),
    ("await ", ""),
    ("use an Client", "use an AsyncClient"),
    (", on asyncio or trio.", ", without an event loop."),
    ("AsyncCalls", "Calls"),
    ("AsyncGuard", "Guard"),
    ("AsyncStreamedAnswer", "StreamedAnswer"),
    ("AsyncSurfaces", "Surfaces"),
    ("with an asynchronous client behind", "with a synchronous client behind"),
)


def made_of(source: Path) -> str:
    return f"Made of `{source.name}`."


def generated(source: Path, target: Path) -> str:
    text = source.read_text("utf-8")
    text = re.sub(r"\n *# async only: begin.*?# async only: end", "", text, flags=re.DOTALL)
    text = text.replace("# sync only: ", "").replace("# sync only:\n", "\n")
    text = text.replace(
        f"`{target.name}` is made of this file by `.ci/sync_client.py`: edit this one.", made_of(source)
    )
    for old, new in REPLACEMENTS:
        text = text.replace(old, new)
    for step in (["check", "--select", "I", "--fix-only", "--quiet"], ["format"]):
        command = [sys.executable, "-m", "ruff", *step, "--stdin-filename", str(target), "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> None:
    for source, target in TWINS.items():
        text = generated(ROOT / source, ROOT / target)
        if "--check" not in sys.argv:
            (ROOT / target).write_text(text, "utf-8")
        elif (ROOT / target).read_text("utf-8") != text:
            sys.exit(f"{target} is not what {source} gives: run python .ci/sync_client.py")


if __name__ == "__main__":
    main()
