"""Write the synchronous twins of asynchronous files, or with --check say whether they are up to date: one text each."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TWINS = {
    "core/src/chatport/client/aio.py": "core/src/chatport/client/sync.py",
    "core/src/chatport/client/running.py": "core/src/chatport/client/running_sync.py",
    "surfaces/src/chatport_surfaces/serving.py": "surfaces/src/chatport_surfaces/serving_sync.py",
}
HEADER = '"""The synchronous client and its driver: the same machine, without an event loop or a thread.'
REPLACEMENTS = (
    ('"""The asynchronous client and its driver, on asyncio and trio alike.', HEADER),
    ("AsyncReplyStream", "ReplyStream"),
    ("AsyncRunStream", "RunStream"),
    (".aio import", ".sync import"),
    (".running import", ".running_sync import"),
    (
        '"""A run of tools in progress, on asyncio and trio alike.',
        '"""A run of tools in progress, without an event loop.',
    ),
    ("`running_sync.py` is made of this file by `.ci/sync_client.py`: edit this one.", "Made of `running.py`."),
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
    (", on asyncio or trio.", ", without an event loop."),
    ("AsyncGuard", "Guard"),
    ("AsyncStreamedAnswer", "StreamedAnswer"),
    ("AsyncSurfaces", "Surfaces"),
    ("with an asynchronous client behind", "with a synchronous client behind"),
    ("`serving_sync.py` is made of this file by `.ci/sync_client.py`: edit this one.", "Made of `serving.py`."),
)


def generated(source: Path, target: Path) -> str:
    text = source.read_text("utf-8")
    text = re.sub(r"\n *# async only: begin.*?# async only: end", "", text, flags=re.DOTALL)
    text = text.replace("# sync only: ", "")
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
