"""Write `sync.py` from `aio.py`, or with --check say whether it is up to date. One text, so the two cannot drift."""

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "core/src/chatport/client/aio.py"
TARGET = SOURCE.with_name("sync.py")
HEADER = '"""The synchronous client and its driver: the same machine, without an event loop or a thread.'
REPLACEMENTS = (
    ('"""The asynchronous client and its driver, on asyncio and trio alike.', HEADER),
    ("AsyncReplyStream", "ReplyStream"),
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
)


def generated() -> str:
    text = SOURCE.read_text("utf-8")
    text = re.sub(r"\n *# async only: begin.*?# async only: end", "", text, flags=re.DOTALL)
    text = text.replace("# sync only: ", "")
    for old, new in REPLACEMENTS:
        text = text.replace(old, new)
    for step in (["check", "--select", "I", "--fix-only", "--quiet"], ["format"]):
        command = [sys.executable, "-m", "ruff", *step, "--stdin-filename", str(TARGET), "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    if "--check" in sys.argv:
        if TARGET.read_text("utf-8") != generated():
            sys.exit("core/src/chatport/client/sync.py is not what aio.py gives: run python .ci/sync_client.py")
    else:
        TARGET.write_text(generated(), "utf-8")
