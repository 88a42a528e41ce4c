"""llm-comply, the conformance suite of the clients' protocols, on a loopback port, with three vendors behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator
from chatport_surfaces import Answer, ClientRequest, Surfaces

from .complying import ALIASES, FORMS, Form, complied

pytest.importorskip("llm_comply")
TARGETS = ("openai:gpt-5.6-sol", "anthropic:claude-sonnet-5", "deepseek:deepseek-flash")


@contextmanager
def served(surfaces: Surfaces) -> Iterator[str]:
    """Serve surfaces on a loopback port, and give their address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # an answer ends with its connection

        def do_POST(self) -> None:
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            answer = surfaces.answer(ClientRequest("POST", path, headers, query, body))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            if isinstance(answer, Answer):
                self.wfile.write(answer.body)
                return
            for piece in answer:
                self.wfile.write(piece)
            answer.close()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_all_tests_pass(form: Form, target: str) -> None:
    emulator = Emulator(target.partition(":")[0])
    tables = emulator.config(aliases={alias: [target] for alias in ALIASES})
    with chatport.Client(tables, transport=emulator) as client, served(Surfaces(client)) as url:
        assert complied(form, url) == {}
