"""An MCP server, made with the official SDK: over stdin and stdout, or with a port over HTTP on this machine."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.types import AudioContent, EmbeddedResource, ResourceLink, TextContent, TextResourceContents, ToolAnnotations

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 16
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEA"

server = MCPServer("demo", instructions="Add before you multiply.", log_level="CRITICAL")
arrived: Counter[str] = Counter()


@server.tool(annotations=ToolAnnotations(read_only_hint=True, title="Addition"))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(name="math.mul/2")
def multiply(a: int, b: int) -> dict[str, int]:
    """Multiply two numbers."""
    return {"product": a * b}


@server.tool()
def fail(words: str) -> str:
    """Fail."""
    from mcp.server.mcpserver.exceptions import ToolError

    raise ToolError(words)


@server.tool()
def environment() -> dict[str, str]:
    """Tell the environment."""
    return dict(os.environ)


@server.tool(structured_output=False)
def everything() -> list[Any]:
    """Give one of each kind."""
    return [
        "A text.",
        Image(data=PNG, format="png"),
        AudioContent(type="audio", data=WAV, mime_type="audio/wav"),
        ResourceLink(type="resource_link", name="log", uri="file:///tmp/log", description="the log"),
        EmbeddedResource(type="resource", resource=TextResourceContents(uri="file:///note", text="A note.")),
        TextContent(type="text", text="The end."),
    ]


@server.tool()
def die(words: str = "") -> str:
    """End this process."""
    print(words, file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
async def meet(where: str, people: int) -> str:
    """Wait until as many have come."""
    arrived[where] += 1
    with anyio.fail_after(20):
        while arrived[where] < people:  # noqa: ASYNC110  # an event would be of no use to a counter
            await anyio.sleep(0.005)
    return "met"


@server.tool()
async def wait(path: str) -> str:
    """Wait for ever; write down how that ended."""
    try:
        Path(path).write_text("begun")  # noqa: ASYNC240
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        Path(path).write_text("cancelled")  # noqa: ASYNC240
        raise
    return "never"


@server.tool()
async def grow(context: Context) -> str:
    """Offer one more tool."""
    server.add_tool(lambda: "grown", name="grown", description="A tool that was not there before.")
    await context.notify_tools_changed()
    return "Now there is a tool grown."


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run()
