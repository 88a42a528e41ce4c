"""llm-comply, the conformance suite of Open Responses, on a loopback port: 13 of 13 in front of each vendor.

The two tests of compaction take a 404 as an answer: there is no such path here, since no vendor but one could serve it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator
from chatport_surfaces import Answer, ClientRequest, Surfaces
from chatport_surfaces.responses import ResponsesSurface

from .asking import MODELS

pytest.importorskip("llm_comply")
_RUN = "import sys; from llm_comply.cli import main; sys.exit(main())"
_ALIAS = "gpt-5-behind"
"""By its name the suite believes that it reasons, and asks for a summary."""


@contextmanager
def served(vendor: str) -> Iterator[str]:
    emulator = Emulator(vendor)
    with chatport.Client(emulator.config(aliases={_ALIAS: [MODELS[vendor]]}), transport=emulator) as client:
        surfaces = Surfaces(client, [ResponsesSurface()])

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = surfaces.answer(ClientRequest("POST", self.path, headers, body=body))
                content = answer.body if isinstance(answer, Answer) else b"".join(answer)
                self.send_response(answer.status)
                for name, value in (*answer.headers, ("content-length", str(len(content)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
def test_it_complies(vendor: str) -> None:
    with served(vendor) as url:
        command = [sys.executable, "-c", _RUN, "run", "-u", url, "-k", "k", "-m", _ALIAS, "--format", "open-responses"]
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=100, check=False)
    report = json.loads(done.stdout)
    results = {one["id"]: one["status"] for one in report["results"]}
    assert len(results) == 13
    assert set(results.values()) <= {"passed", "warning"}, done.stdout
    assert done.returncode == 0
