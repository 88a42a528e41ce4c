"""A forked child shares no connection with its parent, waits for no lock, and leaves what the parent does alone.

Each case is a program of its own, as small as the ones that fork: `pytest` has threads, which must not be forked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from .raw_server import Connection, RawServer, chunked, head

BEGINNING = """
import asyncio, os, sys, threading
import anyio, httpx
import chatport

way, base_url = sys.argv[1], sys.argv[2]

def settings(transport):
    table = {"kind": "compatible", "base_url": base_url, "api_key": "sk-of-a-fork"}
    return {"providers": {"x": table}, "model": "x:m", "retry": {"attempts": 1}, "transport": transport}

def in_child(work):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 2
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"the child ended with {status}"

def text_of(reply):
    assert reply.text == "word word ", reply.text
    return True
"""


class Vendor:
    """Answers every request, and remembers which connection it came over. A stream waits in the middle."""

    def __init__(self) -> None:
        self.asked: dict[str, set[int]] = {}

    def __call__(self, connection: Connection) -> None:
        while request := connection.request():
            body = json.loads(request.partition(b"\r\n\r\n")[2])
            said = body["messages"][-1]["content"]
            self.asked.setdefault(said, set()).add(id(connection))
            if body.get("stream"):
                chunks = [chunk(word) for word in ("word ", "word ")] + [chunk(None), b"data: [DONE]\n\n"]
                connection.send(head(200, transfer_encoding="chunked") + chunked(chunks[0], last=False))
                connection.request()  # a second request on this connection would be the other process's
                continue
            data = json.dumps({"choices": [{"message": {"content": "word word "}, "finish_reason": "stop"}]}).encode()
            connection.send(head(200, content_type="application/json", content_length=len(data)) + data)


def chunk(text: str | None) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if text is None else None}
    return b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode()


class Served:
    def __init__(self, vendor: Vendor, server: RawServer) -> None:
        self.vendor, self.server = vendor, server

    def run(self, program: str, way: str) -> dict[str, set[int]]:
        """Run a program to its end; return which connections each message came over."""
        text = BEGINNING + textwrap.dedent(program)
        command = [sys.executable, "-W", "error", "-c", text, way, self.server.base_url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return self.vendor.asked


@pytest.fixture
def served() -> Iterator[Served]:
    vendor = Vendor()
    with RawServer(vendor) as server:
        yield Served(vendor, server)


pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
WAYS = ("sockets", "httpx")

SYNC = """
client = chatport.Client(settings(way))
text_of(client.chat("first"))
in_child(lambda: text_of(client.chat("child")) and text_of(client.chat("child again")))
text_of(client.chat("parent"))
client.close()
"""

ONE_LOOP = """
loop = asyncio.new_event_loop()
client = chatport.AsyncClient(settings(way))
call = lambda said: text_of(loop.run_until_complete(client.chat(said)))
call("first")
in_child(lambda: call("child") and call("child again"))
call("parent")
loop.run_until_complete(client.aclose())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
"""

A_LOOP_IN_A_THREAD = """
import warnings
from anyio.from_thread import start_blocking_portal

warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is what this is about
client = chatport.AsyncClient(settings(way))

async def twice():
    return text_of(await client.chat("child")) and text_of(await client.chat("child again"))

with start_blocking_portal("{backend}") as portal:
    text_of(portal.call(client.chat, "first"))
    in_child(lambda: anyio.run(twice, backend="{backend}"))
    text_of(portal.call(client.chat, "parent"))
    portal.call(client.aclose)
"""

PROGRAMS = {
    "sync": SYNC,
    "asyncio, one loop": ONE_LOOP,
    "asyncio, in a thread": A_LOOP_IN_A_THREAD.format(backend="asyncio"),
    "trio, in a thread": A_LOOP_IN_A_THREAD.format(backend="trio"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", PROGRAMS)
def test_parent_and_child_have_connections_of_their_own(kind: str, way: str, served: Served) -> None:
    asked = served.run(PROGRAMS[kind], way)
    assert asked["first"] == asked["parent"], "the parent's connection stands, and is used again"
    assert asked["child"] == asked["child again"], "and so does the child's"
    assert not asked["child"] & asked["parent"]


STREAM = """
client = chatport.Client(settings(way))
stream = client.stream("first")
event = next(stream)
assert event.text == "word "

def read_on():
    try:
        next(stream)
    except chatport.ChatportError as error:
        return "belongs to the process" in str(error)

in_child(read_on)
in_child(lambda: client.close() is None)
stream._driver.abandon()
client.close()
"""


def test_a_child_does_not_read_on_in_its_parents_stream(served: Served) -> None:
    asked = served.run(STREAM, "sockets")
    assert asked.keys() == {"first"}, "nothing of the child's came over the parent's connection"


GOES_ON = """
client = chatport.Client(settings(way))
text_of(client.chat("first"))
in_child(lambda: client.close() is None)
text_of(client.chat("parent"))
client.close()
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_child_that_closes_its_client_closes_nothing_of_its_parents(way: str, served: Served) -> None:
    asked = served.run(GOES_ON, way)
    assert asked["first"] == asked["parent"]


GIVEN = """
given = httpx.Client(verify=False)
client = chatport.Client(settings(None), transport=given)
if way == "used":
    text_of(client.chat("first"))

def call():
    try:
        return text_of(client.chat("child")) and way == "unused"
    except chatport.errors.MisuseError as error:
        return way == "used" and "a client of its own" in str(error)

in_child(call)
text_of(client.chat("parent"))
given.close()
"""


@pytest.mark.parametrize("way", ["used", "unused"])
def test_a_client_that_was_given_is_refused_in_a_child_if_it_has_connections(way: str, served: Served) -> None:
    asked = served.run(GIVEN, way)
    assert ("child" in asked) == (way == "unused")
    assert not asked.get("child", set()) & asked["parent"]


LOCKS = """
import warnings
from chatport.basics.forks import _locks

warnings.simplefilter("ignore", DeprecationWarning)
budget = chatport.Budget(tokens=1000)
client = chatport.Client({**settings(way), "pacing": {"concurrency": 1}})
text_of(client.chat("first"))
held, go_on = threading.Event(), threading.Event()

def hold():
    stream = client.stream("held")
    next(stream)  # it has the only place that pacing gives
    for lock in list(_locks):
        lock.acquire()
    budget._open["somebody's"] = None
    budget._tokens.reserved = 1000
    held.set()
    go_on.wait(30)
    for lock in list(_locks):
        lock.release()
    budget._tokens.reserved = 0
    stream._driver.abandon()

thread = threading.Thread(target=hold)
thread.start()
held.wait(30)

def call():
    with budget:
        return text_of(client.chat("child", timeout=10, max_tokens=5))

in_child(call)
go_on.set()
thread.join()
text_of(client.chat("parent"))
client.close()
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_child_waits_for_no_lock_and_no_call_of_another_thread(way: str, served: Served) -> None:
    asked = served.run(LOCKS, way)
    assert asked["child"]
    assert not asked["child"] & asked["parent"]
