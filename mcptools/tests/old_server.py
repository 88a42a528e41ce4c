"""An MCP server of the older protocol (2025-06-18), by hand: it starts fast, and does what no SDK would let it.

`old_server.py` speaks over stdin and stdout. `Old` is the same over HTTP, with a session, as a test wants it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = [
    {"name": "echo", "description": "Say it again.", "inputSchema": TEXT},
    {"name": "pid", "title": "Number of the process", "inputSchema": {"type": "object"}},
    {"name": "hang", "inputSchema": {"type": "object"}},
    {"name": "leave", "inputSchema": {"type": "object"}},
    {"name": "bare", "inputSchema": {"type": "object"}},
    {"name": "refuse", "inputSchema": {"type": "object"}},
]  # fmt: skip


def answer(request: Mapping[str, Any], tools: list[dict[str, Any]] = TOOLS) -> dict[str, Any] | None:
    """Return the answer to a message, None for one that has none."""
    if "id" not in request:
        return None
    params = request.get("params") or {}
    result: dict[str, Any]
    match request["method"], params.get("name"):
        case "initialize", _:
            about = {"name": "old", "version": "1"}
            result = {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": about,
            }
        case "tools/list", _:  # two to a page
            at = int(params.get("cursor") or 0)
            result = {"tools": tools[at : at + 2]}
            if at + 2 < len(tools):
                result["nextCursor"] = str(at + 2)
        case "tools/call", "echo":
            result = {"content": [{"type": "text", "text": params["arguments"]["text"]}]}
        case "tools/call", "pid":
            result = {"content": [{"type": "text", "text": str(os.getpid())}]}
        case "tools/call", "bare":
            result = {"content": [], "structuredContent": {"a": 1}}
        case "tools/call", "hang":
            return None
        case "tools/call", "leave":
            os._exit(1)
        case _:
            error = {"code": -32601, "message": "Method not found"}
            return {"jsonrpc": "2.0", "id": request["id"], "error": error}
    return {"jsonrpc": "2.0", "id": request["id"], "result": result}


class Old(ThreadingHTTPServer):
    """One over HTTP that wants a key, and counts what came. `forget()` forgets its sessions."""

    daemon_threads = True

    def __init__(self, port: int = 0, key: str = "") -> None:
        self.key = key
        self.session = 0
        self.seen: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/mcp"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self.server_close()

    def forget(self) -> None:
        """Answer the session of before with 404 from now on."""
        self.session += 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients may leave."""


class _Handler(BaseHTTPRequestHandler):
    server: Old

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((request.get("method", ""), headers))
        if self.server.key and headers.get("authorization") != f"Bearer {self.server.key}":
            return self.say(401)
        begins = request.get("method") == "initialize"
        if not begins and headers.get("mcp-session-id") != str(self.server.session):
            return self.say(404 if "mcp-session-id" in headers else 400)
        if (request.get("params") or {}).get("name") == "leave":
            return None  # and the connection is closed without an answer
        said = answer(request)
        return self.say(202 if said is None else 200, said)

    def do_GET(self) -> None:
        self.say(405)

    def do_DELETE(self) -> None:
        self.say(200)

    def say(self, status: int, body: Any = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("mcp-session-id", str(self.server.session))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve over stdin and stdout; with the word `mute`, say nothing at all, with `broken`, end at once.

    With `closing`, a call of `refuse` takes all tools away.
    """
    if "mute" in sys.argv:
        sys.stdin.read()
    if "broken" in sys.argv:
        print(f"no module named {os.environ.get('TOKEN', 'x')}", file=sys.stderr)
        sys.exit(1)
    for line in sys.stdin:
        request = json.loads(line)
        said = answer(request, TOOLS)
        if request.get("method") == "tools/call" and request["params"]["name"] == "refuse":
            if "closing" in sys.argv:
                TOOLS.clear()
            TOOLS.append({"name": "late", "inputSchema": {"type": "object"}})
            print('{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}')
        if said is not None:
            print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
