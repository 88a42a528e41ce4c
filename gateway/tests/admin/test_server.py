"""The admin port as it is served: beside the gateway, in one process, and over before it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

import chatport
from chatport import ConfigurationError
from chatport.testing import Emulator
from chatport_gateway import Gateway, GatewaySettings, make_server
from chatport_gateway.admin.app import Admin
from chatport_gateway.admin.settings import AdminSettings

from ..conftest import Listening

TOKEN = "-".join(["serve"] * 7)
HEADERS = {"authorization": f"Bearer {TOKEN}"}


def _gateway(folder: Path, **admin: Any) -> Gateway:
    emulator = Emulator("compatible")
    table = {"port": 0, "token_hash": f"sha256:{sha256(TOKEN.encode()).hexdigest()}", **admin}
    config = emulator.config(
        aliases={"main": ["compatible:emulated-model"]}, team={"folder": str(folder / "team")}, admin=table
    )
    client = chatport.AsyncClient(config, transport=emulator)
    return Gateway(client=client, settings=GatewaySettings(port=0))


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[tuple[Listening, str]]:
    made = Listening(_gateway(folder))
    try:
        assert made.gateway.admin is not None
        yield made, f"http://127.0.0.1:{made.gateway.admin.port}"
    finally:
        made.stop()


def test_two_ports_of_one_process(tmp_path: Path) -> None:
    """A key that the one makes opens the other, at once; and neither has what is the other's."""
    with _listening(tmp_path) as (models, admin):
        made = httpx.post(f"{admin}/api/v1/keys", headers=HEADERS, json={"name": "ci"}).json()
        ask = {"headers": {"x-api-key": made["secret"]}}
        assert httpx.get(f"{models.url}/v1/models", **ask).status_code == 200  # type: ignore[arg-type]
        assert httpx.get(f"{models.url}/api/v1/overview", headers=HEADERS).status_code == 401
        assert httpx.get(f"{models.url}/api/v1/overview", **ask).status_code == 404  # type: ignore[arg-type]
        assert httpx.get(f"{admin}/v1/models", **ask).status_code == 401  # type: ignore[arg-type]
        page = httpx.get(f"{admin}/")
        assert page.headers["content-type"].startswith("text/html")
        for name in re.findall(r'(?:href|src)="([a-z][^":]*)"', page.text):
            assert httpx.get(f"{admin}/{name}").status_code == 200, name
    with pytest.raises(httpx.ConnectError):
        httpx.get(admin)


def test_a_page_that_is_held_open_holds_nothing_up(tmp_path: Path) -> None:
    """Nor does a head or a body that does not come."""
    with _listening(tmp_path) as (_, admin):
        port = int(admin.rpartition(":")[2])
        half = [b"", b"GET / HTTP/1.1\r\n", b"POST /api/v1/keys HTTP/1.1\r\nhost: localhost\r\n\r\n"]
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in half]
        for connection, start in zip(slow, half, strict=True):
            connection.sendall(start)
        assert httpx.get(f"{admin}/api/v1/overview", headers=HEADERS).status_code == 200
        begun = time.monotonic()
    assert time.monotonic() - begun < 10
    for connection in slow:
        connection.close()
    assert not [one for one in threading.enumerate() if "uvicorn" in one.name]


def test_a_port_that_is_taken_is_said_before_anything_begins(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = _gateway(tmp_path, port=port)
        make_server(gateway)
        assert gateway.admin is not None
        with pytest.raises(ConfigurationError, match=rf"Port {port} of 127.0.0.1 is taken.*in \[admin\]"):
            gateway.admin.bind()


def test_the_first_request_opens_the_store_and_one_after_the_end_does_not(tmp_path: Path) -> None:
    """Mounted in another application there is no other moment; and who asks too late is told to come again."""
    gateway = _gateway(tmp_path)
    admin = Admin(gateway, AdminSettings(sha256(TOKEN.encode()).digest()))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(admin)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=HEADERS) as client:
            return await client.get("/api/v1/overview")

    async def main() -> None:
        opened = [gateway.team is not None]
        assert (await ask()).status_code == 200
        opened.append(gateway.team is not None)
        await gateway.aclose()
        late = await ask()
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        message = "The gateway is starting or stopping."
        assert late.json() == {"error": {"code": "not_ready", "message": message}}
        assert [*opened, gateway.team is not None] == [False, True, False]

    anyio.run(main)


def test_a_gateway_without_the_table_has_no_such_port(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    client = chatport.AsyncClient(emulator.config(team={"folder": str(tmp_path)}), transport=emulator)
    gateway = Gateway(client=client)
    make_server(gateway)
    assert gateway.admin is None


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_both_and_ends_both(tmp_path: Path, how: signal.Signals) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "ours.toml").write_text(f'[team]\nfolder = "team"\n[admin]\nport = {port}\ntoken_env = "OUR_TOKEN"\n')
    serving = "import sys; from chatport_gateway.command import command; command(sys.argv[1:])"
    arguments = [sys.executable, "-c", serving, "--config", "ours.toml", "--port", "0"]
    environment = {**os.environ, "OUR_TOKEN": TOKEN}
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as ours:
        assert ours.stdout is not None
        lines = [re.sub(r"\x1b\[\d*m", "", ours.stdout.readline()) for _ in range(2)]
        assert re.search(rf"admin\s+host=127.0.0.1 port={port}", lines[1]), lines
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/overview", headers=HEADERS, timeout=20)
        assert answer.json()["open_calls"] == 0
        ours.send_signal(how)
        rest = ours.communicate(timeout=20)[0]
    assert ours.returncode == (0 if how == signal.SIGINT else -how)
    assert "Traceback" not in rest
    assert TOKEN not in rest
