"""Tools of MCP servers, for `tools=` of `client.run`, `run_stream` and `chat`.

async with mcp_tools(command=["uvx", "mcp-server-time"]) as tools:
    run = await client.run("What time is it in Rome?", model="deepseek:deepseek-flash", tools=tools)
"""

from __future__ import annotations

from .servers import McpServer as McpServer
from .tools import McpTool as McpTool, McpTools as McpTools, mcp_tools as mcp_tools

__all__ = ["McpServer", "McpTool", "McpTools", "mcp_tools"]
