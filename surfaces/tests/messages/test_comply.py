"""A conformance suite that others have written, over a loopback port, with three vendors behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator
from chatport_surfaces import Answer, ClientRequest, Seal, Surfaces
from chatport_surfaces.messages import surface

from .asking import SECRET

pytest.importorskip("llm_comply")

ALIAS = "claude-opus-stand-in"  # the suite tests thinking for names that it knows
TARGETS = ("openai:gpt-6-sol", "anthropic:claude-sonnet-4-6", "deepseek:deepseek-flash")


@contextmanager
def served(surfaces: Surfaces) -> Iterator[str]:
    """Serve a surface on a loopback port, and give its address."""

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
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # the suite's own
@pytest.mark.parametrize("target", TARGETS)
def test_all_nine_tests_pass(target: Any) -> None:
    from llm_comply import specs
    from llm_comply.config import ComplianceConfig
    from llm_comply.runner import TestRunner
    from llm_comply.schema import SpecLoader
    from llm_comply.tests.anthropic import ANTHROPIC_TESTS

    emulator = Emulator(target.partition(":")[0])
    tables = {**emulator.config(), "aliases": {ALIAS: [target]}}
    shapes = SpecLoader(str(Path(str(specs.__file__)).parent / "anthropic.json"))
    with (
        chatport.Client(tables, transport=emulator) as client,
        served(Surfaces(client, [surface], seal=Seal(SECRET))) as url,
    ):
        results = TestRunner(ComplianceConfig(url, "any", ALIAS), ANTHROPIC_TESTS, shapes).run_all().results
    assert [(result.id, result.errors) for result in results if result.status.value != "passed"] == []
    assert len(results) == 9
