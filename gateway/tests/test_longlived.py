"""What is passed by when garbage is looked for."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref

import pytest

from chatport_gateway.longlived import settle

SERVE = """
import gc, os, signal, threading, time, urllib.request
from chatport_gateway import Gateway, GatewaySettings, make_server

server = make_server(Gateway({}, settings=GatewaySettings(port=0)))

def look():
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()  # it has wholly begun, then
    os.write(2, b"frozen %d;" % gc.get_freeze_count())  # in one piece: the server logs meanwhile
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=look).start()
server.run()
"""


class Ring:
    """What only the collector finds."""

    def __init__(self) -> None:
        self.own = self


def test_what_was_passed_by_and_is_garbage_now_is_collected() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    settle()
    del ring
    gc.collect()
    assert gone() is not None  # it is passed by
    settle()
    assert gone() is None


@pytest.mark.skipif(os.name != "posix", reason="ends by a signal")
@pytest.mark.parametrize("is_whole_process", [True, False])
def test_a_process_that_only_serves_passes_by_what_it_has(is_whole_process: bool) -> None:
    """In another's process it does not: what is there is not its own."""
    run = SERVE
    if not is_whole_process:
        run = run.replace("server.run()", "thread = threading.Thread(target=server.run); thread.start(); thread.join()")
        run = run.replace("os.kill(os.getpid(), signal.SIGTERM)", "server.should_exit = True")
    told = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, timeout=60)
    frozen = int(told.stderr.rpartition("frozen ")[2].partition(";")[0])
    assert (frozen > 10_000) is is_whole_process, told.stderr
