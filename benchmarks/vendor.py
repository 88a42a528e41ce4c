"""The fake vendor: HTTP/1.1 with keep-alive on loopback, prebuilt bytes, optional TLS.

    python -m benchmarks.vendor [--port 8080] [--tls CERTIFICATE KEY]    run until interrupted
    python -m benchmarks.vendor --check                                  how much can it deliver?

What a stream looks like is in the model name (`chunks-200_delay-10`, see `wire.Knobs`); a model name without knobs gets
those of the last `POST /knobs/<text>`, so that a warm client can be measured without a change of model.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

from . import wire
from .control import DONE, PREFIX

__all__ = ["Address", "Capacity", "capacity", "running"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model": ?"([^"]*)"')
_STREAMED = re.compile(rb'"stream": ?true')
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class _Settings:
    """The knobs of streams whose model name has none."""

    knobs = wire.Knobs()


class _Connection(asyncio.Protocol):
    """One connection of a client, one response at a time."""

    def __init__(self, settings: _Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._body: Iterator[bytes] | None = None  # set while a stream is being sent
        self._end = b""
        self._knobs = settings.knobs
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=1)  # the kernel's buffer is enough: tell us when it is full
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, error: Exception | None) -> None:
        self._body = None

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._body is not None and not self._knobs.delay:
            self._pour()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._body is None:
            self._take()

    def _take(self) -> None:
        """Answer the next request, once it is whole."""
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return
        self._received = rest[size:]
        self._answer(head.split(b" ", 2)[1].decode(), rest[:size])

    def _answer(self, path: str, body: bytes) -> None:
        if path.startswith(PREFIX):
            self._settings.knobs = wire.Knobs().read(path)
            self._transport.write(DONE)
            return
        shape: wire.Shape | None = (
            "openai" if path.endswith("/chat/completions") else "anthropic" if path.endswith("/messages") else None
        )
        if shape is None:
            self._transport.write(_NOT_FOUND)
        elif not _STREAMED.search(body):
            self._transport.write(wire.plain(shape))
        else:
            model = _MODEL.search(body)
            self._knobs = self._settings.knobs.read(model[1].decode() if model else "")
            self._stream(shape)

    def _stream(self, shape: wire.Shape) -> None:
        start, self._body, self._end = wire.stream(shape, self._knobs)
        self._transport.write(start)
        if self._knobs.delay:
            self._loop.call_later(self._knobs.delay / 1000, self._drip)
        else:
            self._pour()

    def _write_next(self) -> bool:
        """Write the next HTTP chunks, or the end. Return whether there is more."""
        assert self._body is not None
        block = b"".join(islice(self._body, self._knobs.write))
        if block:
            self._transport.write(block)
            return True
        self._body = None
        self._transport.write(self._end)
        if self._received:
            self._take()
        return False

    def _drip(self) -> None:
        if self._body is not None and self._write_next():
            self._loop.call_later(self._knobs.delay / 1000, self._drip)

    def _pour(self) -> None:
        while not self._is_full and self._body is not None:
            self._write_next()


async def _serve(port: int, context: ssl.SSLContext | None) -> None:
    settings, loop = _Settings(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(settings), "127.0.0.1", port, ssl=context, backlog=2048)
    control = await loop.create_server(lambda: _Connection(settings), "127.0.0.1", 0)
    ports = [opened.sockets[0].getsockname()[1] for opened in (server, control)]
    print(*ports, flush=True)
    async with server, control:
        await server.serve_forever()


# --- for those who use it


@dataclass(frozen=True)
class Address:
    """Where a running vendor is: `url` for clients, `control_port` for `control.set_knobs`."""

    port: int
    control_port: int
    is_tls: bool

    @property
    def url(self) -> str:
        """Where clients send to, without a path."""
        return f"http{'s' if self.is_tls else ''}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def running(certificate: tuple[Path, Path] | None = None) -> Iterator[Address]:
    """Run a vendor in a process of its own, with a certificate and its key if it is to speak TLS."""
    tls = ["--tls", *map(str, certificate)] if certificate else []
    command = [sys.executable, "-m", "benchmarks.vendor", *tls]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        try:
            assert process.stdout is not None
            ports = process.stdout.readline().split()
            if len(ports) != 2:
                raise RuntimeError("The fake vendor did not start: see its message above.")
            yield Address(int(ports[0]), int(ports[1]), certificate is not None)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Capacity:
    """What the vendor delivers at most, to a client that reads and does nothing else."""

    chunks_per_second: float
    replies_per_second: float


def _request(model: str, is_streamed: bool) -> bytes:
    body = json.dumps({"model": model, "stream": is_streamed, "messages": []}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def capacity(port: int, chunks: int = 100_000, replies: int = 2_000) -> Capacity:
    """Measure what the vendor delivers in a burst of ten chunks a write, and in plain replies one after the other."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.perf_counter()
        client.sendall(_request(f"chunks-{chunks}_write-10", True))
        tail = b""
        while not tail.endswith(wire.END):
            tail = (tail + client.recv(1 << 20))[-16:]
        streamed = time.perf_counter()
        request, whole = _request("any", False), len(wire.plain("openai"))
        for _ in range(replies):
            client.sendall(request)
            received = 0
            while received < whole:
                received += len(client.recv(1 << 16))
        return Capacity(chunks / (streamed - begun), replies / (time.perf_counter() - streamed))


def main() -> None:
    """Serve, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        with running() as vendor:
            most = capacity(vendor.port)
        print(f"{most.chunks_per_second:,.0f} chunks/s, {most.replies_per_second:,.0f} plain replies/s")
        return
    context = None
    if options.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*options.tls)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, context))


if __name__ == "__main__":
    main()
